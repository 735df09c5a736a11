"""SelfDeblur [13]: blind deblurring by two untrained networks, one that draws the image and one the blur kernel."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpcip.baselines.non_local import NonLocal
from dpcip.generators.skip_network import SkipLevel
from dpcip.solver.losses import ssim
from dpcip.utils.errors import InputError
from dpcip.utils.machine import has_fast_bfloat16, keep_freed_memory, share_cores

# Version of what SelfDeblur computes here: raise it when a change moves the numbers of tests/test_golden.py.
ALGORITHM = 1
IMAGE_RATE, KERNEL_RATE = 0.01, 1e-4  # of Adam
L2_SHARE = 500 / 5000  # of the steps: mean squared error first, then 1 - SSIM
HALVED_AT = (2000 / 5000, 3000 / 5000, 4000 / 5000)  # shares of the steps after which both rates halve
INPUT_NOISE = 0.001  # standard deviation of what is added to the image network's input, anew at each step


@dataclass(frozen=True)
class Recipe:
    """How one channel is deblurred. kernel_px: side of the kernel's square, odd. iterations: the original's are 5000.

    The schedule keeps its shares of a shorter run.
    """

    kernel_px: int = 19
    iterations: int = 5000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kernel_px < 1 or self.kernel_px % 2 == 0:
            raise InputError(f"SelfDeblur: the kernel's side is {self.kernel_px}; give an odd, positive number of taps")
        if self.iterations < 1:
            raise InputError(f"SelfDeblur: {self.iterations} iterations; give at least one")


class Networks(nn.Module):
    """The image network and the kernel network with their fixed inputs (public code of Ren et al. 2020).

    forward(noise) -> (image [1, H + K - 1, W + K - 1] in (0, 1), kernel [K, K] >= 0 of sum 1); noise is added to the
    image network's input [1, 8, H + K - 1, W + K - 1]. The image is larger than the photograph [H, W] by the kernel:
    what lies beyond the photograph's border has been blurred into it, too.
    """

    def __init__(self, size: tuple[int, int], kernel_px: int) -> None:
        super().__init__()
        self.kernel_px = kernel_px
        self.code: Tensor
        self.kernel_code: Tensor
        self.register_buffer("code", torch.rand(1, 8, *(n + kernel_px - 1 for n in size)) * 0.1)
        self.register_buffer("kernel_code", torch.rand(200) * 0.1)
        self.image = SkipLevel(n_in=8, n_channels=128, n_skip=16, taps=3, n_levels=5, deep=NonLocal)
        self.head = nn.Conv2d(128, 1, 1)
        self.kernel = nn.Sequential(nn.Linear(200, 1000), nn.ReLU6(), nn.Linear(1000, kernel_px**2), nn.Softmax(dim=0))

    def forward(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        features = self.image(self.code + noise)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would round both outputs to 8 bits
            image = torch.sigmoid(self.head(features.to(self.head.weight.dtype))[0])
            return image, self.kernel(self.kernel_code).view(self.kernel_px, self.kernel_px)


def blur(image: Tensor, kernel: Tensor) -> Tensor:
    """The valid part of a convolution: [1, H + K - 1, W + K - 1] with [K, K] -> [1, H, W]."""
    return F.conv2d(image[None], kernel.flip(0, 1)[None, None])[0]  # conv2d correlates


class Deblurring:
    """One channel's state and its step. It sees the blurred channel alone: float32 [H, W] in [0, 1].

    Two with equal arguments take equal steps, and `state_dict` carries all that a step depends on. The result is that
    of the last step, as in the public code: `sharp` [H, W] in [0, 1] and `kernel` [K, K].
    """

    def __init__(self, blurred: Tensor, recipe: Recipe, device: torch.device) -> None:
        keep_freed_memory()
        share_cores()
        self.recipe = recipe
        self.device = device
        self.blurred = blurred.to(device)[None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            networks = Networks((blurred.shape[0], blurred.shape[1]), recipe.kernel_px)
        self.networks = networks.to(  # type: ignore[call-overload]
            device, blurred.dtype, memory_format=torch.channels_last
        )
        self.random = torch.Generator().manual_seed(recipe.seed)
        self.bfloat16 = has_fast_bfloat16(device)
        kernel = list(self.networks.kernel.parameters())
        image = [*self.networks.image.parameters(), *self.networks.head.parameters()]
        self.optimizer = torch.optim.Adam([{"params": image}, {"params": kernel}], fused=device.type != "mps")
        self.iteration = 0
        self.sharp = torch.zeros_like(self.blurred[0])
        self.kernel = self.blurred.new_zeros(recipe.kernel_px, recipe.kernel_px)

    @property
    def done(self) -> bool:
        """Whether there is no step left to take."""
        return self.iteration >= self.recipe.iterations

    def step(self) -> None:
        """One iteration: draw image and kernel, blur, compare, update. Raises InputError if the loss is no number."""
        noise = INPUT_NOISE * torch.randn(self.networks.code.shape, generator=self.random)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            image, kernel = self.networks(noise.to(self.networks.code))
        found = blur(image, kernel)
        progress = self.iteration / self.recipe.iterations
        loss = F.mse_loss(found, self.blurred) if progress < L2_SHARE else 1 - ssim(found, self.blurred)
        if not math.isfinite(loss.item()):
            raise InputError(f"SelfDeblur: the loss is {loss.item()} at iteration {self.iteration}; try another seed")
        factor = 0.5 ** sum(progress >= share for share in HALVED_AT)
        for group, rate in zip(self.optimizer.param_groups, (IMAGE_RATE, KERNEL_RATE), strict=True):
            group["lr"] = rate * factor
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        margin, (height, width) = self.recipe.kernel_px // 2, self.sharp.shape
        self.sharp = image.detach()[0, margin : margin + height, margin : margin + width]
        self.kernel = kernel.detach()
        self.iteration += 1

    def state_dict(self) -> dict[str, object]:
        """All that the coming steps depend on, as tensors and plain values."""
        return {
            "networks": self.networks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.get_state(),
            "iteration": self.iteration,
            "sharp": self.sharp.clone(),
            "kernel": self.kernel,
        }

    def load_state_dict(self, state: dict) -> None:
        """Goes on from where `state_dict` was taken."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # Adam keeps and changes what it is given
        self.random.set_state(state["random"].cpu())
        self.iteration, self.sharp, self.kernel = state["iteration"], state["sharp"], state["kernel"]

"""Untrained generators: networks whose weights, not whose training, are the prior. One interface, one registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpcip.errors import InputError

Size = tuple[int, int]


class Generator(nn.Module):
    """Base of all generators: forward() -> (sharp [C, H, W] in [0, 1], psi [H, W] in [psi_min, psi_max]).

    A subclass sets `code`, the fixed input [1, D, H, W], `network`, which maps it to features, and `head`, which maps
    those to [1, C + 1, H, W]; a sigmoid follows. Draw all random numbers in __init__: the caller has seeded torch.
    """

    code: Tensor
    network: nn.Module
    head: nn.Module

    def __init__(self, psi_range: tuple[float, float]) -> None:
        super().__init__()
        self.psi_range = psi_range

    def forward(self) -> tuple[Tensor, Tensor]:
        features = self.network(self.code)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would round the output to 8 bits
            output = torch.sigmoid(self.head(features.float())[0])
        psi_min, psi_max = self.psi_range
        return output[:-1], psi_min + (psi_max - psi_min) * output[-1]


class ReflectPad(torch.autograd.Function):
    """Reflection padding of [N, D, H, W] that keeps nothing for the backward pass, and there adds up in float32.

    Autocast would pad in float32 and keep that copy: the same numbers to the bit, for a quarter more memory.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, margin: int) -> Tensor:
        ctx.shape, ctx.strides, ctx.margins = x.shape, x.stride(), (margin,) * 4
        return F.pad(x, ctx.margins, mode="reflect")

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        wide = grad[0].float() if grad[0].dtype == torch.bfloat16 else grad[0]
        like = torch.empty_strided(ctx.shape, ctx.strides, dtype=wide.dtype, device=wide.device)  # never read
        return torch.ops.aten.reflection_pad2d_backward(wide, like, ctx.margins).to(grad[0].dtype), None


class ReflectConv2d(nn.Conv2d):
    """Convolution with reflection padding."""

    def forward(self, x: Tensor) -> Tensor:
        margin = self.kernel_size[0] // 2
        return F.conv2d(ReflectPad.apply(x, margin) if margin else x, self.weight, self.bias, self.stride)


def conv_unit(n_in: int, n_out: int, taps: int, stride: int = 1) -> nn.Sequential:
    """Convolution with reflection padding, batch norm, LeakyReLU(0.2)."""
    return nn.Sequential(ReflectConv2d(n_in, n_out, taps, stride), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2))


class SkipLevel(nn.Module):
    """One level of the encoder-decoder: halve, recurse, double, join with a thin skip (DIP's `skip` network)."""

    def __init__(self, n_in: int, n_channels: int, n_skip: int, taps: int, n_levels: int) -> None:
        super().__init__()
        self.skip = conv_unit(n_in, n_skip, 1)
        self.down = nn.Sequential(conv_unit(n_in, n_channels, taps, 2), conv_unit(n_channels, n_channels, taps))
        self.inner = SkipLevel(n_channels, n_channels, n_skip, taps, n_levels - 1) if n_levels > 1 else nn.Identity()
        self.norm = nn.BatchNorm2d(n_skip + n_channels)
        self.up = nn.Sequential(conv_unit(n_skip + n_channels, n_channels, taps), conv_unit(n_channels, n_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(x)
        deep = F.interpolate(self.inner(self.down(x)), scale_factor=2, mode="bilinear", align_corners=False)
        height, width = skip.shape[-2:]
        top, left = (deep.shape[-2] - height) // 2, (deep.shape[-1] - width) // 2
        deep = deep[..., top : top + height, left : left + width]  # odd sizes come back one pixel larger
        return self.up(self.norm(torch.cat([skip, deep], dim=1)))


class Dip(Generator):
    """The deep image prior of the paper: 5 levels of 128 channels, 16-channel skips, 2,293,908 parameters.

    Input: 32 channels of uniform noise in [0, 0.1] (paper, section 3; released code, `networks/skip.py`).
    """

    def __init__(self, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3) -> None:
        super().__init__(psi_range)
        self.register_buffer("code", torch.rand(1, 32, *size) * 0.1)
        self.network = SkipLevel(n_in=32, n_channels=128, n_skip=16, taps=3, n_levels=5)
        self.head = nn.Conv2d(128, n_image_channels + 1, 1)


GENERATORS: dict[str, Callable[[Size, tuple[float, float], int], Generator]] = {"dip": Dip}


def make_generator(
    name: str, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3, seed: int = 0
) -> Generator:
    """The generator `name` for images of `size` (H, W), its weights and input drawn from `seed` alone.

    Raises InputError for a name that is not registered. The caller's random state is left as it was.
    """
    if name not in GENERATORS:
        raise InputError(f"generator '{name}' is unknown; choose from {', '.join(GENERATORS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GENERATORS[name](size, psi_range, n_image_channels)

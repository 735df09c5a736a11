"""The network: likelihood volumes and the capture in, psi and how far off it may be out."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpcip.initialization.likelihood import STRIDE_PX
from dpcip.learnt.volumes import priors_of
from dpcip.optics.psf import PsfBank

WIDTH = 40
GROUPS = 8
NEIGHBOURS = 9  # that a pixel's psi is a mean of: 3 x 3 on the grid of windows
SHARPNESS = 6.0  # a second look at the costs, so much flatter than the likelihood itself: windows overlap
TRUST = 3.0  # by which the mean cost is divided before it joins the network's own score
HIGHEST = 40.0  # a cost above says nothing more
LARGEST_LOG_SCALE = 4.0
RANGE = 14.0  # the network counts defocus so that any bank's range is this long: the published one's, in rad


@dataclass(frozen=True)
class Shape:
    """What decides the network's layers: volumes, planes and channels of the capture, and its width."""

    n_volumes: int
    n_planes: int
    n_channels: int
    width: int = WIDTH

    @classmethod
    def of(cls, planes: PsfBank) -> Shape:
        return cls(len(priors_of(planes)), len(planes.psi), planes.n_channels)

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def _block(n_in: int, n_out: int) -> nn.Sequential:
    convolutions = [
        part
        for number, n in enumerate((n_in, n_out))
        for part in (nn.Conv2d(n, n_out, 3, padding=1), nn.GroupNorm(GROUPS, n_out), nn.SiLU())
    ]
    return nn.Sequential(*convolutions)


def in_units(psi: Tensor, bank: PsfBank) -> Tensor:
    """Defocus as the network counts it: 0 to RANGE over the bank's range."""
    low, high = bank.psi_range
    return (psi - low) * (RANGE / (high - low))


@dataclass
class Guess:
    """What the network says. scores: [N, P, h, w], unnormalised log-probability of each plane in each window.

    psi, log_scale: [N, H, W], in units of which the bank's range has RANGE: the median of a Laplace distribution and
    the logarithm of its scale.
    """

    scores: Tensor
    psi: Tensor
    log_scale: Tensor


class DepthNet(nn.Module):
    """A U-Net over the grid of windows, with three resolutions, and a convex upsampling to all pixels.

    Its score of a plane is its own plus the volumes' weighted mean, the weights its own, too: it begins as the
    likelihood and learns where that errs. A pixel's psi is a weighted mean of the nine windows' around it (Teed and
    Deng 2020), so that edges need not lie on the grid.
    """

    def __init__(self, shape: Shape, planes: Tensor) -> None:
        super().__init__()
        n, self.shape = shape.width, shape
        self.planes: Tensor
        self.register_buffer("planes", planes.float())
        n_read = shape.n_volumes * (2 * shape.n_planes + 1) + shape.n_channels * STRIDE_PX**2
        self.read = nn.Conv2d(n_read, 2 * n, 1)
        self.fine, self.middle, self.coarse = _block(2 * n, 2 * n), _block(2 * n, 3 * n), _block(3 * n, 4 * n)
        self.to_middle, self.to_fine = _block(7 * n, 3 * n), _block(5 * n, 2 * n)
        self.judge = nn.Conv2d(2 * n, shape.n_volumes, 1)
        self.score = nn.Conv2d(2 * n, shape.n_planes, 1)
        self.scale = nn.Conv2d(2 * n, 1, 1)
        self.upsample = nn.Conv2d(2 * n, NEIGHBOURS * STRIDE_PX**2, 1)

    def forward(self, costs: Tensor, evidence: Tensor, capture: Tensor) -> Guess:
        """Costs [N, V, P, h, w], evidence [N, V, h, w] (see Volumes), capture [N, C, 4 h, 4 w] in [0, 1]."""
        flat = costs.flatten(1, 2)
        looks = [torch.exp(-flat), torch.exp(-flat / SHARPNESS), torch.exp(-evidence / SHARPNESS)]
        fine = self.fine(self.read(torch.cat([*looks, F.pixel_unshuffle(capture - 0.5, STRIDE_PX)], dim=1)))
        middle = self.middle(F.avg_pool2d(fine, 2, ceil_mode=True))
        coarse = self.coarse(F.avg_pool2d(middle, 2, ceil_mode=True))
        middle = self.to_middle(torch.cat([_enlarged(coarse, middle), middle], dim=1))
        fine = self.to_fine(torch.cat([_enlarged(middle, fine), fine], dim=1))
        trust = F.softplus(_at_least_float32(self.judge(fine))) / self.shape.n_volumes
        told = (trust[:, :, None] * costs.clamp_max(HIGHEST)).sum(dim=1) / TRUST
        scores = _at_least_float32(self.score(fine)) - told
        psi = (scores.softmax(dim=1) * self.planes[:, None, None]).sum(dim=1, keepdim=True)
        weights = _at_least_float32(self.upsample(fine)).unflatten(1, (NEIGHBOURS, STRIDE_PX**2)).softmax(dim=1)
        log_scale = _at_least_float32(self.scale(fine)).clamp(-LARGEST_LOG_SCALE, LARGEST_LOG_SCALE)
        both = [_upsampled(values, weights) for values in (psi, log_scale)]
        return Guess(scores, both[0], both[1])


def _at_least_float32(values: Tensor) -> Tensor:
    """bfloat16 would round psi to 0.03 rad."""
    return values.float() if values.dtype == torch.bfloat16 else values


def _enlarged(values: Tensor, like: Tensor) -> Tensor:
    """Twice as large, cropped to the size of `like`."""
    doubled = F.interpolate(values, scale_factor=2.0, mode="nearest")
    return doubled[..., : like.shape[-2], : like.shape[-1]]


def _upsampled(values: Tensor, weights: Tensor) -> Tensor:
    """[N, 1, h, w] and [N, 9, 16, h, w] -> [N, 4 h, 4 w], each pixel a mean of the nine values around."""
    around = F.unfold(F.pad(values, (1, 1, 1, 1), mode="replicate"), 3).unflatten(-1, values.shape[-2:])
    return F.pixel_shuffle((weights * around[:, :, None]).sum(dim=1), STRIDE_PX)[:, 0]

"""Depth edges moved to where the image has its edges: a window sees both sides of one and takes the sharper for all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dpcip.restoration.deconvolution import conjugate_gradients, gradient, gradient_adjoint

RING_PX = 21  # side of the window in which a jump of psi makes its centre doubtful; about that of the likelihood
DOUBTFUL_JUMP = 1.5  # rad
DOUBTFUL_WEIGHT = 1e-3
COLOUR_SCALE = 0.03  # colour differences (full scale 1) beyond which psi may jump at little cost: of a rough image
SMALLEST_COST = 1e-3
SMALL_STEP = 0.1  # rad; steps well above it cost in proportion to their height, not to its square
REWEIGHTINGS = 4
CONJUGATE_STEPS = 60


def trusted(psi: Tensor) -> Tensor:
    """Where psi [H, W] comes from windows that saw one depth: 1, and 0 near its jumps."""
    padded = F.pad(psi[None, None], (RING_PX // 2,) * 4, mode="replicate")
    extent = F.max_pool2d(padded, RING_PX, 1) + F.max_pool2d(-padded, RING_PX, 1)
    return (extent[0, 0] < DOUBTFUL_JUMP).to(psi.dtype)


def spread(psi: Tensor) -> Tensor:
    """Standard deviation of psi [H, W] around a plane fitted in the window of `trusted` at each pixel: [H, W].

    Where depth jumps nearby, either side may be right, and the window's likelihood, sure as it may be, is of both.
    A slope is no jump.
    """
    side = RING_PX
    offset = torch.arange(side, device=psi.device, dtype=psi.dtype) - side // 2
    down = offset[:, None].expand(side, side)
    kernels = torch.stack([torch.ones_like(down), down, down.T])[:, None] / side**2
    padded = F.pad((psi - psi.mean())[None, None], (side // 2,) * 4, mode="replicate")
    mean, with_down, with_right = F.conv2d(padded, kernels)[0]
    square = F.avg_pool2d(padded.square(), side, 1)[0, 0]
    slope = (with_down.square() + with_right.square()) / offset.square().mean()  # variance that the plane explains
    return (square - mean.square() - slope).clamp_min(0).sqrt()


def snap_to_edges(psi: Tensor, image: Tensor, colour_scale: float = COLOUR_SCALE) -> Tensor:
    """Keeps psi [H, W] where it is trusted, and fills the rest from there across as little colour change as possible.

    Minimises `sum w (p - psi)^2 + sum c |gradient p|` with w small where psi is not trusted and c = exp(-d / scale)
    small where the colours of the image [C, H, W] differ by d (Levin et al. 2004, with absolute steps).
    """
    weight = trusted(psi) + DOUBTFUL_WEIGHT
    colour = gradient(image).square().sum(dim=1).sqrt()
    cost = torch.exp(-colour / colour_scale) + SMALLEST_COST
    snapped = psi
    for _ in range(REWEIGHTINGS):
        steps = gradient(snapped[None])[:, 0]
        scaled = cost * SMALL_STEP / (steps**2 + SMALL_STEP**2).sqrt()

        def normal(p: Tensor, scaled: Tensor = scaled) -> Tensor:
            return weight * p + gradient_adjoint((scaled * gradient(p[None])[:, 0])[:, None])[0]

        snapped = conjugate_gradients(normal, weight * psi, snapped, CONJUGATE_STEPS)
    return snapped.clamp(float(psi.min()), float(psi.max()))

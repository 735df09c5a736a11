"""What a solve begins with: depth from the spectra, the image deconvolved at that depth, and how sure the depth is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dpcip.camera import MaskedDCM
from dpcip.deconvolution import deconvolve
from dpcip.edges import snap_to_edges, trusted
from dpcip.psf import PsfBank
from dpcip.smoothing import best_value, semi_global_cost
from dpcip.spectral import STRIDE_PX, depth_likelihood, half_planes

# Windows of 24 px every 4 px share their pixels with some 30 others: their log-likelihoods count accordingly less.
OVERLAP = 30.0
JUMP_PER_RAD = 2.0  # of the smoothing, in units of (discounted) log-likelihood
LARGEST_JUMP = 6.0
TEMPERATURE = 4.0  # of the path costs, in which neighbours' evidence is counted again: makes them a probability
START_NOISE = 1 / 255  # the start's depth is rough: its image need not fit the capture to the last level
START_REWEIGHTINGS = 3


@dataclass(frozen=True)
class DepthPrior:
    """Depth before any iteration. psi and psi_std: float32 [H, W], rad; the best value, and a ranking of its errors."""

    psi: Tensor
    psi_std: Tensor


def depth_prior(capture: Tensor, bank: PsfBank) -> DepthPrior:
    """Depth and its uncertainty from the capture's local spectra: [C, H, W] in [0, 1] -> two maps [H, W].

    psi_std is the standard deviation over the planes of the smoothed likelihood. It is large where there is no
    texture (a flat wall looks alike at any depth) and where windows see two depths at once. It ranks pixels but is
    no error bar: it is not calibrated, and takes the planes as they are, however far apart.
    """
    planes = half_planes(bank)
    likelihood = depth_likelihood(capture, planes).numpy()
    cost = semi_global_cost(-likelihood / OVERLAP, planes.psi, JUMP_PER_RAD, LARGEST_JUMP)
    logits = -cost / TEMPERATURE
    probability = np.exp(logits - logits.max(axis=0))
    probability /= probability.sum(axis=0)
    mean, square = (np.tensordot(planes.psi**power, probability, axes=1) for power in (1, 2))
    size = (capture.shape[-2], capture.shape[-1])
    psi, psi_std = (_enlarged(v, size) for v in (best_value(cost, planes.psi), np.sqrt((square - mean**2).clip(0))))
    return DepthPrior(psi, psi_std)


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> Tensor:
    """From every fourth pixel to all: bilinear, the last values repeated to the border."""
    rows, columns = ((n - 1) * STRIDE_PX + 1 for n in values.shape)
    grid = torch.as_tensor(values, dtype=torch.float32)[None, None]
    grid = F.interpolate(grid, size=(rows, columns), mode="bilinear", align_corners=True)
    return F.pad(grid, (0, size[1] - columns, 0, size[0] - rows), mode="replicate")[0, 0].contiguous()


@dataclass(frozen=True)
class Start:
    """What the generator is fitted to first: image [C, H, W], psi [H, W] (rad), and where psi is trusted (1 or 0).

    psi_std: the depth prior's, [H, W], rad.
    """

    sharp: Tensor
    psi: Tensor
    psi_std: Tensor
    trusted: Tensor


def find_start(capture: Tensor, bank: PsfBank) -> Start:
    """Depth from the capture's local spectra, its image by deconvolution, and the depth's edges moved to the image's.

    capture: [C, H, W] in [0, 1], float32 like the bank; the results are on its device.
    """
    size = (capture.shape[-2], capture.shape[-1])
    prior = depth_prior(capture, bank)
    psi = prior.psi.to(capture.device)
    camera = MaskedDCM(bank, size).to(capture.device).at(psi)
    sharp = deconvolve(camera, capture, capture, START_NOISE, START_REWEIGHTINGS)
    return Start(sharp, snap_to_edges(psi, sharp), prior.psi_std, trusted(psi))

"""What a solve begins with: depth from the spectra, the image deconvolved at that depth, and how sure the depth is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dpcip.camera.models import MaskedDCM
from dpcip.camera.noise import ROUNDING, Level, at_least
from dpcip.initialization.feasibility import Attempt, possible
from dpcip.initialization.likelihood import MISMATCH, STRIDE_PX, depth_likelihood, half_planes
from dpcip.initialization.smoothing import best_value, semi_global_cost
from dpcip.optics.psf import PsfBank
from dpcip.restoration.deconvolution import deconvolve
from dpcip.restoration.edges import snap_to_edges, spread, trusted

# Windows of 24 px every 4 px share their pixels with some 30 others: their log-likelihoods count accordingly less.
OVERLAP = 30.0
JUMP_PER_RAD = 2.0  # of the smoothing, in units of (discounted) log-likelihood
LARGEST_JUMP = 6.0
TEMPERATURE = 4.0  # of the path costs, in which neighbours' evidence is counted again: makes them a probability
EDGE_DOUBT = 2.0  # times the spread of psi nearby; of 1, 2 and 3 the best ranking on three scenes
START_NOISE = 1 / 255  # the start's depth is rough: its image need not fit the capture to the last level
START_REWEIGHTINGS = 3
WHITE = 0.95  # of full scale: a capture that comes so near it may hold light above it
FEW = 1e-4  # share of the pixels that may come so near all the same, and one always: faulty ones


@dataclass(frozen=True)
class DepthPrior:
    """Depth before any iteration. psi and psi_std: float32 [H, W], rad."""

    psi: Tensor
    psi_std: Tensor


def depth_prior(capture: Tensor, bank: PsfBank, noise: Level = ROUNDING, mismatch: float = MISMATCH) -> DepthPrior:
    """Depth and its uncertainty from the capture's local spectra alone: [C, H, W] in [0, 1] -> two maps [H, W]."""
    planes = half_planes(bank)
    costs = window_costs(capture, planes, noise, mismatch)
    return depth_of_costs(costs, planes.psi, (capture.shape[-2], capture.shape[-1]))[1]


def window_costs(capture: Tensor, planes: PsfBank, noise: Level, mismatch: float = MISMATCH) -> np.ndarray:
    """Cost of each plane in each window: its negative log-likelihood, discounted for overlap, [P, h, w]."""
    return -depth_likelihood(capture, planes, noise, mismatch=mismatch).numpy() / OVERLAP


def depth_of_costs(costs: np.ndarray, planes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, DepthPrior]:
    """Smoothed depth of the windows [h, w] (rad) and, enlarged to `size`, with its uncertainty.

    psi_std is the standard deviation over the planes of the smoothed likelihood. It is large where there is no
    texture: a flat wall looks alike at any depth. Near depth edges it is far too small (see `uncertainty`).
    """
    cost = semi_global_cost(costs, planes, JUMP_PER_RAD, LARGEST_JUMP)
    logits = -cost / TEMPERATURE
    probability = np.exp(logits - logits.max(axis=0))
    probability /= probability.sum(axis=0)
    mean, square = (np.tensordot(planes**power, probability, axes=1) for power in (1, 2))
    psi = best_value(cost, planes)
    return psi, DepthPrior(*(_enlarged(v, size) for v in (psi, np.sqrt((square - mean**2).clip(0)))))


def uncertainty(psi: Tensor, prior: DepthPrior, bank: PsfBank) -> Tensor:
    """Standard deviation of a solve's psi [H, W] (rad): four sources, taken as independent.

    The depth prior's own (large where there is no texture), how far psi went from it (one of the two is wrong), the
    spread of psi nearby (large at depth edges, where windows see both sides), and the rounding to the planes that the
    prior tells apart.
    """
    halves = half_planes(bank).psi
    spacing = np.interp(psi.cpu().numpy(), halves, np.gradient(halves))
    rounding = torch.as_tensor(spacing**2 / 12, dtype=psi.dtype, device=psi.device)
    own, away = prior.psi_std.to(psi.device), psi - prior.psi.to(psi.device)
    return (own.square() + away.square() + (EDGE_DOUBT * spread(psi)).square() + rounding).sqrt()


def _enlarged(values: np.ndarray, size: tuple[int, int]) -> Tensor:
    """From every fourth pixel to all: bilinear, the last values repeated to the border."""
    rows, columns = ((n - 1) * STRIDE_PX + 1 for n in values.shape)
    grid = torch.as_tensor(values, dtype=torch.float32)[None, None]
    grid = F.interpolate(grid, size=(rows, columns), mode="bilinear", align_corners=True)
    return F.pad(grid, (0, size[1] - columns, 0, size[0] - rows), mode="replicate")[0, 0].contiguous()


@dataclass(frozen=True)
class Start:
    """What the generator is fitted to first: image [L, H, W], psi [H, W] (rad), and where psi is trusted (1 or 0).

    psi_std: the depth prior's, [H, W], rad.
    """

    sharp: Tensor
    psi: Tensor
    psi_std: Tensor
    trusted: Tensor

    @property
    def prior(self) -> DepthPrior:
        """Its depth, and how sure that is."""
        return DepthPrior(self.psi, self.psi_std)


def start_at(
    capture: Tensor, bank: PsfBank, prior: DepthPrior, noise: Level = ROUNDING, model_error: float = 0.0
) -> Start:
    """A start from depth that is known by other means: its image by deconvolution, the depth's edges moved to it."""
    psi = prior.psi.to(capture)
    camera = MaskedDCM(bank, (capture.shape[-2], capture.shape[-1])).to(capture.device).at(psi)
    allowed = at_least(noise, max(START_NOISE, model_error))
    sharp = deconvolve(camera, capture, bank.in_latent(capture), allowed, START_REWEIGHTINGS).clamp(0, 1)
    return Start(sharp, snap_to_edges(psi, sharp), prior.psi_std.to(capture), trusted(psi))


def find_start(
    capture: Tensor, bank: PsfBank, noise: Level = ROUNDING, mismatch: float = MISMATCH, model_error: float = 0.0
) -> Start:
    """Depth from the capture's local spectra, its image by deconvolution, and the depth's edges moved to the image's.

    Depths at which the image would need light below black or above white are ruled out (feasibility.py); light above
    white only if the capture keeps away from it, but for a few faulty pixels, since highlights may well be brighter
    than the sensor's white.
    capture: [C, H, W] in [0, 1], of the bank's type; the results are on its device. noise: its standard deviation.
    mismatch, model_error: what the PSFs do not explain, see Settings.
    """
    size = (capture.shape[-2], capture.shape[-1])
    camera = MaskedDCM(bank, size).to(capture.device)
    planes, allowed = half_planes(bank), at_least(noise, max(START_NOISE, model_error))

    def image_at(psi: Tensor, begin: Tensor, n_reweightings: int) -> Tensor:
        return deconvolve(camera.at(psi), capture, begin, allowed, n_reweightings)

    def attempt(costs: np.ndarray, former: Attempt | None) -> Attempt:
        psi_grid, prior = depth_of_costs(costs, planes.psi, size)
        psi = prior.psi.to(capture)
        if former:  # a look at whether it is possible, in a third of the time
            image = image_at(psi, former.image, 1)
        else:
            image = image_at(psi, bank.in_latent(capture), START_REWEIGHTINGS)
        return Attempt(psi_grid, psi, prior.psi_std.to(capture), image, rough=former is not None)

    n_white = int((capture.amax(dim=0) >= WHITE).sum())
    within_white = n_white <= max(1, FEW * size[0] * size[1])
    costs = window_costs(capture, planes, noise, mismatch)
    found = possible(costs, planes.psi, STRIDE_PX, attempt, within_white)
    sharp = image_at(found.psi, bank.in_latent(capture), START_REWEIGHTINGS) if found.rough else found.image
    sharp = sharp.clamp(0, 1)
    return Start(sharp, snap_to_edges(found.psi, sharp), found.psi_std, trusted(found.psi))

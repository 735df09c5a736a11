"""How far to believe a camera's PSFs: what they leave of a capture, from the capture and the bank alone.

PSFs that are measured, or computed for a mask that was built a little otherwise, do not explain a photograph down to
its noise. Who believes them all the same finds depth in their errors, and an image that oscillates. Two numbers say how
much to doubt, and both are seen from a first deconvolution, at the depth that the likelihood finds:

- the mismatch, a share of the texture's amplitude, makes the likelihood of depth less sure (likelihood.py);
- the model's error, the standard deviation of what the deconvolution leaves, is all that the image need not explain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor

from dpcip.camera.models import MaskedDCM
from dpcip.camera.noise import Level, at_least, noise_level
from dpcip.initialization.initialize import START_NOISE, depth_of_costs, window_costs
from dpcip.initialization.likelihood import MISMATCH, half_planes
from dpcip.optics.psf import PsfBank
from dpcip.restoration.deconvolution import deconvolve

SHARES = (0.03, 0.1, 0.14, 0.2, 0.28, 0.4)  # that are tried where the residual of exact PSFs is too large
BLOCK_PX = 16  # the residual is judged by the median of such blocks: depth edges, always badly explained, are in few
# Times the noise. With exact PSFs the median block was 0.6 to 1.4 on six scenes of 256x256 (frames 07, the motorcycle;
# gamma and linear light, up to 2 % noise); with the measured ones of three real captures 1.8 to 3.6. Depth edges all
# over a picture can exceed it, too: to doubt helps there as well (tests/test_mismatch.py).
RIGHT = 1.5
CLOSE = 1.15  # the smallest share is taken whose residual is within so much of the least
MOST_PX = 512  # of a side of the part that is looked at


@dataclass(frozen=True)
class Mismatch:
    """What a bank does not explain of a capture; the first two are what Settings want.

    share: of the texture's amplitude. model_error: standard deviation, full scale 1; 0 if it is no more than noise.
    residual: median over blocks of what a deconvolution leaves, in standard deviations of the noise that it allows.
    """

    share: float
    model_error: float
    residual: float


def estimate_mismatch(
    capture: np.ndarray, bank: PsfBank, noise: float, share: float | None = None, shot: float = 0.0
) -> Mismatch:
    """The mismatch of a capture [C, H, W] in [0, 1] and a bank. share: if it is known; then only the error is found.

    noise, shot: standard deviation of its noise, and variance of its shot noise at full scale.

    Of a large capture its most textured part is looked at. The share is sought only if the camera takes more channels
    than it sees colours, as dual pixels do: with as many unknowns as observations a wrong depth explains nearly as
    much as the right one, and the likelihood of exact PSFs is then the safer guess.
    """
    part = torch.as_tensor(_most_textured(capture), dtype=torch.float32)
    bank = replace(bank, psf=bank.psf.float())
    level = noise_level(part, noise, shot)
    allowed = at_least(level, START_NOISE)
    first = share or MISMATCH
    residual = _residual(part, bank, level, allowed, first)
    median = _median_block(residual / allowed)
    if median <= RIGHT:
        return Mismatch(first, 0.0, median)
    left = {first: float(residual.std())}
    if share is None and bank.n_channels > bank.n_latent:
        left |= {u: float(_residual(part, bank, level, allowed, u).std()) for u in SHARES}
    if not np.isfinite(left[first]):
        return Mismatch(first, 0.0, median)
    chosen = min(u for u, error in left.items() if error <= CLOSE * min(left.values()))
    return Mismatch(chosen, left[chosen], median)


def _residual(capture: Tensor, bank: PsfBank, noise: Level, allowed: Level, share: float) -> Tensor:
    """What a deconvolution of one round leaves at the depth that the likelihood finds: [C, H, W]."""
    planes, size = half_planes(bank), (capture.shape[-2], capture.shape[-1])
    depth = depth_of_costs(window_costs(capture, planes, noise, share), planes.psi, size)[1]
    camera = MaskedDCM(bank, size).at(depth.psi)
    return camera(deconvolve(camera, capture, bank.in_latent(capture), allowed, n_reweightings=1)) - capture


def _median_block(residual: Tensor) -> float:
    """Median over blocks of the residual's root mean square."""
    blocks = residual.unfold(1, BLOCK_PX, BLOCK_PX).unfold(2, BLOCK_PX, BLOCK_PX)
    return float(blocks.square().mean(dim=(0, -2, -1)).sqrt().median())


def _most_textured(capture: np.ndarray) -> np.ndarray:
    """The part of at most MOST_PX a side whose pixels differ most from their neighbourhood's mean."""
    height, width = (min(n, MOST_PX) for n in capture.shape[1:])
    grey = capture.mean(axis=0)
    contrast = (grey - uniform_filter(grey, 9)) ** 2
    sums = np.pad(contrast.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    within = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(within.argmax(), within.shape)
    return np.ascontiguousarray(capture[:, top : top + height, left : left + width])

"""How noisy a capture is, from the capture alone: one number, or read noise and shot noise, which grows with light."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import convolve, gaussian_filter
from scipy.optimize import nnls
from torch import Tensor

ROUNDING = 0.29 / 255  # standard deviation of rounding to 8 bits, full scale 1
BLOCK_PX = 24
CALMEST = 0.2  # quantile over the blocks: texture adds to the noise, so the calmer ones tell it
DARK, BRIGHT = 0.02, 0.98  # of full scale: beyond these a sensor cuts the noise off
# Second differences along rows and columns: blind to planes, unit gain for white noise (Immerkaer 1996).
CURVATURE = np.outer([1, -2, 1], [1, -2, 1]) / 6
FAR = np.kron(CURVATURE, [[1, 0], [0, 0]])[:-1, :-1]  # the same over twice the distance
WHITE = 1.5  # of a block: more variance over twice the distance is texture, which the blur makes smooth; noise has none
FEWEST, LEAST_SHARE = 30, 0.1  # of the blocks; with fewer that show noise alone, one number has to do
FITS = 4  # of a line to the blocks' variances, each weighted by the last one
LIGHT_SIGMA_PX = 1.5  # over which the light that makes the shot noise is averaged
Level = float | Tensor  # standard deviation of a capture's noise: one for all pixels, or a map [C, H, W]
MAD_TO_STD = 1.4826
SITES = [np.s_[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]  # of a mosaic's 2x2 cells
MOSAIC = 2.2  # times noisier than the calmest site of a channel: demosaiced; white noise stays below 1.3


def estimate_noise(capture: np.ndarray) -> float:
    """Standard deviation of the noise of a capture [C, H, W], full scale 1; at least that of rounding to 8 bits.

    Median absolute second difference in blocks of 24 px that are neither black nor white, at their calmest fifth. One
    number for all pixels: shot noise, which grows with the light, is given at the level of the calmer, often darker
    parts. A demosaiced capture would seem free of noise, since where values are averages of their neighbours second
    differences vanish. So if the four sites of the 2x2 cells differ in a channel, the noisiest site counts, which was
    measured and not averaged.
    """
    sites = np.stack([_levels(capture[site], BLOCK_PX // 2) for site in SITES])  # [site, C]
    if (sites.max(axis=0) > MOSAIC * np.maximum(sites.min(axis=0), ROUNDING / 2)).any():
        return max(float(sites.max()), ROUNDING)
    return max(_level(capture, BLOCK_PX), ROUNDING)


def estimate_shot_noise(capture: np.ndarray) -> tuple[float, float] | None:
    """Read noise and shot noise of a capture [C, H, W], full scale 1: variance = read^2 + shot * light.

    -> standard deviation of the read noise (at least that of rounding to 8 bits) and variance of the shot noise at full
    scale; None where too few blocks show noise alone, as in a capture without any. Blocks of 24 px (of a demosaiced
    capture: of the site of its 2x2 cells that was measured) are taken for noise alone if second differences over one
    pixel and over two are alike.
    """
    blocks = _variances(capture, BLOCK_PX)
    sites = np.stack([_levels(capture[site], BLOCK_PX // 2) for site in SITES])
    if (sites.max(axis=0) > MOSAIC * np.maximum(sites.min(axis=0), ROUNDING / 2)).any():
        noisiest = sites.argmax(axis=0)
        blocks = np.concatenate(
            [_variances(capture[c : c + 1][SITES[site]], BLOCK_PX // 2) for c, site in enumerate(noisiest)]
        )
    light, near, far = blocks.T
    white = (far < WHITE * near) & (near > ROUNDING**2)
    if white.sum() < max(FEWEST, LEAST_SHARE * len(blocks)):
        return None
    line, found = np.stack([np.ones(white.sum()), light[white]], axis=1), near[white]
    fitted = found
    for _ in range(FITS):
        (read, shot), _ = nnls(line / fitted[:, None], found / fitted)
        fitted = np.maximum(line @ [read, shot], ROUNDING**2)
    return max(float(np.sqrt(read)), ROUNDING), float(shot)


def _variances(capture: np.ndarray, block_px: int) -> np.ndarray:
    """Mean light and variance of second differences over one and two pixels, in blocks that are not white: [n, 3]."""
    rows = []
    for channel in capture.astype(np.float64):
        near, far = (np.abs(convolve(channel, kernel, mode="nearest")) for kernel in (CURVATURE, FAR))
        for row, column in np.ndindex(*(n // block_px for n in channel.shape)):
            block = np.s_[row * block_px : (row + 1) * block_px, column * block_px : (column + 1) * block_px]
            if (channel[block] < BRIGHT).mean() > 0.9:
                spread = ((MAD_TO_STD * np.median(curvature[block])) ** 2 for curvature in (near, far))
                rows.append((channel[block].mean(), *spread))
    return np.array(rows).reshape(-1, 3)


def noise_level(capture: Tensor, read: float, shot: float = 0.0) -> Level:
    """The noise of each pixel of a capture [C, H, W], from read noise and shot noise; `read` where there is no shot."""
    if not shot:
        return read
    light = gaussian_filter(capture.detach().cpu().numpy(), (0, LIGHT_SIGMA_PX, LIGHT_SIGMA_PX)).clip(0)
    return torch.as_tensor((read**2 + shot * light) ** 0.5).to(capture)


def typical(noise: Level) -> float:
    """One number for the noise of all pixels: the root of the mean variance."""
    return float(noise.square().mean().sqrt()) if isinstance(noise, Tensor) else noise


def at_least(noise: Level, least: float) -> Level:
    """The noise, or `least` where that is more."""
    return noise.clamp_min(least) if isinstance(noise, Tensor) else max(noise, least)


def _levels(capture: np.ndarray, block_px: int) -> np.ndarray:
    """Of each channel alone."""
    return np.array([_level(channel[None], block_px) for channel in capture])


def _level(channels: np.ndarray, block_px: int) -> float:
    """Noise over the blocks of all channels; 0 where there is no block to tell it from."""
    levels = []
    for channel in channels.astype(np.float64):
        curvature = np.abs(convolve(channel, CURVATURE, mode="nearest"))
        exposed = (channel > DARK) & (channel < BRIGHT)
        rows, columns = (n // block_px for n in channel.shape)
        for row in range(rows):
            for column in range(columns):
                block = np.s_[row * block_px : (row + 1) * block_px, column * block_px : (column + 1) * block_px]
                if exposed[block].mean() > 0.9:
                    levels.append(MAD_TO_STD * np.median(curvature[block]))
    return float(np.quantile(levels, CALMEST)) if levels else 0.0

"""How noisy a capture is, from the capture alone."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve

ROUNDING = 0.29 / 255  # standard deviation of rounding to 8 bits, full scale 1
BLOCK_PX = 24
CALMEST = 0.2  # quantile over the blocks: texture adds to the noise, so the calmer ones tell it
DARK, BRIGHT = 0.02, 0.98  # of full scale: beyond these a sensor cuts the noise off
# Second differences along rows and columns: blind to planes, unit gain for white noise (Immerkaer 1996).
CURVATURE = np.outer([1, -2, 1], [1, -2, 1]) / 6
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

"""How noisy a capture is, from the capture alone."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve

from dpcip.settings import ROUNDING

BLOCK_PX = 24
CALMEST = 0.2  # quantile over the blocks: texture adds to the noise, so the calmer ones tell it
DARK, BRIGHT = 0.02, 0.98  # of full scale: beyond these a sensor cuts the noise off
# Second differences along rows and columns: blind to planes, unit gain for white noise (Immerkaer 1996).
CURVATURE = np.outer([1, -2, 1], [1, -2, 1]) / 6
MAD_TO_STD = 1.4826


def estimate_noise(capture: np.ndarray) -> float:
    """Standard deviation of the noise of a capture [C, H, W], full scale 1; at least that of rounding to 8 bits.

    Median absolute second difference in blocks of 24 px that are neither black nor white, at their calmest fifth. One
    number for all pixels: shot noise, which grows with the light, is given at the level of the calmer, often darker
    parts; demosaicing smooths noise, and what is left of it is what counts here.
    """
    levels = []
    for channel in capture.astype(np.float64):
        curvature = np.abs(convolve(channel, CURVATURE, mode="nearest"))
        exposed = (channel > DARK) & (channel < BRIGHT)
        rows, columns = (n // BLOCK_PX for n in channel.shape)
        for row in range(rows):
            for column in range(columns):
                block = np.s_[row * BLOCK_PX : (row + 1) * BLOCK_PX, column * BLOCK_PX : (column + 1) * BLOCK_PX]
                if exposed[block].mean() > 0.9:
                    levels.append(MAD_TO_STD * np.median(curvature[block]))
    return max(float(np.quantile(levels, CALMEST)), ROUNDING) if levels else ROUNDING

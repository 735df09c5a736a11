"""SelfDeblur's own ground: a grey photograph blurred by a small motion, like the pairs of Levin et al. (2009)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from skimage import data
from skimage.transform import downscale_local_mean

from dpcip.baselines.selfdeblur import blur

CORNER = (30, 60)  # of the cut from the shrunk photograph: the cameraman's head and his camera


@dataclass(frozen=True)
class MotionPair:
    """sharp and blurred: float32 [1, H, W] in [0, 1], the latter rounded to 8 bits; kernel: [K, K] of sum 1."""

    sharp: np.ndarray
    blurred: np.ndarray
    kernel: np.ndarray


def motion_kernel(size_px: int) -> np.ndarray:
    """A shaken camera's path: one bend of a sine, [K, K], of sum 1."""
    time, middle = np.linspace(0, 1, 200), (size_px - 1) / 2
    rows = middle + 0.8 * (middle - 0.5) * np.sin(2.2 * np.pi * time - 1)
    columns = middle + (middle - 0.5) * (2 * time - 1)
    kernel = np.zeros((size_px, size_px))
    np.add.at(kernel, (rows.round().astype(int), columns.round().astype(int)), 1)
    return kernel / kernel.sum()


def motion_pair(side_px: int, kernel_px: int) -> MotionPair:
    """A square of scikit-image's cameraman at half its size, blurred by `motion_kernel`, with its surroundings."""
    photograph = downscale_local_mean(data.camera() / 255, (2, 2))
    wide, margin = side_px + kernel_px - 1, kernel_px // 2
    cut = photograph[CORNER[0] : CORNER[0] + wide, CORNER[1] : CORNER[1] + wide].astype(np.float32)
    kernel = motion_kernel(kernel_px)
    blurred = blur(torch.from_numpy(cut)[None], torch.from_numpy(kernel.astype(np.float32))).numpy()
    inside = slice(margin, margin + side_px)
    return MotionPair(cut[None, inside, inside], (blurred * 255).round() / np.float32(255), kernel)

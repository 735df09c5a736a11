"""How much of the picture's texture is found again in a depth map, where the true depth has none."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, maximum_filter

SMOOTH_JUMP = 0.5  # rad; a true step as large is a depth edge
MARGIN_PX = 4  # kept from depth edges, pixels without a measured depth, and the picture's border


def slope(values: np.ndarray) -> np.ndarray:
    """Gradient magnitude of [H, W] by central differences, per px."""
    down, right = np.gradient(values.astype(np.float64))
    return np.hypot(down, right)


def smooth_parts(psi_true: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Pixels [H, W] at least 4 px from any step of the true psi, any unmeasured pixel and the border."""
    steps = np.zeros(psi_true.shape)
    for axis in (0, 1):
        jump = np.abs(np.diff(psi_true, axis=axis))
        for n in (0, 1):  # a step belongs to both its pixels
            part = [slice(None), slice(None)]
            part[axis] = slice(n, n + jump.shape[axis])
            steps[tuple(part)] = np.maximum(steps[tuple(part)], jump)
    near = maximum_filter(steps, 2 * MARGIN_PX + 1) > SMOOTH_JUMP
    inner = binary_erosion(valid, np.ones((2 * MARGIN_PX + 1,) * 2), border_value=False)
    return inner & ~near


def texture_leak(psi: np.ndarray, psi_true: np.ndarray, sharp: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Texture of the true image in the depth found: gradient magnitudes compared where the true depth is smooth.

    leak: Pearson correlation of those of psi [H, W] with those of the grey true image [C, H, W]: 0 for a depth that
    knows nothing of the texture (or is flat), 1 for one that draws it. leak_rad_per_px: how steep the part of psi's
    gradients is that goes with the texture (correlation times their standard deviation): a correlation alone says
    nothing of size. Both NaN if no pixel is far from depth edges.
    """
    where = smooth_parts(psi_true, valid)
    if where.sum() < 2:
        return {"leak": float("nan"), "leak_rad_per_px": float("nan")}
    found, texture = slope(psi)[where], slope(sharp.mean(axis=0))[where]
    spread = float(found.std())
    if spread < 1e-9 or texture.std() < 1e-9:
        return {"leak": 0.0, "leak_rad_per_px": 0.0}
    correlation = float(np.corrcoef(found, texture)[0, 1])
    return {"leak": correlation, "leak_rad_per_px": correlation * spread}

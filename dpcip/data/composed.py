"""Scikit-image's photographs with a depth composed for them, where none was measured."""

from __future__ import annotations

import numpy as np
from skimage import data

from dpcip.data.scenes import Scene
from dpcip.utils.errors import InputError

FAR_M, NEAR_M = 1.3, 0.7  # top and bottom of the slope
OBJECT_M = 0.6  # of what stands before it
OBJECT_RADII = (0.38, 0.22)  # its half axes, as shares of height and width
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea")  # inside scikit-image's package: nothing is downloaded


def composed(name: str) -> Scene:
    """A photograph (astronaut, coffee, chelsea) on a slope, far at the top, with a nearer ellipse in the middle.

    The depth has nothing to do with what the photograph shows: real light and texture, invented distances. Inverse
    depth is linear over the slope. Raises InputError for another name.
    """
    if name not in PHOTOGRAPHS:
        raise InputError(f"there is no photograph '{name}'; choose from {', '.join(PHOTOGRAPHS)}")
    sharp = (getattr(data, name)() / 255).astype(np.float32).transpose(2, 0, 1)
    height, width = sharp.shape[1:]
    y, x = (2 * (np.arange(n) + 0.5) / n - 1 for n in (height, width))  # -1 to 1
    share = np.broadcast_to((y[:, None] + 1) / 2, (height, width))
    depth_m = 1 / ((1 - share) / FAR_M + share / NEAR_M)
    inside = (y[:, None] / OBJECT_RADII[0] / 2) ** 2 + (x / OBJECT_RADII[1] / 2) ** 2 < 1
    depth_m = np.where(inside, OBJECT_M, depth_m)
    return Scene(f"{name} (composed depth)", sharp, depth_m, np.ones(depth_m.shape, dtype=bool))

"""Scenes with known depth, whatever their source: the motorcycle photograph, the published sample, a user's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage import data
from skimage.transform import downscale_local_mean

from dpcip.data.depth_maps import Unit, psi_of_map, read_depth
from dpcip.data.images import read_image
from dpcip.optics.lens import Lens
from dpcip.utils.errors import InputError

# Calibration of the Middlebury "Motorcycle" pair at the size that scikit-image ships (skimage.data.stereo_motorcycle).
MOTORCYCLE_FOCAL_PX = 994.978
MOTORCYCLE_BASELINE_M = 0.193001
MOTORCYCLE_PRINCIPAL_OFFSET_PX = 31.086
# The real scene is 2.1 to 5.0 m deep. A model of it at this scale stands 0.61 to 1.46 m before the camera and gives the
# same photograph, so that every depth is the measured one times a constant, and all of them lie in the coded range.
MOTORCYCLE_SCALE = 0.29

DEPTH_SUFFIXES = (".dpt", ".npy", ".exr", ".tif", ".tiff", ".png")


@dataclass(frozen=True)
class Scene:
    """A sharp photograph and its depth.

    sharp: float32 [3, H, W] in [0, 1]. depth_m: float64 [H, W], metres. valid: bool [H, W], where the depth was
    measured; elsewhere it was filled in, so that a capture can be simulated, and does not count in any error.
    """

    name: str
    sharp: np.ndarray
    depth_m: np.ndarray
    valid: np.ndarray

    @classmethod
    def of(cls, sharp: np.ndarray, depth_m: np.ndarray, name: str = "scene") -> Scene:
        """A picture [L, H, W] in [0, 1] with its depth [H, W] in metres; NaN where the depth is not known.

        There it is filled in from the nearest pixel that has one. Raises InputError if sizes differ or none has one.

        >>> Scene.of(np.full((3, 64, 64), 0.5), np.full((64, 64), 0.8)).psi(Lens()).mean().round(2)
        np.float64(1.25)
        """
        depth_m = np.asarray(depth_m, dtype=np.float64)
        valid = np.isfinite(depth_m)
        if np.ndim(sharp) != 3 or sharp.shape[1:] != depth_m.shape:
            raise InputError(f"{name}: image {np.shape(sharp)}, depth {depth_m.shape}; give [L, H, W] and [H, W]")
        if not valid.any():
            raise InputError(f"{name}: no pixel has a depth; give metres, NaN where they are not known")
        return cls(name, np.asarray(sharp, dtype=np.float32), _filled(depth_m, valid), valid)

    def psi(self, lens: Lens) -> np.ndarray:
        """Defocus of each pixel (rad), not clipped to any range."""
        return lens.psi_from_depth(self.depth_m)

    def middle(self, height: int, width: int) -> Scene:
        """The middle of the scene, at most so large (px)."""
        return Scene(self.name, *(middle(part, height, width) for part in (self.sharp, self.depth_m, self.valid)))

    def at_depth(self, depth_m: float) -> Scene:
        """The same picture as a flat wall at one depth, which is known everywhere."""
        depth = np.full_like(self.depth_m, depth_m)
        return Scene(self.name, self.sharp, depth, np.ones_like(self.valid))

    def reduced(self, factor: int) -> Scene:
        """The scene at 1/`factor` of its width and height: colours averaged, depth taken at the block's centre."""
        height, width = (n // factor * factor for n in self.depth_m.shape)
        centre = slice(factor // 2, None, factor)
        return Scene(
            self.name,
            downscale_local_mean(self.sharp[:, :height, :width], (1, factor, factor)).astype(np.float32),
            self.depth_m[:height, :width][centre, centre],
            self.valid[:height, :width][centre, centre],
        )


def middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of an array [..., H, W], at most so large."""
    top, left = max(image.shape[-2] - height, 0) // 2, max(image.shape[-1] - width, 0) // 2
    return image[..., top : top + height, left : left + width]


def motorcycle() -> Scene:
    """The Middlebury 2014 motorcycle, 741x500: a real photograph with measured disparity, as a 29 % scale model.

    Depth is `scale * focal * baseline / (disparity + offset)`; where no disparity was measured (7.3 % of the pixels)
    it is that of the nearest measured pixel.
    """
    photograph, _, disparity_px = data.stereo_motorcycle()
    valid = np.isfinite(disparity_px)
    filled_px = _filled(disparity_px, valid).astype(np.float64)
    depth_m = MOTORCYCLE_FOCAL_PX * MOTORCYCLE_BASELINE_M / (filled_px + MOTORCYCLE_PRINCIPAL_OFFSET_PX)
    sharp = (photograph / 255).astype(np.float32).transpose(2, 0, 1)
    return Scene("motorcycle", sharp, MOTORCYCLE_SCALE * depth_m, valid)


def _filled(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The values [H, W] with that of the nearest valid pixel where there is none."""
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def read_pair(
    name: str, sharp: Path, depth: Path, unit: Unit, lens: Lens | None = None, metres_per_level: float | None = None
) -> Scene:
    """A scene from two files. Raises InputError naming the file that cannot be read, or if their sizes differ."""
    image, values = read_image(sharp), read_depth(depth, unit, metres_per_level)
    lens = lens or Lens()
    if image.shape[1:] != values.shape:
        raise InputError(
            f"{depth}: is {values.shape[1]}x{values.shape[0]} pixels, {sharp.name} is "
            f"{image.shape[2]}x{image.shape[1]}; they must be the same"
        )
    depth_m = lens.depth_from_psi(psi_of_map(values, unit, lens))
    return Scene(name, image, depth_m, np.ones(values.shape, dtype=bool))


def folder(path: Path, unit: Unit, lens: Lens | None = None) -> Iterator[Scene]:
    """A user's scenes: `path/sharp/NAME.png` (or .tif, .jpg) with `path/depth/NAME.*` in any format of `read_depth`.

    The unit of the depth files is "m" (metres) or "psi". Raises InputError for a missing folder or partner file.
    """
    images = sorted(p for p in (path / "sharp").glob("*") if p.suffix.lower() in (".png", ".tif", ".tiff", ".jpg"))
    if not images:
        raise InputError(
            f"{path}: has no images in {path / 'sharp'}; put NAME.png there and NAME.npy in {path / 'depth'}"
        )
    for image in images:
        partners = [image.parent.parent / "depth" / (image.stem + suffix) for suffix in DEPTH_SUFFIXES]
        depth = next((p for p in partners if p.is_file()), None)
        if depth is None:
            raise InputError(f"{image}: has no depth file of the same name in {path / 'depth'}")
        yield read_pair(image.stem, image, depth, unit, lens)


def published(path: Path) -> Iterator[Scene]:
    """The authors' sample in the layout of their repository: inputs/NAME.png (sharp) and GT/NAME_GT.dpt (psi).

    One image is public (Headbutt_0058, MIT licence; folder `data` of the released code). Raises InputError if `path`
    holds none.
    """
    images = sorted((path / "inputs").glob("*.png"))
    if not images:
        raise InputError(f"{path}: has no images in inputs/; copy the folder 'data' of the released code there")
    for image in images:
        yield read_pair(image.stem, image, path / "GT" / f"{image.stem}_GT.dpt", "psi")

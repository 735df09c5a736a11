"""Depth maps in files: PNG, NumPy, EXR, DPT; in metres or as psi."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import OpenEXR

from dpcip.data.images import describe_channels, read_pixels
from dpcip.optics.lens import Lens
from dpcip.utils.errors import InputError
from dpcip.utils.files import existing_file, one_line, replacing

Unit = Literal["m", "psi"]
DPT_TAG = 202021.25  # first float32 of a .dpt file (the MPI-Sintel depth format)
MILLIMETRE = 0.001  # m per level of an integer depth image, unless told otherwise


def read_depth(path: Path, unit: Unit, metres_per_level: float = MILLIMETRE) -> np.ndarray:
    """A depth or defocus map: float64 [H, W], in metres (unit "m") or psi (unit "psi"), as the file holds it.

    Formats: .dpt (float32), .npy, .exr (channel Z, V, Y or the only one), .tif, and 16-bit PNG, whose integer levels
    are millimetres unless `metres_per_level` says otherwise. Metres may be +inf (sky), psi must be finite.
    """
    existing_file(path, "a depth map")
    suffix = path.suffix.lower()
    readers = {".dpt": _read_dpt, ".npy": _read_npy, ".exr": _read_exr}
    values = readers[suffix](path) if suffix in readers else read_pixels(path)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise InputError(f"{path}: {describe_channels(values)}; a depth map has one")
    if values.dtype == np.uint8 or not (np.issubdtype(values.dtype, np.floating) or values.dtype == np.uint16):
        raise InputError(f"{path}: depth samples are {values.dtype}; use floats or 16-bit integers")
    if values.dtype == np.uint16:
        if unit == "psi":
            raise InputError(f"{path}: psi has a sign and cannot be held in unsigned integers; use .npy, .tif or .dpt")
        values = values * metres_per_level
    values = values.astype(np.float64)
    _check_depth(values, unit, path)
    return values


def _check_depth(values: np.ndarray, unit: Unit, path: Path) -> None:
    if np.isnan(values).any():
        raise InputError(f"{path}: {np.isnan(values).mean():.1%} of the depth map is NaN; fill or crop those pixels")
    if unit == "m" and values.min() <= 0:
        raise InputError(f"{path}: depths go down to {values.min():.4g} m; they must be positive (is the unit psi?)")
    if unit == "psi" and not np.isfinite(values).all():
        raise InputError(f"{path}: psi contains infinity; clip it to the camera's range")


def _read_dpt(path: Path) -> np.ndarray:
    raw = path.read_bytes()
    if len(raw) < 12 or np.frombuffer(raw, "<f4", 1)[0] != np.float32(DPT_TAG):
        raise InputError(f"{path}: is not a .dpt file (its first number must be {DPT_TAG}); export it again")
    width, height = (int(n) for n in np.frombuffer(raw, "<i4", 2, offset=4))
    if width <= 0 or height <= 0 or len(raw) != 12 + 4 * width * height:
        raise InputError(f"{path}: {len(raw)} bytes do not hold {width}x{height} float32 values; copy the file again")
    return np.frombuffer(raw, "<f4", offset=12).reshape(height, width)


def write_dpt(path: Path, values: np.ndarray) -> None:
    """Writes [H, W] as a .dpt file (float32, the MPI-Sintel depth layout)."""
    height, width = values.shape
    header = np.float32(DPT_TAG).tobytes() + np.array([width, height], "<i4").tobytes()
    with replacing(path) as temporary:
        temporary.write_bytes(header + values.astype("<f4").tobytes())


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read as .npy ({one_line(error)}); save it with numpy.save") from error


def _read_exr(path: Path) -> np.ndarray:
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except Exception as error:  # the binding raises bare exceptions
        raise InputError(f"{path}: cannot be read as OpenEXR ({one_line(error)}); export it again") from error
    for name in ("Z", "V", "Y", *(channels if len(channels) == 1 else ())):
        if name in channels:
            return np.asarray(channels[name], dtype=np.float32)
    raise InputError(f"{path}: has channels {', '.join(sorted(channels))}; name the depth channel Z")


def psi_of_map(values: np.ndarray, unit: Unit, lens: Lens) -> np.ndarray:
    """Defocus psi of a map in either unit, unclipped."""
    return lens.psi_from_depth(values) if unit == "m" else values

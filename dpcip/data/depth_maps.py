"""Depth maps in files: PNG, TIFF, NumPy, EXR, DPT; in metres or as psi; with holes where nobody measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import OpenEXR

from dpcip.data.images import describe_channels, load_array, read_pixels
from dpcip.optics.lens import Lens
from dpcip.utils.errors import InputError
from dpcip.utils.files import existing_file, one_line, replacing
from dpcip.utils.quiet import silenced

Unit = Literal["m", "psi"]
DPT_TAG = 202021.25  # first float32 of a .dpt file (the MPI-Sintel depth format)
MILLIMETRE = 0.001  # m per level of an integer depth image, unless told otherwise
# Metres a number, as others write depth: what a map that leaves the camera's range may have been meant in.
USUAL_SCALES = {
    "metres": 1.0,
    "millimetres": MILLIMETRE,
    "centimetres": 0.01,
    "metres times 256, as KITTI's": 1 / 256,
    "metres times 5000, as TUM's": 1 / 5000,
    "tenths of a millimetre": 1e-4,
    "micrometres": 1e-6,
}
LARGEST = 65535.0
LEAST_IN_RANGE = 0.05  # share of the pixels: a map with fewer is of another unit, or of another camera
RANGE_MARGIN = 0.5  # rad beyond the bank's planes that still counts as within


def scale_of(values: np.ndarray) -> float:
    """Metres a number of a file's depth values [H, W], where nobody told them: integers are millimetres."""
    return MILLIMETRE if np.issubdtype(values.dtype, np.integer) else 1.0


def read_depth(
    path: Path,
    unit: Unit,
    metres_per_level: float | None = None,
    *,
    invalid: Sequence[float] = (),
    holes: bool = False,
) -> np.ndarray:
    """A depth or defocus map: float64 [H, W], in metres (unit "m") or psi (unit "psi"), upright.

    Formats: .dpt (float32), .npy, .npz, .exr (channel Z, V, depth or the only one), .tif, and 16-bit PNG.
    metres_per_level: what the file's numbers are multiplied by; None: integers are millimetres, floats metres. Metres
    may be +inf (sky), psi must be finite. NaN, the numbers in `invalid` (as the file counts) and 0 metres are holes:
    NaN in the result with `holes`, else refused. Raises InputError.
    """
    values = _stored(path)
    if unit == "psi" and np.issubdtype(values.dtype, np.integer):
        raise InputError(f"{path}: psi has a sign and cannot be held in unsigned integers; use .npy, .tif or .dpt")
    unknown = np.isin(values, list(invalid)) | (np.isnan(values) if values.dtype.kind == "f" else False)
    if unit == "m":
        unknown |= values == 0
    depth = values.astype(np.float64)
    if unit == "m":
        depth = depth * (scale_of(values) if metres_per_level is None else metres_per_level)
    if unknown.all():
        raise InputError(f"{path}: no pixel holds a depth (all are 0, NaN or --depth-invalid); export it again")
    if unknown.any() and not holes:
        raise InputError(
            f"{path}: {unknown.mean():.1%} of the depth map is NaN, 0 or --depth-invalid, no depth, which is needed "
            "everywhere here; fill or crop those pixels"
        )
    _check_depth(depth[~unknown], unit, path)
    return np.where(unknown, np.nan, depth) if unknown.any() else depth


def _stored(path: Path) -> np.ndarray:
    """A depth file's numbers as they are, [H, W]: floats, or unsigned integers of 16 or 32 bits."""
    existing_file(path, "a depth map")
    suffix = path.suffix.lower()
    readers = {".dpt": _read_dpt, ".npy": load_array, ".npz": load_array, ".exr": _read_exr}
    values = readers.get(suffix, read_pixels)(path)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise InputError(f"{path}: {describe_channels(values)}; a depth map has one")
    if not (np.issubdtype(values.dtype, np.floating) or values.dtype in (np.uint16, np.uint32)):
        raise InputError(f"{path}: depth samples are {values.dtype}; use floats or 16-bit integers")
    return values


def at_largest(path: Path) -> int:
    """How many pixels of a file of 16-bit integers hold 65535: far away with some cameras, no depth with others."""
    values = _stored(path)
    return int((values == LARGEST).sum()) if values.dtype == np.uint16 else 0


def _check_depth(values: np.ndarray, unit: Unit, path: Path) -> None:
    if unit == "m" and values.min() <= 0:
        raise InputError(f"{path}: depths go down to {values.min():.4g} m; they must be positive (is the unit psi?)")
    if unit == "psi" and not np.isfinite(values).all():
        raise InputError(f"{path}: psi contains infinity; clip it to the camera's range")


def check_range(
    path: Path, values: np.ndarray, unit: Unit, lens: Lens, psi_range: tuple[float, float], scale: float | None = None
) -> None:
    """Raises InputError if nearly all of a map lies beyond what the camera codes, naming the unit that would fit.

    values: [H, W], as `read_depth` gives them, NaN where there is none; scale: the metres_per_level they were read
    with. A map in millimetres taken for metres is one plane at the end of the range: a wrong result that looks right.
    """
    low, high = (psi_range[0] - RANGE_MARGIN, psi_range[1] + RANGE_MARGIN)
    known = values[np.isfinite(values) & (values != 0)] if unit == "m" else values[np.isfinite(values)]

    def inside(depth_m: np.ndarray) -> float:
        psi = lens.psi_from_depth(depth_m)
        return float(((psi >= low) & (psi <= high)).mean())

    share = inside(known) if unit == "m" and known.size else float(((known >= low) & (known <= high)).mean())
    if known.size and share >= LEAST_IN_RANGE:
        return
    numbers = f"{values[~np.isnan(values)].min():.4g} to {values[~np.isnan(values)].max():.4g} {_NAMES[unit]}"
    near, far = (lens.depth_from_psi(psi) for psi in psi_range[::-1])
    told = f"{path}: {1 - share:.0%} of it ({numbers}) lies beyond the camera's range"
    ranged = f"psi {psi_range[0]:g} to {psi_range[1]:g} rad, {near:.3g} to {far:.3g} m"
    raise InputError(f"{told}, {ranged}; {_remedy(path, known, unit, inside, (low, high), scale)}")


_NAMES = {"m": "m", "psi": "rad"}


def _remedy(
    path: Path,
    known: np.ndarray,
    unit: Unit,
    inside: Callable[[np.ndarray], float],
    limits: tuple[float, float],
    scale: float | None,
) -> str:
    """What to do about a map beyond the range: the unit whose numbers would lie in it, if there is one."""
    stored = known / (scale_of(_stored(path)) if scale is None else scale) if unit == "m" else known
    positive = stored[stored > 0]
    if positive.size > stored.size / 2:
        shares = {name: inside(positive * factor) for name, factor in USUAL_SCALES.items()}
        best = max(shares, key=shares.__getitem__)
        if shares[best] > 0.5:
            unit_told = "--unit m " if unit == "psi" else ""
            return f"if it holds {best}, give {unit_told}--depth-scale {USUAL_SCALES[best]:.6g}"
    if unit == "m" and ((stored >= limits[0]) & (stored <= limits[1])).mean() > 0.5:
        return "if it holds psi, give --unit psi"
    return "check --unit, --depth-scale, --depth-invalid and the lens, or clip it to the range if it is so"


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


def _read_exr(path: Path) -> np.ndarray:
    try:
        with silenced(), OpenEXR.File(str(path), separate_channels=True) as file:
            parts = range(len(file.parts))
            channels = {name: channel.pixels for part in parts for name, channel in file.channels(part).items()}
    except Exception as error:  # the binding raises bare exceptions
        raise InputError(f"{path}: cannot be read as OpenEXR ({one_line(error)[:120]}); export it again") from error
    if not channels:
        raise InputError(f"{path}: is damaged, no channel of it can be read; export it again")
    return np.asarray(channels[_depth_channel(path, list(channels))])


def _depth_channel(path: Path, names: list[str]) -> str:
    """The channel that holds the depth: Z or V, alone or of a layer, one called depth, or the only one."""
    for known in ("z", "v", "depth"):
        found = [name for name in names if name.lower().split(".")[-1] == known]
        if len(found) == 1:
            return found[0]
        if found:
            break
    if len(names) == 1:
        return names[0]
    raise InputError(f"{path}: has channels {', '.join(sorted(names))}; name the depth channel Z, and only one so")


def psi_of_map(values: np.ndarray, unit: Unit, lens: Lens) -> np.ndarray:
    """Defocus psi of a map in either unit, unclipped."""
    return lens.psi_from_depth(values) if unit == "m" else values

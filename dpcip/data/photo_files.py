"""A user's photograph as the solver needs it: read from PNG, TIFF, JPEG or raw, cropped, and made linear in light."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dpcip.data.images import MOST_SATURATED, Samples, check_size, load_array, read_samples, unused_levels
from dpcip.data.tone_curve import ToneCurve
from dpcip.utils.errors import InputError
from dpcip.utils.files import existing_file, one_line

JPEG_SUFFIXES = (".jpg", ".jpeg")
RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
OPTIONS = ("gamma", "black", "white", "roi")
WHITE_PERCENTILE = 99.9
MOST_BELOW_BLACK = 0.05  # share of the pixels: dark parts, whose noise goes below
DIM = 0.5  # of full scale: a photograph that stays below it is taken for one in another unit
RAW_WHITE = 65535.0  # LibRaw's 16-bit output is scaled to it
ORIENTATION_OF_FLIP = {3: 3, 5: 8, 6: 6}  # Exif's number of LibRaw's: half a turn, a quarter left, a quarter right

log = logging.getLogger("dpcip")


@dataclass(frozen=True)
class Reading:
    """What turns a file's levels into light.

    tone: the file's tone curve. black, white: the levels, as the file counts them (0 to 255, 0 to 65535, or 0 to 1 for
    floats), that mean no light and full scale; None: 0 and the largest that the format holds. roi: x, y, width and
    height in pixels of the part that is used, from the upper left corner; None: all.
    """

    tone: ToneCurve = field(default_factory=ToneCurve)
    black: float | None = None
    white: float | None = None
    roi: tuple[int, int, int, int] | None = None

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Reading:
        """From options as people write them: gamma, black, white, and roi as "X,Y,W,H" or a list, each optional.

        Raises InputError for an unknown option or one that cannot be understood.
        """
        unknown = set(options) - set(OPTIONS)
        if unknown:
            raise InputError(f"unknown option {', '.join(sorted(map(str, unknown)))}; known are {', '.join(OPTIONS)}")
        black, white = (_level(name, options.get(name)) for name in ("black", "white"))
        return cls(ToneCurve.parse(options.get("gamma", 1.0)), black, white, _roi(options.get("roi")))


def _level(name: str, value: object) -> float | None:
    if value is None or (isinstance(value, int | float) and np.isfinite(value)):
        return None if value is None else float(value)
    raise InputError(f"{name}: {value!r} is no level; give a number, as the file counts")


def _roi(value: object) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    try:
        x, y, width, height = (int(str(part)) for part in parts)  # type: ignore[attr-defined]
    except (TypeError, ValueError) as error:
        raise InputError(f"roi: {value!r} is not four whole numbers; give X,Y,W,H in pixels") from error
    return x, y, width, height


def read_photo(
    path: Path, reading: Reading, n_channels: int = 3, views: Sequence[Path] = ()
) -> tuple[np.ndarray, dict[str, object]]:
    """The photograph's light, float32 [C, H, W] in [0, 1], and what was done to get it, ready for a report.

    PNG and TIFF of 8 or 16 bits, TIFF of floats in [0, 1], JPEG (with a warning), .npy and .npz [C, H, W] or [H, W],
    and raw files (through the optional package rawpy). views: grey files of the other channels, of the same kind as
    `path` is then, too. What a file says of its orientation is heeded, and a region counts in the upright picture.
    `light = tone.decode((level - black) / (white - black))`, cut off at 0 and 1. An array of
    floats need not be scaled: see `_white_of`. Raises InputError for a file that cannot be used, another number of
    channels, a black level not below white, or a region that reaches beyond the picture.
    """
    suffix = path.suffix.lower()
    if suffix in JPEG_SUFFIXES:
        log.warning(f"{path}: is a JPEG; its compression leaves marks that no camera model explains: use PNG or raw")
    is_raw = suffix in RAW_SUFFIXES
    if is_raw and reading.tone.gamma != 1:
        raise InputError(f"{path}: raw files are linear in light; leave --gamma out")
    if views:
        samples, highest, orientation = _stacked([path, *views], n_channels)
    else:
        samples, highest, orientation = _develop(path, reading.black) if is_raw else read_samples(path, n_channels)
    kind = str(samples.dtype)
    found = _white_of(samples, path, reading) if highest == np.inf and reading.white is None else None
    black = 0.0 if is_raw or reading.black is None else reading.black  # LibRaw has subtracted a raw file's
    white = reading.white if reading.white is not None else found or highest
    if not 0 <= black < white <= highest:
        raise InputError(
            f"{path}: black level {black:g} and white level {white:g}; they must rise, within 0 to {highest:g}"
        )
    if not is_raw:
        _check_full_scale(samples, highest, path, reading.white)
    samples = _cropped(samples, reading.roi, path)
    check_size(samples.shape[:2], str(path))
    if samples.dtype != np.float64:
        samples = samples.astype(np.float32)
    values = ((samples.transpose(2, 0, 1) - black) / (white - black)).clip(0, 1).astype(np.float32)
    light = np.ascontiguousarray(reading.tone.decode(values), dtype=np.float32)
    record: dict[str, object] = {
        "file": ", ".join(file.name for file in (path, *views)),
        "samples": "raw" if is_raw else kind,
        "gamma": reading.tone.gamma,
        "black": reading.black if is_raw else black,
        "white": white,
        "roi": list(reading.roi) if reading.roi else None,
        "written_with_gamma": reading.tone.gamma,  # all_in_focus.png and the preview look like the photograph
    }
    if found is not None and found != 1:
        record["white_found"] = True  # by dpcip: the result is in shares of it, too
    if orientation != 1:
        record["orientation"] = orientation  # of the file; the result is upright
    return light, record


def _check_full_scale(samples: np.ndarray, highest: float, path: Path, white: float | None) -> None:
    """Raises InputError where the histogram says that the white level is not what was told or taken for it.

    The whole picture decides, whatever part of it is used.
    """
    if white is None:
        if told := unused_levels(samples, highest):
            raise InputError(
                f"{path}: holds 16 bits, but its levels end at {samples.max()}; give --white {told:g} if its sensor's "
                f"full scale is that, or --white {highest:g} if it is so dark"
            )
    elif (share := float((samples >= white).mean())) > MOST_SATURATED and samples.max() > white:
        raise InputError(
            f"{path}: white level {white:g} leaves {share:.0%} of it saturated; its levels go to {samples.max():g}: "
            "give --white as the file counts"
        )


def _stacked(files: list[Path], n_channels: int) -> Samples:
    """Grey files of one kind, one a channel, as `read_samples` would give them."""
    if len(files) != n_channels:
        raise InputError(f"{files[0]}: {len(files)} files for PSFs of {n_channels} channels; match them")
    parts = [read_samples(file, 1) for file in files]
    first, highest, orientation = parts[0]
    for file, (samples, its_highest, its_orientation) in zip(files, parts, strict=True):
        if samples.shape != first.shape:
            sizes = [f"{s.shape[1]}x{s.shape[0]}" for s in (samples, first)]
            raise InputError(f"{file}: is {sizes[0]} pixels, {files[0]} {sizes[1]}; match them")
        if samples.dtype != first.dtype:
            raise InputError(f"{file}: samples are {samples.dtype}, those of {files[0]} {first.dtype}; save them alike")
        if (its_highest, its_orientation) != (highest, orientation):
            raise InputError(f"{file}: has other bits or another orientation than {files[0]}; save them alike")
    return Samples(np.concatenate([part.levels for part in parts], axis=2), highest, orientation)


def _white_of(samples: np.ndarray, path: Path, reading: Reading) -> float:
    """Full scale of an array of floats, where nobody told it: 1 if that fits its values, else their 99.9th percentile.

    Sensors' light comes in any unit; noise and the limits of what is possible are counted in shares of full scale.
    The whole picture decides, whatever part of it is used. Raises InputError if much of it lies below black.
    """
    below = float((samples < (reading.black or 0)).mean())
    if below > MOST_BELOW_BLACK:
        raise InputError(f"{path}: {below:.0%} of its values lie below black; add what was subtracted, or give --black")
    brightest = float(np.percentile(samples, WHITE_PERCENTILE))
    if (brightest >= DIM and samples.max() <= 1) or brightest <= 0:
        return 1.0
    log.info(
        f"{path}: values up to {samples.max():.3g}; full scale is taken to be {brightest:.4g} (--white says other)"
    )
    return brightest


def common_white(paths: Sequence[Path]) -> float | None:
    """One full scale for all arrays of floats among the files, whose ratios mean something; None if there are none.

    1 if that fits their values, else the largest of all.
    """
    arrays = [load_array(path) for path in paths if path.suffix.lower() in (".npy", ".npz")]
    brightest = max((float(np.nanmax(a)) for a in arrays if a.dtype.kind == "f"), default=None)
    return brightest if brightest is None or not DIM <= brightest <= 1 else 1.0


def _cropped(samples: np.ndarray, roi: tuple[int, int, int, int] | None, path: Path) -> np.ndarray:
    if roi is None:
        return samples
    x, y, width, height = roi
    rows, columns = samples.shape[:2]
    if min(x, y) < 0 or min(width, height) < 1 or x + width > columns or y + height > rows:
        raise InputError(f"{path}: region {x},{y},{width},{height} is not within its {columns}x{rows} pixels")
    return samples[y : y + height, x : x + width]


def _develop(path: Path, black: float | None) -> Samples:
    """A raw file demosaiced, linear, in the sensor's own colours: uint16 [H, W, 3], and the level of white.

    The camera's white balance scales the channels, so that a grey scene is grey; no colour matrix mixes them, since
    each has PSFs of its own. Turned upright, as all files are.
    """
    existing_file(path, "a photograph")
    try:
        import rawpy
    except ImportError as error:
        raise InputError(f"{path}: raw files need the package rawpy; pip install 'dpcip[raw]'") from error
    try:
        with rawpy.imread(str(path)) as raw:
            pixels = raw.postprocess(
                gamma=(1, 1),
                no_auto_bright=True,
                output_bps=16,
                output_color=rawpy.ColorSpace.raw,
                use_camera_wb=True,
                user_black=None if black is None else round(black),
            )
            orientation = ORIENTATION_OF_FLIP.get(raw.sizes.flip, 1)
    except (rawpy.LibRawError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a raw file ({one_line(error)}); export it as TIFF") from error
    return Samples(pixels, RAW_WHITE, orientation)

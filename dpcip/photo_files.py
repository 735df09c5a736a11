"""A user's photograph as the solver needs it: read from PNG, TIFF, JPEG or raw, cropped, and made linear in light."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dpcip.errors import InputError
from dpcip.io import check_size, existing_file, one_line, read_samples
from dpcip.linearise import ToneCurve

JPEG_SUFFIXES = (".jpg", ".jpeg")
RAW_SUFFIXES = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
OPTIONS = ("gamma", "black", "white", "roi")
WHITE_PERCENTILE = 99.9
DIM = 0.5  # of full scale: a photograph that stays below it is taken for one in another unit
RAW_WHITE = 65535.0  # LibRaw's 16-bit output is scaled to it

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


def read_photo(path: Path, reading: Reading, n_channels: int = 3) -> tuple[np.ndarray, dict[str, object]]:
    """The photograph's light, float32 [C, H, W] in [0, 1], and what was done to get it, ready for a report.

    PNG and TIFF of 8 or 16 bits, TIFF of floats in [0, 1], JPEG (with a warning), .npy and .npz [C, H, W] or [H, W],
    and raw files (through the optional package rawpy). `light = tone.decode((level - black) / (white - black))`, cut
    off at 0 and 1. An array of floats need not be scaled: see `_white_of`. Raises InputError for a file that cannot be
    used, another number of channels, a black level not below white, or a region that reaches beyond the picture.
    """
    suffix = path.suffix.lower()
    if suffix in JPEG_SUFFIXES:
        log.warning(f"{path}: is a JPEG; its compression leaves marks that no camera model explains: use PNG or raw")
    is_raw = suffix in RAW_SUFFIXES
    if is_raw and reading.tone.gamma != 1:
        raise InputError(f"{path}: raw files are linear in light; leave --gamma out")
    samples, highest = _develop(path, reading.black) if is_raw else read_samples(path, n_channels)
    kind = str(samples.dtype)
    samples = _cropped(samples, reading.roi, path)
    check_size(samples.shape[:2], str(path))
    black = 0.0 if is_raw or reading.black is None else reading.black  # LibRaw has subtracted a raw file's
    white = reading.white if reading.white is not None else _white_of(samples, path) if highest == np.inf else highest
    if not 0 <= black < white <= highest:
        raise InputError(
            f"{path}: black level {black:g} and white level {white:g}; they must rise, within 0 to {highest:g}"
        )
    values = (samples.transpose(2, 0, 1).astype(np.float32) - np.float32(black)) / np.float32(white - black)
    light = np.ascontiguousarray(reading.tone.decode(values.clip(0, 1)), dtype=np.float32)
    record: dict[str, object] = {
        "file": path.name,
        "samples": "raw" if is_raw else kind,
        "gamma": reading.tone.gamma,
        "black": reading.black if is_raw else black,
        "white": white,
        "roi": list(reading.roi) if reading.roi else None,
        "written_with_gamma": reading.tone.gamma,  # all_in_focus.png and the preview look like the photograph
    }
    return light, record


def _white_of(samples: np.ndarray, path: Path) -> float:
    """Full scale of an array of floats, where nobody told it: 1 if that fits its values, else their 99.9th percentile.

    Sensors' light comes in any unit; noise and the limits of what is possible are counted in shares of full scale.
    """
    brightest = float(np.percentile(samples, WHITE_PERCENTILE))
    if (brightest >= DIM and samples.max() <= 1) or brightest <= 0:
        return 1.0
    log.info(
        f"{path}: values up to {samples.max():.3g}; full scale is taken to be {brightest:.4g} (--white says other)"
    )
    return brightest


def _cropped(samples: np.ndarray, roi: tuple[int, int, int, int] | None, path: Path) -> np.ndarray:
    if roi is None:
        return samples
    x, y, width, height = roi
    rows, columns = samples.shape[:2]
    if min(x, y) < 0 or min(width, height) < 1 or x + width > columns or y + height > rows:
        raise InputError(f"{path}: region {x},{y},{width},{height} is not within its {columns}x{rows} pixels")
    return samples[y : y + height, x : x + width]


def _develop(path: Path, black: float | None) -> tuple[np.ndarray, float]:
    """A raw file demosaiced, linear, in the sensor's own colours: uint16 [H, W, 3], and the level of white.

    The camera's white balance scales the channels, so that a grey scene is grey; no colour matrix mixes them, since
    each has PSFs of its own; nothing is turned upright, since the PSFs are the sensor's.
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
                user_flip=0,
            )
    except (rawpy.LibRawError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a raw file ({one_line(error)}); export it as TIFF") from error
    return pixels, RAW_WHITE

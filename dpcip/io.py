"""Reading and writing images and depth maps, each fault told in one line."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import OpenEXR
import tifffile
from filelock import FileLock, Timeout
from PIL import Image
from tifffile import PHOTOMETRIC

from dpcip.errors import InputError
from dpcip.optics import Lens

Unit = Literal["m", "psi"]

DPT_TAG = 202021.25  # first float32 of a .dpt file (the MPI-Sintel depth format)
MIN_SIDE_PX = 64  # the generator halves an image five times and needs two pixels left
MOST_CHANNELS = 4  # that the last axis of an array may have to be taken for them
MILLIMETRE = 0.001  # m per level of an integer depth image, unless told otherwise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` on success: a kill leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def existing_file(path: Path, what: str) -> Path:
    """The path, if it is that of a file; else raises InputError that asks for the path of `what`."""
    if not path.exists():
        raise InputError(f"{path}: no such file; give the path of {what}")
    if not path.is_file():
        raise InputError(f"{path}: is not a file; give the path of {what}")
    return path


def _pixels(path: Path) -> np.ndarray:
    """The stored samples of a PNG, JPEG, TIFF or other image, bit depth and channel count as in the file, RGB order."""
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as file:
                _check_tiff(file, path)
                with suppress(ValueError):  # LZW and the like: OpenCV reads them
                    return _channels_last(file.series[0].asarray(), file.series[0].axes)
                if len(file.pages) > 1:
                    raise InputError(f"{path}: has {len(file.pages)} compressed pages; save them without compression")
        else:
            with Image.open(path) as image:  # Pillow says what is wrong with a file; OpenCV keeps 16 bits
                image.load()
                if image.mode in ("LA", "PA", "La"):
                    raise InputError(f"{path}: has an alpha channel; save it without")
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    except InputError:
        raise
    except Exception as error:  # each decoder has its own exceptions
        raise InputError(f"{path}: cannot be read as an image ({one_line(error)}); export it again") from error
    if pixels is None:
        raise InputError(f"{path}: cannot be read as an image; save it as PNG or TIFF")
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]


def _check_tiff(file: tifffile.TiffFile, path: Path) -> None:
    """Raises InputError for a TIFF of which a reader of plain pictures would take a part, or the wrong thing."""
    page, n_pages = file.pages.first, len(file.pages)
    if page.subifds:
        raise InputError(f"{path}: holds another picture within its first one (a thumbnail?); export the one you want")
    if len(file.series) > 1 or len(file.series[0].pages) != n_pages:
        raise InputError(f"{path}: has {n_pages} pages, not alike or no stack; save the one you want alone")
    if page.photometric not in (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR):
        words = PHOTOMETRIC(page.photometric).name.lower()
        raise InputError(f"{path}: its samples are no plain light ({words}); save it as RGB or grey, black being 0")
    if page.extrasamples:
        raise InputError(f"{path}: has {page.samplesperpixel} channels (an alpha channel?); save it without alpha")


def _channels_last(pixels: np.ndarray, axes: str) -> np.ndarray:
    """A TIFF's planes or grey pages, which come first, moved behind rows and columns."""
    return np.moveaxis(pixels, 0, -1) if len(axes) == 3 and axes.endswith("YX") else pixels


def one_line(error: Exception) -> str:
    """The error's message without line breaks, or its kind."""
    return " ".join(str(error).split()) or type(error).__name__


def read_samples(path: Path, n_channels: int | None = 3) -> tuple[np.ndarray, float]:
    """The samples of an image as the file holds them, [H, W, C], and the largest level that its format has.

    8 or 16-bit integers (255, 65535), or floats in [0, 1] (1), of PNG, JPEG or TIFF, whose grey pages are channels; or
    of .npy and .npz of one array, [H, W] or [C, H, W], whose finite floats may have any size (inf). n_channels: how
    many there must be, None: any number. Raises InputError for anything else: alpha, missing channels, NaN, floats of
    a picture out of range.
    """
    existing_file(path, "a photograph")
    is_array = path.suffix.lower() in (".npy", ".npz")
    pixels = _read_array(path) if is_array else _pixels(path)
    if not (pixels.dtype in (np.uint8, np.uint16) or np.issubdtype(pixels.dtype, np.floating)):
        raise InputError(f"{path}: samples are {pixels.dtype}; save 8 or 16-bit integers, or floats in [0, 1]")
    if pixels.ndim == 2 and n_channels != 3:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or (n_channels and pixels.shape[2] != n_channels):
        raise InputError(f"{path}: {_describe_channels(pixels)}; {_asked(n_channels)}")
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels, float(np.iinfo(pixels.dtype).max)
    if not np.isfinite(pixels).all():
        raise InputError(f"{path}: contains NaN or infinity; fill those pixels first")
    if is_array:
        return pixels, math.inf
    if pixels.min() < 0 or pixels.max() > 1:
        raise InputError(f"{path}: values run from {pixels.min():.3g} to {pixels.max():.3g}; scale them to [0, 1]")
    return pixels, 1.0


def read_image(path: Path, n_channels: int | None = 3) -> np.ndarray:
    """An image: float32 [C, H, W] in [0, 1] from 8 or 16-bit integers, or from floats already in [0, 1].

    n_channels: see `read_samples`. Raises InputError for anything else: alpha or missing channels, NaN, values out of
    range, a side under 64 pixels.
    """
    pixels, highest = read_samples(path, n_channels)
    check_size(pixels.shape[:2], str(path))
    if math.isinf(highest):
        if pixels.min() < 0 or pixels.max() > 1:
            raise InputError(f"{path}: values run from {pixels.min():.3g} to {pixels.max():.3g}; scale them to [0, 1]")
        highest = 1.0
    return np.ascontiguousarray((pixels.astype(np.float32) / np.float32(highest)).transpose(2, 0, 1))


def _read_array(path: Path) -> np.ndarray:
    """The array of a .npy file, or the only one of an .npz, channels moved behind rows and columns."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded as archive:
                names = list(archive.keys())
                if len(names) != 1:
                    raise InputError(f"{path}: holds {len(names)} arrays {names[:5]}; save the photograph alone")
                loaded = archive[names[0]]
            if not isinstance(loaded, np.ndarray):
                raise InputError(f"{path}: holds {names[0]}, which is no array; use numpy.save")
    except InputError:
        raise
    except Exception as error:  # zip, zlib, header: each has its own
        raise InputError(f"{path}: cannot be read as an array ({one_line(error)}); use numpy.save") from error
    if loaded.size == 0 or loaded.ndim not in (2, 3):
        raise InputError(f"{path}: has shape {loaded.shape}; a photograph is [H, W] or [C, H, W]")
    if loaded.ndim == 3 and loaded.shape[2] <= MOST_CHANNELS < loaded.shape[0]:
        raise InputError(f"{path}: has shape {loaded.shape}, channels last; transpose it to [C, H, W]")
    loaded = loaded.astype(loaded.dtype.newbyteorder("="), copy=False)
    return np.moveaxis(loaded, 0, -1) if loaded.ndim == 3 else loaded


def _asked(n_channels: int | None) -> str:
    if n_channels in (3, None):
        return "save it as plain RGB without alpha"
    if n_channels == 1:
        return "one is wanted: save it as a grey image"
    return f"{n_channels} are wanted: so many grey files or pages, or .npy [{n_channels}, H, W]"


def _describe_channels(pixels: np.ndarray) -> str:
    if pixels.ndim == 2:
        return "is a grey image with one channel"
    if pixels.ndim == 3:
        n = pixels.shape[2]
        return f"has {n} channel{'s' * (n != 1)}" + (" (an alpha channel?)" if n in (2, 4) else "")
    return f"has shape {pixels.shape}"


def check_size(shape: tuple[int, ...], name: str) -> None:
    """Raises InputError if an image of `shape` (H, W) is too small for the generator."""
    if min(shape) < MIN_SIDE_PX:
        raise InputError(f"{name}: is {shape[1]}x{shape[0]} pixels; both sides must be at least {MIN_SIDE_PX}")


def write_image(path: Path, image: np.ndarray, bits: int = 8) -> None:
    """Writes float [C, H, W] in [0, 1] as a PNG (`path` ends in .png) of 8 bits, or of 16 if `bits` > 8.

    Three channels are RGB, one is grey; the mean of any other number is, too: `path` is then there to be looked at.
    """
    if len(image) not in (1, 3):
        image = image.mean(axis=0, keepdims=True)
    dtype = np.uint8 if bits <= 8 else np.uint16
    levels = np.iinfo(dtype).max
    pixels = np.round(np.clip(image, 0, 1).transpose(1, 2, 0) * levels).astype(dtype)
    with replacing(path) as temporary:
        if not cv2.imwrite(str(temporary), pixels[..., ::-1]):
            raise InputError(f"{path}: cannot be written; check the folder and the free space")


def read_depth(path: Path, unit: Unit, metres_per_level: float = MILLIMETRE) -> np.ndarray:
    """A depth or defocus map: float64 [H, W], in metres (unit "m") or psi (unit "psi"), as the file holds it.

    Formats: .dpt (float32), .npy, .exr (channel Z, V, Y or the only one), .tif, and 16-bit PNG, whose integer levels
    are millimetres unless `metres_per_level` says otherwise. Metres may be +inf (sky), psi must be finite.
    """
    existing_file(path, "a depth map")
    suffix = path.suffix.lower()
    readers = {".dpt": _read_dpt, ".npy": _read_npy, ".exr": _read_exr}
    values = readers[suffix](path) if suffix in readers else _pixels(path)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise InputError(f"{path}: {_describe_channels(values)}; a depth map has one")
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


def write_npy(path: Path, values: np.ndarray) -> None:
    """Writes an array as .npy."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)


def psi_of_map(values: np.ndarray, unit: Unit, lens: Lens) -> np.ndarray:
    """Defocus psi of a map in either unit, unclipped."""
    return lens.psi_from_depth(values) if unit == "m" else values


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Makes the folder and holds it against a second solve, by a lock file in the system's temporary folder."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; give --out a folder for the results")
    out.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"dpcip-{name}.lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"{out}: another solve is writing there; wait for it or choose another folder") from error

"""Reading and writing images and depth maps, each fault told in one line."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image
from tifffile import PHOTOMETRIC

from dpcip.utils.errors import InputError
from dpcip.utils.files import existing_file, one_line, replacing

MIN_SIDE_PX = 64  # the generator halves an image five times and needs two pixels left
MOST_CHANNELS = 4  # that the last axis of an array may have to be taken for them


def read_pixels(path: Path) -> np.ndarray:
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


def read_samples(path: Path, n_channels: int | None = 3) -> tuple[np.ndarray, float]:
    """The samples of an image as the file holds them, [H, W, C], and the largest level that its format has.

    8 or 16-bit integers (255, 65535), or floats in [0, 1] (1), of PNG, JPEG or TIFF, whose grey pages are channels; or
    of .npy and .npz of one array, [H, W] or [C, H, W], whose finite floats may have any size (inf). n_channels: how
    many there must be, None: any number. Raises InputError for anything else: alpha, missing channels, NaN, floats of
    a picture out of range.
    """
    existing_file(path, "a photograph")
    is_array = path.suffix.lower() in (".npy", ".npz")
    pixels = _read_array(path) if is_array else read_pixels(path)
    if not (pixels.dtype in (np.uint8, np.uint16) or np.issubdtype(pixels.dtype, np.floating)):
        raise InputError(f"{path}: samples are {pixels.dtype}; save 8 or 16-bit integers, or floats in [0, 1]")
    if pixels.ndim == 2 and n_channels != 3:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or (n_channels and pixels.shape[2] != n_channels):
        raise InputError(f"{path}: {describe_channels(pixels)}; {_asked(n_channels)}")
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


def describe_channels(pixels: np.ndarray) -> str:
    """What is odd about the channels of pixels as read, for a message: "has 4 channels (an alpha channel?)"."""
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

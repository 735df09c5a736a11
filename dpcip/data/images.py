"""Reading and writing images and depth maps, each fault told in one line.

One reader a format: tifffile for TIFF, imagecodecs for PNG (Pillow has no colour of 16 bits), Pillow for the rest. What
a file says of its orientation is heeded in all of them, so that rows and columns are those that a viewer shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError
from tifffile import COMPRESSION, PHOTOMETRIC

from dpcip.utils.errors import InputError
from dpcip.utils.files import existing_file, one_line, replacing
from dpcip.utils.quiet import overheard

MIN_SIDE_PX = 64  # the generator halves an image five times and needs two pixels left
MOST_CHANNELS = 4  # that the last axis of an array may have to be taken for them
MOST_BYTES = 3 << 29  # of samples in a file, 1.5 GiB: 500 megapixels of 8-bit colour
LEAST_USED = 0.25  # of a 16-bit file's levels: one that stays below was written with 14 bits or fewer
MOST_SATURATED = 0.75  # share of the samples at full scale
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG_START = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 274  # number of the tag, in TIFF and Exif
READ_BY_PILLOW = ("JPEG", "BMP", "WEBP", "PPM")
JPEG_IN_TIFF = (COMPRESSION.OJPEG, COMPRESSION.JPEG)  # tifffile makes RGB of their YCbCr
UNCHECKED = {COMPRESSION.LZW: imagecodecs.lzw_decode, COMPRESSION.PACKBITS: imagecodecs.packbits_decode}
LUMINANCES = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE)


class Samples(NamedTuple):
    """What an image's file holds: levels [H, W, C] or [H, W], the largest level of its format, how it was turned.

    orientation: the number that the file had for it (1 to 8, Exif's); the levels are upright already.
    """

    levels: np.ndarray
    highest: float
    orientation: int = 1


def read_pixels(path: Path) -> np.ndarray:
    """The samples of a PNG, JPEG, TIFF or other image, upright, bit depth and channels as in the file, RGB order."""
    return _read_picture(path).levels


def _read_picture(path: Path) -> Samples:
    try:
        with path.open("rb") as file:
            start = file.read(8)
        read = _read_tiff if start[:4] in TIFF_STARTS else _read_png if start == PNG_START else _read_other
        stored = read(path)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: cannot be read as an image (of no known format); save it as PNG or TIFF") from error
    except (Exception, MemoryError) as error:  # each decoder has its own exceptions
        raise InputError(f"{path}: is damaged, or no image ({one_line(error)[:120]}); export it again") from error
    return stored._replace(levels=upright(stored.levels, stored.orientation))


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rows and columns [H, W, ...] as a viewer shows them, of a file with this orientation (Exif's 1 to 8)."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _check_bytes(shape: tuple[int, ...], itemsize: int, path: Path) -> None:
    """Raises InputError if a picture [H, W, ...] is larger than any that is read: before the memory is taken."""
    if math.prod(shape) * itemsize > MOST_BYTES:
        size = f"{shape[1]}x{shape[0]} pixels" if len(shape) > 1 else f"{shape[0]} values"
        raise InputError(
            f"{path}: says it has {size}, more than the {MOST_BYTES / 2**30:g} GiB that are read; crop it, or export "
            "it again if it is damaged"
        )


@contextmanager
def _pillow(path: Path) -> Iterator[Image.Image]:
    """The picture, not decoded yet. Its size is for `_check_bytes` to judge: a region of a large one may be wanted."""
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path, formats=("PNG", *READ_BY_PILLOW)) as image:
            _check_bytes((image.height, image.width, len(image.getbands())), 2 if "16" in image.mode else 1, path)
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = most


def _orientation(number: object) -> int:
    return number if isinstance(number, int) and 1 <= number <= 8 else 1


def _read_png(path: Path) -> Samples:
    with _pillow(path) as image:
        orientation = _orientation(image.getexif().get(ORIENTATION))
    levels = imagecodecs.png_decode(path.read_bytes())
    return Samples(levels, float(np.iinfo(levels.dtype).max), orientation)


def _read_other(path: Path) -> Samples:
    with _pillow(path) as image:
        orientation = _orientation(image.getexif().get(ORIENTATION))
        if image.mode not in ("L", "RGB", "RGBA", "I;16"):
            if image.mode != "P":
                raise InputError(f"{path}: its colours are {image.mode}; save it as RGB or grey")
            image = image.convert("RGB")
        levels = np.asarray(image)
    return Samples(levels, float(np.iinfo(levels.dtype).max), orientation)


def _read_tiff(path: Path) -> Samples:
    with overheard("tifffile") as complaints, tifffile.TiffFile(path) as file:
        series = _the_picture(file, path)
        page = series.keyframe
        _check_page(page, path)
        shape = series.shape if not series.axes.endswith("YX") else (*series.shape[-2:], *series.shape[:-2])
        _check_bytes(shape, np.dtype(series.dtype).itemsize, path)
        n_bytes = path.stat().st_size
        for part in series.pages:
            if part is not None and any(o + n > n_bytes or not n for o, n in _segments(part)):
                raise InputError(f"{path}: is damaged (it ends too early, or leaves parts out); export it again")
        if page.compression in UNCHECKED:
            _check_lengths([part for part in series.pages if part is not None], page, file)
        palette = page.colormap if page.photometric == PHOTOMETRIC.PALETTE else None
        levels = series.asarray()
    if complaints:
        raise InputError(f"{path}: is damaged ({complaints[0][:120]}); export it again")
    if levels.dtype == np.bool_:
        raise InputError(f"{path}: is black and white, 1 bit; save 8 or 16 bits")
    if series.axes.endswith("YX") and levels.ndim == 3:  # planes or grey pages come first
        levels = np.moveaxis(levels, 0, -1)
    if page.photometric == PHOTOMETRIC.PALETTE:
        levels = _coloured(levels, palette, path)
    is_float = np.issubdtype(levels.dtype, np.floating)
    bits = page.bitspersample if levels.dtype == np.uint16 and page.photometric != PHOTOMETRIC.PALETTE else None
    highest = 1.0 if is_float else float(2**bits - 1 if bits else np.iinfo(levels.dtype).max)
    tag = page.tags.get(ORIENTATION)
    return Samples(levels, highest, _orientation(int(tag.value) if tag else 1))


def _check_lengths(
    parts: list[tifffile.TiffPage | tifffile.TiffFrame], page: tifffile.TiffPage, file: tifffile.TiffFile
) -> None:
    """Raises ValueError if a strip or tile does not hold as much as it must: a turned bit changes the length.

    LZW and PackBits have no checksum, and their decoders stop where enough has come.
    """
    height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    samples = 1 if page.planarconfig == 2 else page.samplesperpixel
    row = -(-width * samples * page.bitspersample // 8)
    last = page.imagelength % height or height  # rows of a last strip, which some writers fill up
    n_strips = -(-page.imagelength // height)
    decode = UNCHECKED[COMPRESSION(page.compression)]
    for part in parts:
        for number, (offset, count) in enumerate(_segments(part)):
            file.filehandle.seek(offset)
            found = len(decode(file.filehandle.read(count)))
            at_the_end = not page.is_tiled and number % n_strips == n_strips - 1
            if found != height * row and not (at_the_end and found == last * row):
                raise ValueError(f"a strip of {height * row} bytes holds {found}")


def _segments(page: tifffile.TiffPage | tifffile.TiffFrame) -> Iterator[tuple[int, int]]:
    return zip(page.dataoffsets, page.databytecounts, strict=True)


def _the_picture(file: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    """The one picture of a TIFF that is no thumbnail, mask or coarser copy; raises InputError if there are more."""
    full = [series for series in file.series if not series.keyframe.subfiletype & 5]  # 1: reduced, 4: a mask
    if len(full) == 1:
        return full[0]
    sizes = ", ".join(f"{s.keyframe.imagewidth}x{s.keyframe.imagelength}" for s in file.series)
    raise InputError(f"{path}: holds {len(file.series)} pictures ({sizes}); save the one you want alone")


def _check_page(page: tifffile.TiffPage, path: Path) -> None:
    """Raises InputError for a TIFF whose samples are no plain light."""
    is_jpeg = page.photometric == PHOTOMETRIC.YCBCR and page.compression in JPEG_IN_TIFF
    if page.photometric not in LUMINANCES and not is_jpeg:
        words = getattr(page.photometric, "name", str(page.photometric)).lower()
        raise InputError(f"{path}: its samples are no plain light ({words}); save it as RGB or grey, black being 0")
    if page.extrasamples:
        raise InputError(f"{path}: has {page.samplesperpixel} channels (an alpha channel?); save it without alpha")


def _coloured(indices: np.ndarray, palette: np.ndarray | None, path: Path) -> np.ndarray:
    """Colours [H, W, 3] of a palette's indices; of 8 bits where the palette [3, N] has no more."""
    if palette is None or indices.ndim != 2 or indices.max() >= palette.shape[1]:
        raise InputError(f"{path}: its palette does not fit; save it as RGB")
    colours = palette.T
    if not (colours % 257).any():
        return (colours // 257).astype(np.uint8)[indices]
    return ((colours >> 8).astype(np.uint8) if not (colours & 255).any() else colours)[indices]


def read_samples(path: Path, n_channels: int | None = 3) -> Samples:
    """The samples of an image as the file holds them, [H, W, C], upright, and the largest level that its format has.

    8 or 16-bit integers (255, 65535; 4095 of a TIFF that says it has 12 bits), or floats in [0, 1] (1), of PNG, JPEG or
    TIFF, whose grey pages are channels; or of .npy and .npz of one array, [H, W] or [C, H, W], whose finite floats may
    have any size (inf). n_channels: how many there must be, None: any number. Raises InputError for anything else:
    alpha, missing channels, NaN, floats of a picture out of range.
    """
    existing_file(path, "a photograph")
    is_array = path.suffix.lower() in (".npy", ".npz")
    pixels, highest, orientation = Samples(_read_array(path), math.inf) if is_array else _read_picture(path)
    if not (pixels.dtype in (np.uint8, np.uint16) or np.issubdtype(pixels.dtype, np.floating)):
        raise InputError(f"{path}: samples are {pixels.dtype}; save 8 or 16-bit integers, or floats in [0, 1]")
    if pixels.ndim == 2 and n_channels != 3:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or (n_channels and pixels.shape[2] != n_channels):
        raise InputError(f"{path}: {describe_channels(pixels)}; {_asked(n_channels)}")
    if pixels.dtype in (np.uint8, np.uint16):
        return Samples(pixels, float(np.iinfo(pixels.dtype).max) if is_array else highest, orientation)
    if not np.isfinite(pixels).all():
        raise InputError(f"{path}: contains NaN or infinity; fill those pixels first")
    if not is_array:
        _check_unit_range(pixels, path)
    return Samples(pixels, highest, orientation)


def _check_unit_range(pixels: np.ndarray, path: Path) -> None:
    if pixels.min() < 0 or pixels.max() > 1:
        raise InputError(f"{path}: values run from {pixels.min():.3g} to {pixels.max():.3g}; scale them to [0, 1]")


def unused_levels(levels: np.ndarray, highest: float) -> float | None:
    """Full scale of the sensor that 16-bit levels [H, W, C] seem to come from (1023, 4095, 16383), or None.

    A file of 16 bits whose upper levels are not used holds the numbers of a sensor with fewer, or a very dark picture.
    """
    most = int(levels.max()) if levels.dtype == np.uint16 and highest == np.iinfo(np.uint16).max else 0
    if not 0 < most < LEAST_USED * highest:
        return None
    return float(2 ** next(bits for bits in (8, 10, 12, 14) if most < 2**bits) - 1)


def read_image(path: Path, n_channels: int | None = 3) -> np.ndarray:
    """An image: float32 [C, H, W] in [0, 1] from 8 or 16-bit integers, or from floats already in [0, 1].

    n_channels: see `read_samples`. Raises InputError for anything else: alpha or missing channels, NaN, values out of
    range, a side under 64 pixels.
    """
    return _scaled(read_samples(path, n_channels), path)


def read_given_image(path: Path, n_channels: int | None = 3) -> np.ndarray:
    """`read_image` of a file whose full scale nobody told: raises InputError also where its upper levels are unused."""
    samples = read_samples(path, n_channels)
    if white := unused_levels(samples.levels, samples.highest):
        raise InputError(
            f"{path}: holds 16 bits, but its levels end at {samples.levels.max()}, as of a sensor whose full scale is "
            f"{white:g}; multiply them by {math.floor(samples.highest / white)}"
        )
    return _scaled(samples, path)


def _scaled(samples: Samples, path: Path) -> np.ndarray:
    pixels, highest, _ = samples
    check_size(pixels.shape[:2], str(path))
    if math.isinf(highest):
        _check_unit_range(pixels, path)
        highest = 1.0
    return np.ascontiguousarray((pixels.astype(np.float32) / np.float32(highest)).transpose(2, 0, 1))


def load_array(path: Path) -> np.ndarray:
    """The array of a .npy file, or the only one of an .npz, in this machine's byte order; InputError if none is."""
    try:
        if path.suffix.lower() == ".npy":  # mapped: what a damaged header claims takes no memory
            loaded = np.load(path, allow_pickle=False, mmap_mode="r")
        else:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                names = list(archive.keys())
                if len(names) != 1:
                    raise InputError(f"{path}: holds {len(names)} arrays {names[:5]}; save the one you want alone")
                loaded = archive[names[0]]
        if not isinstance(loaded, np.ndarray):
            raise InputError(f"{path}: holds no array; use numpy.save")
    except InputError:
        raise
    except (Exception, MemoryError) as error:  # zip, zlib, header: each has its own
        raise InputError(f"{path}: cannot be read as an array ({one_line(error)[:120]}); use numpy.save") from error
    if loaded.size == 0:
        raise InputError(f"{path}: has shape {loaded.shape}, no pixel; save a picture")
    if loaded.nbytes > MOST_BYTES:
        raise InputError(f"{path}: has shape {loaded.shape}, over {MOST_BYTES / 2**30:g} GiB; crop it")
    return loaded.astype(loaded.dtype.newbyteorder("="), copy=False)


def _read_array(path: Path) -> np.ndarray:
    """A photograph's array, channels moved behind rows and columns."""
    loaded = load_array(path)
    if loaded.ndim not in (2, 3):
        raise InputError(f"{path}: has shape {loaded.shape}; a photograph is [H, W] or [C, H, W]")
    if loaded.ndim == 3 and loaded.shape[2] <= MOST_CHANNELS < loaded.shape[0]:
        raise InputError(f"{path}: has shape {loaded.shape}, channels last; transpose it to [C, H, W]")
    return np.moveaxis(loaded, 0, -1) if loaded.ndim == 3 else loaded


def _asked(n_channels: int | None) -> str:
    if n_channels is None:
        return "save it as plain RGB without alpha"
    if n_channels == 3:
        return "3 are wanted: save it as plain RGB without alpha, or give PSFs of so many channels"
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
    _, encoded = cv2.imencode(".png", pixels[..., ::-1])
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.tobytes())

"""The inputs of the table, made anew for each row: one scene of 64x64 pixels in every format, and its camera."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import OpenEXR
import tifffile
from PIL import Image

from dpcip.data.depth_maps import write_dpt
from dpcip.data.images import upright


@dataclass(frozen=True)
class Outcome:
    """What a command came to: its status, the lines on stdout and stderr, and what it logged (for a user: stderr)."""

    status: int
    out: list[str]
    err: list[str]
    told: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The one line of a command that was refused."""
        assert self.status not in (0, None) and len(self.err) == 1, self
        assert self.err[0].startswith("dpcip: ") and "Traceback" not in self.err[0]
        return self.err[0]


Dpcip = Callable[..., Outcome]


SIDE = 64
LEVELS = np.array([0, 60, 130, 250], np.uint8)
PSI = np.array([-2.0, 0.0, 2.0, 4.0])
TAPS = 7
# Exif's orientation that undoes each one: a picture stored with the inverse's turn is upright.
INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


def picture() -> np.ndarray:
    """Blocks of at most 64 colours: uint8 [64, 64, 3]."""
    blocks = np.random.default_rng(0).integers(0, 4, (16, 16, 3))
    return LEVELS[np.kron(blocks, np.ones((4, 4, 1), int))]


def depth_m() -> np.ndarray:
    """A step and a slope within the bank's planes, whole millimetres: float64 [64, 64], metres."""
    slope = np.linspace(0.75, 1.1, SIDE)
    return np.round(np.where(np.arange(SIDE)[:, None] < 40, slope, 0.8), 3)


def kernels(n_channels: int = 3) -> np.ndarray:
    """PSFs that are the same mirrored and turned: float32 [4, C, 7, 7], sum 1."""
    y, x = np.mgrid[:TAPS, :TAPS] - TAPS // 2
    width = 0.5 + 0.3 * np.abs(PSI)[:, None] + 0.1 * np.arange(n_channels)
    psf = np.exp(-(x**2 + y**2) / (2 * width[..., None, None] ** 2))
    return (psf / psf.sum(axis=(2, 3), keepdims=True)).astype(np.float32)


def bank(name: str = "bank.npz", **arrays: object) -> None:
    """A bank of 4 planes and 7 taps; `arrays` replace or add to it, None leaves one out."""
    contents = {"psf": kernels(), "psi": PSI, **arrays}
    np.savez(name, **{key: np.asarray(value) for key, value in contents.items() if value is not None})


def lopsided(n_channels: int = 3) -> np.ndarray:
    """PSFs that are not the same when turned."""
    psf = kernels(n_channels)
    psf[..., : TAPS // 2] *= 0.5
    return psf / psf.sum(axis=(2, 3), keepdims=True)


def tiff(path: str, pixels: np.ndarray | None = None, orientation: int = 1, **options: object) -> None:
    """A TIFF of the picture, or of `pixels`, stored turned as its orientation tag says."""
    pixels = picture() if pixels is None else pixels
    options = {"photometric": "rgb" if pixels.ndim == 3 else "minisblack", "metadata": None, **options}
    stored = upright(pixels, INVERSE[orientation]) if orientation != 1 else pixels
    if options.get("planarconfig") == "separate":
        stored = np.moveaxis(stored, -1, 0)
    tags = [(274, "H", 1, orientation, True)] if orientation != 1 else []
    tifffile.imwrite(path, np.ascontiguousarray(stored), extratags=tags, **options)  # type: ignore[arg-type]


def png(path: str, pixels: np.ndarray | None = None, orientation: int = 1, bits: int = 8) -> None:
    """A PNG written by hand, of 8 or 16 bits: Pillow has no 16-bit colour."""
    pixels = picture() if pixels is None else pixels
    if orientation != 1:
        pixels = upright(pixels, INVERSE[orientation])
    height, width = pixels.shape[:2]
    samples = pixels.astype(">u2" if bits == 16 else "u1")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *([(b"eXIf", exif(orientation))] if orientation != 1 else [])]
    chunks = [*parts, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def exif(orientation: int) -> bytes:
    """A block of Exif that holds nothing but an orientation."""
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def exr(path: str, **channels: np.ndarray) -> None:
    """An EXR of channels, Z if none is named."""
    named = channels or {"Z": depth_m().astype(np.float32)}
    OpenEXR.File({}, named).write(path)


def palette(path: str) -> None:
    """The picture in indices of a palette of exactly its colours."""
    Image.fromarray(picture()).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(path)


def millimetres() -> np.ndarray:
    return np.round(depth_m() * 1000).astype(np.uint16)


PHOTOS: dict[str, Callable[[str], None]] = {
    ".png": png,
    ".tif": lambda path: tiff(path, compression="lzw"),
    ".jpg": lambda path: Image.fromarray(picture()).save(path, quality=95),
    ".npy": lambda path: np.save(path, picture().transpose(2, 0, 1)),
    ".npz": lambda path: np.savez(path, light=picture().transpose(2, 0, 1)),
    ".webp": lambda path: Image.fromarray(picture()).save(path, lossless=True),
}
DEPTHS: dict[str, Callable[[str], None]] = {
    ".png": lambda path: png(path, millimetres(), bits=16),
    ".tif": lambda path: tiff(path, depth_m().astype(np.float32), compression="zlib"),
    ".npy": lambda path: np.save(path, depth_m()),
    ".exr": exr,
    ".dpt": lambda path: write_dpt(Path(path), depth_m()),
}

"""Awkward inputs, one row each, and what becomes of each: the right value, or one line that says what to do.

A row makes its files in a folder that holds photo.png, depth.npy, bank.npz and result/ (the solve of the first with the
last), and gives a command. What comes out right is compared without solving again: `solve` of the same light in the
same folder says "already solved", and of any other light that the folder holds another photograph's result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import awkward_inputs as make
import cv2
import numpy as np
import pytest
import tifffile
from awkward_inputs import Dpcip, Outcome
from PIL import Image
from scipy.io import savemat

from dpcip.data.images import read_pixels, upright

Check = Callable[[Outcome], None]


@dataclass(frozen=True)
class Row:
    """Files to make, a command, and either words that its one line holds, or a check of what came out."""

    made: Callable[[], object] | None
    command: tuple[object, ...]
    words: tuple[str, ...] = ()
    check: Check | None = None


def no(made: Callable[[], object] | None, command: str | tuple[object, ...], *words: str) -> Row:
    return Row(made, tuple(command.split()) if isinstance(command, str) else command, words)


def yes(made: Callable[[], object] | None, command: str | tuple[object, ...], check: Check) -> Row:
    return Row(made, tuple(command.split()) if isinstance(command, str) else command, (), check)


SOLVE = "--psf bank.npz --iterations 1 --quiet --out result"
NEW = "--psf bank.npz --iterations 1 --quiet --out new"
PICTURE, DEPTH, KERNELS = make.picture(), make.depth_m(), make.kernels()
SIXTEEN = PICTURE.astype(np.uint16) * 257
LIGHT = PICTURE.transpose(2, 0, 1)
FLOATS = (PICTURE.astype(np.float32) / np.float32(255)).astype(np.float32)


def already_solved(outcome: Outcome) -> None:
    assert outcome.status == 0 and not outcome.err and "already solved" in outcome.out[-1], outcome


def same_light(name: str, made: Callable[[], object], options: str = "") -> Row:
    """A file of the very light that result/ was solved from."""
    return yes(made, f"solve {name} {options} {SOLVE}", already_solved)


def refused(name: str, made: Callable[[], object] | None, *words: str, options: str = "") -> Row:
    return no(made, f"solve {name} {options} {NEW}", *words)


def tif(**options: object) -> Row:
    return same_light("p.tif", lambda: make.tiff("p.tif", **options))  # type: ignore[arg-type]


# ---- photographs that are right ----

PHOTOS = {
    "png, 8 bits": same_light("p.png", lambda: make.png("p.png")),
    "png, 16 bits": same_light("p.png", lambda: make.png("p.png", SIXTEEN, bits=16)),
    "png, palette": same_light("p.png", lambda: make.palette("p.png")),
    "png by OpenCV": same_light("p.png", lambda: cv2.imwrite("p.png", PICTURE[..., ::-1])),
    "png called .tif": same_light("p.tif", lambda: make.png("p.tif")),
    "tiff called .png": same_light("p.png", lambda: make.tiff("p.png", compression="lzw")),
    "UPPER.PNG": same_light("P.PNG", lambda: make.png("P.PNG")),
    "a name with blanks and umlauts": yes(
        lambda: make.png("ein Bild ä #1.png"), ("solve", "ein Bild ä #1.png", *SOLVE.split()), already_solved
    ),
    "png, 12 bits in 16, told": same_light(
        "p.png", lambda: make.png("p.png", PICTURE.astype(np.uint16) * 16, bits=16), "--white 4080"
    ),
    "png, 10 bits in 16, told": same_light(
        "p.png", lambda: make.png("p.png", PICTURE.astype(np.uint16) * 4, bits=16), "--white 1020"
    ),
    "png with a black level": same_light(
        "p.png", lambda: make.png("p.png", SIXTEEN // 2 + 1000, bits=16), "--black 1000 --white 33767.5"
    ),
    "webp without loss": same_light("p.webp", lambda: Image.fromarray(PICTURE).save("p.webp", lossless=True)),
    "bmp": same_light("p.bmp", lambda: Image.fromarray(PICTURE).save("p.bmp")),
    "ppm": same_light("p.ppm", lambda: Image.fromarray(PICTURE).save("p.ppm")),
    "tiff, plain": tif(),
    "tiff, 16 bits": tif(pixels=SIXTEEN),
    "tiff, 12 bits packed": same_light(
        "p.tif",
        lambda: make.tiff("p.tif", PICTURE.astype(np.uint16) * 16, bitspersample=12, rowsperstrip=1),
        "--white 4080",
    ),
    "tiff of floats": tif(pixels=FLOATS),
    "tiff, big-endian": tif(pixels=SIXTEEN, byteorder=">"),
    "BigTIFF": tif(bigtiff=True),
    "tiff, one strip a row": tif(rowsperstrip=1),
    "tiff in tiles": tif(tile=(32, 32)),
    "tiff in tiles, zstd": tif(tile=(32, 32), compression="zstd"),
    "tiff, planes apart": tif(planarconfig="separate"),
    "tiff, planes apart, lzw": tif(planarconfig="separate", compression="lzw"),
    "tiff, 16 bits, planes apart, deflate": tif(pixels=SIXTEEN, planarconfig="separate", compression="zlib"),
    "tiff, palette": same_light("p.tif", lambda: make.palette("p.tif")),
    "tiff by Pillow, lzw": same_light("p.tif", lambda: Image.fromarray(PICTURE).save("p.tif", compression="tiff_lzw")),
    "tiff by OpenCV": same_light("p.tif", lambda: cv2.imwrite("p.tif", PICTURE[..., ::-1])),
    "tiff with a thumbnail first": same_light("p.tif", lambda: _thumbnail(first=True)),
    "tiff with a thumbnail after": same_light("p.tif", lambda: _thumbnail(first=False)),
    "TIFF/EP, picture in a SubIFD": same_light("p.tif", lambda: _tiff_ep(1)),
    "npy, 8 bits": same_light("p.npy", lambda: np.save("p.npy", LIGHT)),
    "npy, 16 bits": same_light("p.npy", lambda: np.save("p.npy", SIXTEEN.transpose(2, 0, 1))),
    "npy, 16 bits, big-endian": same_light("p.npy", lambda: np.save("p.npy", SIXTEEN.transpose(2, 0, 1).astype(">u2"))),
    "npy of floats": same_light("p.npy", lambda: np.save("p.npy", FLOATS.transpose(2, 0, 1))),
    "npy in Fortran's order": same_light("p.npy", lambda: np.save("p.npy", np.asfortranarray(LIGHT))),
    "npy of floats up to 255, told": same_light(
        "p.npy", lambda: np.save("p.npy", LIGHT.astype(np.float32)), "--white 255"
    ),
    "npz of one array": same_light("p.npz", lambda: np.savez("p.npz", light=LIGHT)),
    "npz, compressed": same_light("p.npz", lambda: np.savez_compressed("p.npz", light=LIGHT)),
    "UPPER.NPZ": same_light("P.NPZ", lambda: _renamed("p.npz", "P.NPZ", lambda: np.savez("p.npz", light=LIGHT))),
    "a region of a larger one": same_light(
        "p.png", lambda: make.png("p.png", np.pad(PICTURE, ((3, 9), (5, 1), (0, 0)))), "--roi 5,3,64,64"
    ),
    "a region of 182 megapixels": same_light("p.png", lambda: _huge_png(), "--roi 40,30,64,64"),
    "a region of an npy of 200 megapixels": same_light("p.npy", lambda: _huge_npy(), "--roi 40,30,64,64"),
    "a capture's folder": same_light("shot", lambda: _capture_folder()),
    "a link to the photograph": same_light("p.png", lambda: os.symlink("photo.png", "p.png")),
}
for turn in range(2, 9):
    for kind, options in {
        "raw": {},
        "lzw": {"compression": "lzw"},
        "planes apart": {"planarconfig": "separate"},
    }.items():
        PHOTOS[f"tiff, {kind}, orientation {turn}"] = tif(orientation=turn, **options)
    PHOTOS[f"png, orientation {turn}"] = same_light("p.png", lambda turn=turn: make.png("p.png", orientation=turn))
for name in ("zlib", "packbits", "zstd", "lzma", "lzw"):
    PHOTOS[f"tiff, {name}"] = tif(compression=name)
    PHOTOS[f"tiff, 16 bits, {name}, predictor"] = tif(pixels=SIXTEEN, compression=name, predictor=name != "packbits")
PHOTOS["a region of a turned tiff is the viewer's"] = same_light(
    "p.tif", lambda: make.tiff("p.tif", np.pad(PICTURE, ((3, 9), (5, 1), (0, 0))), orientation=6), "--roi 5,3,64,64"
)


def _thumbnail(first: bool) -> None:
    small = PICTURE[::2, ::2]
    pages = [(small, 1), (PICTURE, 0)] if first else [(PICTURE, 0), (small, 1)]
    with tifffile.TiffWriter("p.tif") as file:
        for pixels, kind in pages:
            file.write(pixels, photometric="rgb", subfiletype=kind, metadata=None)


def _tiff_ep(kind: int, name: str = "p.tif") -> None:
    """The small picture in the first directory, marked as reduced (1) or not (0), the large one in its SubIFD."""
    with tifffile.TiffWriter(name) as file:
        file.write(PICTURE[::2, ::2], photometric="rgb", subfiletype=kind, subifds=1, metadata=None)
        file.write(PICTURE, photometric="rgb", metadata=None)


def _renamed(name: str, other: str, made: Callable[[], object]) -> None:
    made()
    Path(name).rename(other)


def _huge_png() -> None:
    large = np.zeros((13_000, 14_000), np.uint8)
    pixels = np.broadcast_to(large[..., None], (*large.shape, 3)).copy()
    pixels[30:94, 40:104] = PICTURE
    cv2.imwrite("p.png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _huge_npy() -> None:
    large = np.lib.format.open_memmap("p.npy", "w+", np.uint8, (3, 13_000, 15_400))
    large[:, 30:94, 40:104] = LIGHT
    large.flush()


def _capture_folder() -> None:
    Path("shot").mkdir()
    make.png("shot/image.png")
    make.bank("shot/bank.npz")


# ---- photographs that are not ----

GREY = {"psf": make.kernels(1)}


def _first_part(name: str, share: float, made: Callable[[], object]) -> None:
    made()
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[: int(len(data) * share)])


def _patched(compression: str | None, **tags: int) -> None:
    """A TIFF of 70 rows in one strip, some of whose tags say other things."""
    pixels = np.random.default_rng(1).integers(0, 256, (70, 64, 3), np.uint8)
    make.tiff("p.tif", pixels, compression=compression, rowsperstrip=70)
    with tifffile.TiffFile("p.tif", mode="r+b") as file:
        for name, value in tags.items():
            file.pages.first.tags[name].overwrite(value)


def _damaged_lzw() -> None:
    make.tiff("p.tif", np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8), compression="lzw")
    data = bytearray(Path("p.tif").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    Path("p.tif").write_bytes(data)


def saved(pixels: np.ndarray, name: str = "p.npy") -> Callable[[], object]:
    return lambda: np.save(name, pixels)


BAD_PHOTOS = {
    "missing": refused("nope.png", None, "nope.png: no such file"),
    "a folder without a picture": refused("d", lambda: Path("d").mkdir(), "d: holds no photograph"),
    "a folder with two": refused(
        "d", lambda: (Path("d").mkdir(), make.png("d/image.png"), make.tiff("d/image.tif")), "holds 2 photographs"
    ),
    "empty": refused("p.png", lambda: Path("p.png").touch(), "p.png: cannot be read as an image"),
    "text": refused("p.png", lambda: Path("p.png").write_text("hello"), "p.png: cannot be read as an image"),
    "html of a login page": refused("p.tif", lambda: Path("p.tif").write_text("<!doctype html>"), "p.tif"),
    "a Git LFS pointer": refused("p.png", lambda: Path("p.png").write_text("version https://git-lfs"), "p.png"),
    "half a png": refused("p.png", lambda: _first_part("p.png", 0.5, lambda: make.png("p.png")), "damaged"),
    "a png without its last byte of data": refused(
        "p.png", lambda: _first_part("p.png", 0.9, lambda: make.png("p.png")), "p.png: is damaged"
    ),
    "half a tiff, plain": refused("p.tif", lambda: _first_part("p.tif", 0.5, lambda: make.tiff("p.tif")), "damaged"),
    "half a tiff, lzw": refused(
        "p.tif", lambda: _first_part("p.tif", 0.5, lambda: make.tiff("p.tif", compression="lzw")), "p.tif"
    ),
    "half a jpeg": refused("p.jpg", lambda: _first_part("p.jpg", 0.5, lambda: make.PHOTOS[".jpg"]("p.jpg")), "p.jpg"),
    "half an npy": refused("p.npy", lambda: _first_part("p.npy", 0.5, saved(LIGHT)), "p.npy: cannot be read"),
    "half an npz": refused(
        "p.npz", lambda: _first_part("p.npz", 0.5, lambda: np.savez("p.npz", a=LIGHT)), "p.npz: cannot be read"
    ),
    "damaged lzw": refused("p.tif", _damaged_lzw, "p.tif: is damaged"),
    "an lzw strip that holds too much": refused(
        "p.tif", lambda: _patched("lzw", ImageLength=64, RowsPerStrip=64), "holds"
    ),
    "a packbits strip that holds too much": refused(
        "p.tif", lambda: _patched("packbits", ImageLength=64, RowsPerStrip=64), "holds"
    ),
    "a strip left out": refused("p.tif", lambda: _patched(None, StripByteCounts=0), "leaves parts out"),
    "a strip beyond the end": refused("p.tif", lambda: _patched(None, StripOffsets=10**6), "ends too early"),
    "tiff in YCbCr": refused("p.tif", lambda: make.tiff("p.tif", photometric="ycbcr"), "no plain light (ycbcr)"),
    "a gif": refused("p.gif", lambda: Image.fromarray(PICTURE).save("p.gif"), "of no known format"),
    "png with alpha": refused("p.png", lambda: make.png("p.png", np.dstack([PICTURE, PICTURE[..., :1]])), "alpha"),
    "tiff with alpha": refused(
        "p.tif",
        lambda: make.tiff("p.tif", np.dstack([PICTURE, PICTURE[..., :1]]), extrasamples=["unassalpha"]),
        "alpha",
    ),
    "cmyk tiff": refused("p.tif", lambda: Image.fromarray(PICTURE).convert("CMYK").save("p.tif"), "no plain light"),
    "cmyk jpeg": refused("p.jpg", lambda: Image.fromarray(PICTURE).convert("CMYK").save("p.jpg"), "CMYK"),
    "lab tiff": refused("p.tif", lambda: Image.fromarray(PICTURE).convert("LAB").save("p.tif"), "no plain light"),
    "black and white tiff": refused("p.tif", lambda: Image.new("1", (70, 70)).save("p.tif"), "1 bit"),
    "32-bit integers": refused("p.tif", lambda: make.tiff("p.tif", PICTURE.astype(np.uint32)), "samples are uint32"),
    "signed integers": refused("p.npy", saved(LIGHT.astype(np.int16)), "samples are int16"),
    "64-bit integers": refused("p.npy", saved(LIGHT.astype(np.int64)), "samples are int64"),
    "booleans": refused("p.npy", saved(LIGHT > 9), "samples are bool"),
    "complex": refused("p.npy", saved(LIGHT * 1j), "samples are complex128"),
    "words": refused("p.npy", saved(np.full((3, 64, 64), "x")), "p.npy"),
    "objects": refused("p.npy", lambda: np.save("p.npy", np.array([{}, None]), allow_pickle=True), "p.npy: cannot"),
    "an empty npy": refused("p.npy", saved(np.empty((0, 0))), "no pixel"),
    "an npy of no bytes": refused("p.npy", lambda: Path("p.npy").touch(), "p.npy: cannot be read as an array"),
    "one dimension": refused("p.npy", saved(np.ones(99)), "has shape (99,)"),
    "four dimensions": refused("p.npy", saved(np.ones((1, 3, 64, 64))), "has shape (1, 3, 64, 64)"),
    "channels last": refused("p.npy", saved(PICTURE), "channels last; transpose it"),
    "npz of two arrays": refused("p.npz", lambda: np.savez("p.npz", a=LIGHT, b=LIGHT), "holds 2 arrays"),
    "an npz without any": refused("p.npz", lambda: np.savez("p.npz"), "holds 0 arrays"),
    "a claim of 4 terabytes": refused("p.npy", lambda: _claims((3, 10**6, 10**6)), "p.npy"),
    "a picture of 10^9 pixels": refused("p.png", lambda: _empty_png(32_000, 32_000), "crop it"),
    "NaN": refused("p.npy", saved(np.where(LIGHT > 9, np.nan, 0.5)), "contains NaN"),
    "infinity in a tiff": refused("p.tif", lambda: make.tiff("p.tif", np.where(FLOATS > 0.5, np.inf, FLOATS)), "NaN"),
    "floats up to 255 in a tiff": refused("p.tif", lambda: make.tiff("p.tif", FLOATS * 255), "scale them to [0, 1]"),
    "mostly negative": refused("p.npy", saved(FLOATS.transpose(2, 0, 1) - 0.5), "lie below black"),
    "too small": refused("p.png", lambda: make.png("p.png", PICTURE[:40]), "64x40 pixels", "at least 64"),
    "one colour": refused("p.png", lambda: make.png("p.png", np.full_like(PICTURE, 9)), "nothing in it to solve"),
    "12 bits in 16": refused(
        "p.png",
        lambda: make.png("p.png", PICTURE.astype(np.uint16) * 16, bits=16),
        "levels end at 4000",
        "--white 4095",
    ),
    "10 bits in 16": refused(
        "p.tif", lambda: make.tiff("p.tif", PICTURE.astype(np.uint16) * 4), "levels end at 1000", "--white 1023"
    ),
    "14 bits in an npy of 16": refused("p.npy", saved(LIGHT.astype(np.uint16) * 60), "--white 16383"),
    "8 bits in 16": refused("p.png", lambda: make.png("p.png", PICTURE, bits=16), "--white 255"),
    "--white 1 of 8 bits": refused(
        "photo.png", None, "white level 1 leaves", "its levels go to 250", options="--white 1"
    ),
    "--white beyond the format": refused("photo.png", None, "within 0 to 255", options="--white 4095"),
    "--black above --white": refused("photo.png", None, "they must rise", options="--black 9 --white 5"),
    "--gamma of words": refused("photo.png", None, "'film' is no tone curve", options="--gamma film"),
    "region outside": refused("photo.png", None, "not within its 64x64 pixels", options="--roi 1,0,64,64"),
    "region of words": refused("photo.png", None, "four whole numbers", options="--roi a,b,c,d"),
    "two pages alike in colour": refused(
        "p.tif", lambda: tifffile.imwrite("p.tif", np.stack([PICTURE] * 2), photometric="rgb"), "p.tif"
    ),
    "two pages of two sizes": refused("p.tif", lambda: _two_sizes(), "holds 2 pictures (64x64, 64x60)"),
    "a SubIFD, none marked as a thumbnail": refused("p.tif", lambda: _tiff_ep(0), "(32x32, 64x64)"),
    "grey for a colour camera": refused("p.png", lambda: make.png("p.png", PICTURE[..., 0]), "3 are wanted", "PSFs"),
    "two files for a colour camera": no(None, f"solve photo.png photo.png {NEW}", "2 files for PSFs of 3 channels"),
    "a raw file that is none": refused("p.dng", lambda: Path("p.dng").write_bytes(b"raw"), "p.dng"),
    "turned, with PSFs that cannot be": refused(
        "p.tif", lambda: (make.tiff("p.tif", orientation=6), make.bank(psf=make.lopsided())), "orientation tag (6)"
    ),
    "turned png, with PSFs that cannot be": refused(
        "p.png", lambda: (make.png("p.png", orientation=3), make.bank(psf=make.lopsided())), "orientation tag (3)"
    ),
}


def _claims(shape: tuple[int, ...]) -> None:
    """An .npy whose header promises more than there is."""
    with open("p.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(bytes(100))


def _empty_png(height: int, width: int) -> None:
    make.png("p.png")
    data = bytearray(Path("p.png").read_bytes())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    Path("p.png").write_bytes(data)


def _two_sizes() -> None:
    make.tiff("p.tif")
    tifffile.imwrite("p.tif", PICTURE[:60], photometric="rgb", append=True, metadata=None)


# ---- cameras of one and two channels ----

TWO = {"psf": make.kernels(2), "latent": [0, 0]}


def solves(made: Callable[[], object], inputs: str, channels: int) -> Row:
    def check(outcome: Outcome) -> None:
        assert outcome.status == 0, outcome
        report = json.loads(Path("new/report.json").read_text())
        assert len(report["psf_bank"]["latent"]) == channels
        assert np.load("new/psi.npy").shape == (64, 64)

    return yes(made, f"solve {inputs} {NEW}", check)


CHANNELS = {
    "grey png": solves(lambda: (make.png("p.png", PICTURE[..., 0]), make.bank(**GREY)), "p.png", 1),
    "grey tiff, 16 bits": solves(lambda: (make.tiff("p.tif", SIXTEEN[..., 0]), make.bank(**GREY)), "p.tif", 1),
    "grey npy [H, W]": solves(lambda: (np.save("p.npy", LIGHT[0]), make.bank(**GREY)), "p.npy", 1),
    "two views, npy": solves(lambda: (np.save("p.npy", LIGHT[:2]), make.bank(**TWO)), "p.npy", 2),
    "two views, npz": solves(lambda: (np.savez("p.npz", a=LIGHT[:2]), make.bank(**TWO)), "p.npz", 2),
    "two views, files": solves(
        lambda: (make.png("l.png", PICTURE[..., 0]), make.png("r.png", PICTURE[..., 1]), make.bank(**TWO)),
        "l.png r.png",
        2,
    ),
    "two views, pages": solves(
        lambda: (tifffile.imwrite("p.tif", LIGHT[:2], photometric="minisblack"), make.bank(**TWO)), "p.tif", 2
    ),
    "two latent channels": solves(lambda: (np.save("p.npy", LIGHT[:2]), make.bank(psf=make.kernels(2))), "p.npy", 2),
    "colour for a grey camera": refused("photo.png", lambda: make.bank(**GREY), "has 3 channels", "one is wanted"),
    "colour for two views": refused("photo.png", lambda: make.bank(**TWO), "has 3 channels", "2 are wanted"),
    "views of two sizes": no(
        lambda: (make.png("l.png", PICTURE[..., 0]), make.png("r.png", PICTURE[:, :60, 1]), make.bank(**TWO)),
        f"solve l.png r.png {NEW}",
        "r.png: is 60x64 pixels",
    ),
    "views of two depths": no(
        lambda: (make.png("l.png", PICTURE[..., 0]), make.png("r.png", SIXTEEN[..., 1], bits=16), make.bank(**TWO)),
        f"solve l.png r.png {NEW}",
        "r.png: samples are uint16",
    ),
    "a view that is turned": no(
        lambda: (make.png("l.png", PICTURE[..., 0]), make.png("r.png", PICTURE[..., 1], 3), make.bank(**TWO)),
        f"solve l.png r.png {NEW}",
        "r.png: has other bits or another orientation",
    ),
}

# ---- depth maps ----

SIMULATE = "--psf bank.npz --out new.npy"


def as_metres(name: str, made: Callable[[], object], options: str = "--unit m") -> Row:
    """A depth file of the scene: its simulated capture is the same as that of depth.npy."""

    def check(outcome: Outcome) -> None:
        assert outcome.status == 0, outcome
        found = np.load("new.npy")
        assert np.abs(found - _captures()).max() <= 1 / 255 + 1e-6 and np.abs(found - _captures()).mean() < 1e-4

    return yes(made, f"simulate photo.png {name} {options} {SIMULATE}", check)


def _captures() -> np.ndarray:
    from dpcip.camera.sensor import Sensor
    from dpcip.camera.simulator import simulate
    from dpcip.optics.psf import PsfBank

    bank = PsfBank.load(Path("bank.npz"))
    return Sensor().expose(simulate(LIGHT / np.float32(255), bank.lens.psi_from_depth(DEPTH), bank))


def bad_depth(made: Callable[[], object], *words: str, name: str = "d.npy", options: str = "--unit m") -> Row:
    return no(made, f"simulate photo.png {name} {options} {SIMULATE}", *words)


def scored(made: Callable[[], object], options: str, known: int, holes: bool = True) -> Row:
    """`evaluate` counts the pixels that hold a depth alone, and says how many it left out."""

    def check(outcome: Outcome) -> None:
        assert outcome.status == 0 and not outcome.err, outcome
        told = f"{DEPTH.size - known} of its pixels"
        assert any(told in line and "left out" in line for line in outcome.out) == holes
        metrics = json.loads(Path("result/metrics.json").read_text())
        assert np.isfinite([v for v in metrics.values() if v is not None]).all()
        psi = np.load("result/psi.npy")
        error = np.abs(psi - np.clip(_psi(), -2, 4)).ravel()[:known]
        assert metrics["psi_mae"] == pytest.approx(error.mean(), rel=1e-6)

    return yes(made, f"evaluate result --depth {options}", check)


def _psi() -> np.ndarray:
    from dpcip.optics.lens import Lens

    return Lens().psi_from_depth(DEPTH)


def _holes(value: float, dtype: type = float, scale: float = 1.0) -> np.ndarray:
    """The map with the last 96 of its pixels unknown."""
    holed = (DEPTH * scale).round(3).astype(dtype)
    holed.ravel()[-96:] = value
    return holed


KNOWN = DEPTH.size - 96
MM = make.millimetres()
DEPTHS = {
    "npy, float32": as_metres("d.npy", saved(DEPTH.astype(np.float32), "d.npy")),
    "npy, 16-bit millimetres": as_metres("d.npy", saved(MM, "d.npy")),
    "npy, big-endian": as_metres("d.npy", saved(DEPTH.astype(">f8"), "d.npy")),
    "npy [H, W, 1]": as_metres("d.npy", saved(DEPTH[..., None], "d.npy")),
    "npz": as_metres("d.npz", lambda: np.savez("d.npz", depth=DEPTH)),
    "png, 16-bit millimetres": as_metres("d.png", lambda: make.png("d.png", MM, bits=16)),
    "png, tenths of a millimetre": as_metres(
        "d.png", lambda: make.png("d.png", MM * 10, bits=16), "--unit m --depth-scale 0.0001"
    ),
    "KITTI's, told": as_metres(
        "d.npy", saved((DEPTH * 256).astype(np.float32), "d.npy"), "--unit m --depth-scale 0.00390625"
    ),
    "floats of millimetres, told": as_metres("d.npy", saved(DEPTH * 1000, "d.npy"), "--unit m --depth-scale 0.001"),
    "tiff of floats": as_metres("d.tif", lambda: make.tiff("d.tif", DEPTH.astype(np.float32))),
    "tiff of floats, deflate": as_metres(
        "d.tif", lambda: make.tiff("d.tif", DEPTH.astype(np.float32), compression="zlib", predictor=True)
    ),
    "dpt": as_metres("d.dpt", lambda: make.DEPTHS[".dpt"]("d.dpt")),
    "exr, Z": as_metres("d.exr", lambda: make.exr("d.exr")),
    "exr, V": as_metres("d.exr", lambda: make.exr("d.exr", V=DEPTH.astype(np.float32))),
    "exr, integer Z in millimetres": as_metres("d.exr", lambda: make.exr("d.exr", Z=MM.astype(np.uint32))),
    "exr, depth beside Y": as_metres(
        "d.exr", lambda: make.exr("d.exr", Y=FLOATS[..., 0].copy(), depth=DEPTH.astype(np.float32))
    ),
    "exr, depth of a layer beside colours": as_metres(
        "d.exr",
        lambda: make.exr(
            "d.exr", **{c: FLOATS[..., 0].copy() for c in "RGB"}, **{"ViewLayer.Depth.Z": DEPTH.astype(np.float32)}
        ),
    ),
    "exr, one channel of any name": as_metres("d.exr", lambda: make.exr("d.exr", Y=DEPTH.astype(np.float32))),
    "psi, npy": as_metres("d.npy", lambda: np.save("d.npy", _psi()), "--unit psi"),
    "psi, dpt": as_metres("d.dpt", lambda: make.write_dpt(Path("d.dpt"), _psi()), "--unit psi"),
    "millimetres in a tiff, orientation 3, lzw": as_metres(
        "d.tif", lambda: make.tiff("d.tif", MM, orientation=3, compression="lzw")
    ),
    "millimetres in a tiff, orientation 3, raw": as_metres("d.tif", lambda: make.tiff("d.tif", MM, orientation=3)),
    "millimetres in a png, orientation 6": as_metres("d.png", lambda: make.png("d.png", MM, 6, 16)),
    "floats of millimetres": bad_depth(saved(DEPTH * 1000, "d.npy"), "millimetres", "--depth-scale 0.001"),
    "floats of centimetres": bad_depth(saved(DEPTH * 100, "d.npy"), "centimetres", "--depth-scale 0.01"),
    "KITTI's": bad_depth(
        lambda: make.png("d.png", (DEPTH * 256).astype(np.uint16), bits=16),
        "KITTI",
        "--depth-scale 0.00390625",
        name="d.png",
    ),
    "TUM's": bad_depth(
        lambda: make.png("d.png", (DEPTH * 5000).astype(np.uint16), bits=16),
        "TUM",
        "--depth-scale 0.0002",
        name="d.png",
    ),
    "metres as psi": bad_depth(saved(DEPTH + 5, "d.npy"), "beyond the camera's range", options="--unit psi"),
    "far beyond": bad_depth(saved(DEPTH + 1e6, "d.npy"), "100% of it", "beyond the camera's range"),
    "zero holes": bad_depth(saved(_holes(0), "d.npy"), "2.3%", "no depth", "fill or crop"),
    "NaN holes": bad_depth(saved(_holes(np.nan), "d.npy"), "2.3%", "NaN", "fill or crop"),
    "holes of 65535, told": bad_depth(
        saved(_holes(65535, np.uint16, 1000), "d.npy"), "--depth-invalid", options="--unit m --depth-invalid 65535"
    ),
    "holes of -1, not told": bad_depth(saved(_holes(-1), "d.npy"), "down to -1 m"),
    "nothing but zeros": bad_depth(saved(np.zeros((64, 64)), "d.npy"), "no pixel holds a depth"),
    "nothing but NaN": bad_depth(saved(np.full((64, 64), np.nan), "d.npy"), "no pixel holds a depth", "NaN"),
    "empty": bad_depth(saved(np.empty((0, 0)), "d.npy"), "no pixel"),
    "no bytes": bad_depth(lambda: Path("d.npy").touch(), "d.npy: cannot be read as an array"),
    "8 bits": bad_depth(saved(MM.astype(np.uint8), "d.npy"), "uint8"),
    "signed integers": bad_depth(saved(MM.astype(np.int32), "d.npy"), "int32"),
    "three channels": bad_depth(saved(np.dstack([DEPTH] * 3), "d.npy"), "3 channels"),
    "another size": bad_depth(saved(DEPTH[:60], "d.npy"), "must be the same"),
    "psi in integers": bad_depth(saved(MM, "d.npy"), "psi has a sign", options="--unit psi"),
    "infinite psi": bad_depth(saved(np.full((64, 64), np.inf), "d.npy"), "infinity", options="--unit psi"),
    "half a dpt": bad_depth(
        lambda: _first_part("d.dpt", 0.5, lambda: make.DEPTHS[".dpt"]("d.dpt")), "bytes do not hold", name="d.dpt"
    ),
    "half an exr": bad_depth(lambda: _first_part("d.exr", 0.5, lambda: make.exr("d.exr")), "d.exr", name="d.exr"),
    "exr of colours": bad_depth(
        lambda: make.exr("d.exr", **{c: FLOATS[..., 0].copy() for c in "RGB"}), "B, G, R", name="d.exr"
    ),
    "exr with two depths": bad_depth(
        lambda: make.exr("d.exr", **{f"{e}.Z": DEPTH.astype(np.float32) for e in ("left", "right")}),
        "left.Z, right.Z",
        name="d.exr",
    ),
    "a scale of zero": bad_depth(saved(DEPTH, "d.npy"), "--depth-scale", options="--unit m --depth-scale 0"),
    "evaluate: zero holes": scored(saved(_holes(0), "d.npy"), "d.npy --unit m", KNOWN),
    "evaluate: NaN holes": scored(saved(_holes(np.nan), "d.npy"), "d.npy --unit m", KNOWN),
    "evaluate: 65535, told": scored(
        saved(_holes(65535, np.uint16, 1000), "d.npy"), "d.npy --unit m --depth-invalid 65535", KNOWN
    ),
    "evaluate: NaN holes in psi": scored(
        lambda: np.save("d.npy", np.where(np.isnan(_holes(np.nan)), np.nan, _psi())), "d.npy --unit psi", KNOWN
    ),
    "evaluate: nothing within the range": yes(
        saved(np.full((64, 64), -2.0), "d.npy"), "evaluate result --depth d.npy --unit psi", lambda o: _not_known(o)
    ),
    "simulate: 65535, not told": yes(
        saved(_holes(65535, np.uint16, 1000), "d.npy"),
        f"simulate photo.png d.npy --unit m {SIMULATE}",
        lambda o: _largest(o),
    ),
    "evaluate: no hole": scored(lambda: None, "depth.npy --unit m", DEPTH.size, holes=False),
    "evaluate: millimetres": no(saved(DEPTH * 1000, "d.npy"), "evaluate result --depth d.npy --unit m", "millimetres"),
    "evaluate: another size": no(
        saved(DEPTH[:60], "d.npy"), "evaluate result --depth d.npy --unit m", "the result 64x64"
    ),
    "evaluate: without a unit": no(None, "evaluate result --depth depth.npy", "metres or psi"),
    "evaluate: with nothing": no(None, "evaluate result", "nothing to compare"),
    "evaluate: 12 bits in 16": no(
        lambda: make.png("p.png", PICTURE.astype(np.uint16) * 16, bits=16), "evaluate result --sharp p.png", "4095"
    ),
    "simulate: 12 bits in 16": no(
        lambda: make.png("p.png", PICTURE.astype(np.uint16) * 16, bits=16),
        f"simulate p.png depth.npy --unit m {SIMULATE}",
        "4095",
    ),
}


def _not_known(outcome: Outcome) -> None:
    assert outcome.status == 0 and sum(line.endswith(" n/a") for line in outcome.out) == 3, outcome
    assert outcome.out[-1] == "n/a: no pixel has a true depth within the camera's range"


def _largest(outcome: Outcome) -> None:
    assert outcome.status == 0 and "d.npy: 96 of its pixels are 65535" in outcome.told[0], outcome


# ---- banks and optics ----


def bank_given(made: Callable[[], object], name: str = "b.npz") -> Row:
    """A bank of the very kernels of bank.npz: with it, photo.png is already solved."""
    return yes(made, f"solve photo.png --psf {name} --iterations 1 --quiet --out result", already_solved)


def bad_bank(made: Callable[[], object], *words: str, name: str = "b.npz") -> Row:
    return no(made, f"solve photo.png --psf {name} --iterations 1 --out new", *words)


def made_of(text: str, *words: str, options: str = "") -> Row:
    return no(lambda: Path("o.yaml").write_text(text), f"psf --optics o.yaml --out new.npz {options}", *words)


LENS = {"aperture_radius_mm": 1.14, "reference_wavelength_nm": 455.0, "focus_m": 0.9}
BANKS = {
    "npz with its lens": bank_given(lambda: make.bank("b.npz", **LENS)),
    "npz of arrays of one": bank_given(lambda: make.bank("b.npz", **{k: [v] for k, v in LENS.items()})),
    "planes in any order": bank_given(lambda: make.bank("b.npz", psf=KERNELS[::-1], psi=make.PSI[::-1])),
    "another array beside": bank_given(lambda: make.bank("b.npz", wavelengths=[600, 535, 455])),
    "UPPER.NPZ": bank_given(lambda: _renamed("b.npz", "B.NPZ", lambda: make.bank("b.npz")), "B.NPZ"),
    "missing": bad_bank(lambda: None, "b.npz: no such file"),
    "text": bad_bank(lambda: Path("b.npz").write_text("hello"), "b.npz: cannot be read"),
    "half": bad_bank(lambda: _first_part("b.npz", 0.5, lambda: make.bank("b.npz")), "b.npz: cannot be read"),
    "of another ending": bad_bank(lambda: Path("b.txt").touch(), ".npz or .mat", name="b.txt"),
    "without psf": bad_bank(lambda: make.bank("b.npz", psf=None), "no array psf"),
    "without psi": bad_bank(lambda: make.bank("b.npz", psi=None), "no array psi"),
    "a psi twice": bad_bank(lambda: make.bank("b.npz", psi=[0.0, 1, 1, 2]), "psi = 1 is there twice"),
    "NaN in psi": bad_bank(lambda: make.bank("b.npz", psi=[0, np.nan, 1, 2]), "must be finite"),
    "too many psi": bad_bank(lambda: make.bank("b.npz", psi=np.arange(5.0)), "one psi a plane"),
    "one plane": bad_bank(lambda: make.bank("b.npz", psf=KERNELS[:1], psi=[0.0]), "at least two"),
    "even taps": bad_bank(lambda: make.bank("b.npz", psf=np.full((4, 3, 6, 6), 1 / 36, "f4")), "odd number of taps"),
    "taps last": bad_bank(lambda: make.bank("b.npz", psf=KERNELS.transpose(2, 3, 0, 1)), "b.npz"),
    "not normalised": bad_bank(lambda: make.bank("b.npz", psf=KERNELS * 2), "divide each kernel by its sum"),
    "NaN": bad_bank(lambda: make.bank("b.npz", psf=KERNELS * np.nan), "NaN"),
    "negative": bad_bank(lambda: make.bank("b.npz", psf=KERNELS - 0.1), "negative"),
    "of integers": bad_bank(lambda: make.bank("b.npz", psf=np.ones((4, 3, 7, 7), int)), "store it as float32"),
    "latent of another length": bad_bank(lambda: make.bank("b.npz", latent=[0, 1]), "latent is (0, 1)"),
    "latent beyond": bad_bank(lambda: make.bank("b.npz", latent=[0, 1, 5]), "latent is (0, 1, 5)"),
    "misspelt lens": bad_bank(lambda: make.bank("b.npz", aperture_radius=1.14, focus=0.9), "aperture_radius, focus"),
    "wavelength in um": bad_bank(lambda: make.bank("b.npz", reference_wavelength_nm=0.455), "give nanometres"),
    "wavelength in m": bad_bank(lambda: make.bank("b.npz", reference_wavelength_nm=455e-9), "give nanometres"),
    "aperture in m": bad_bank(lambda: make.bank("b.npz", aperture_radius_mm=0.00114), "give millimetres"),
    "aperture in um": bad_bank(lambda: make.bank("b.npz", aperture_radius_mm=1140), "give millimetres"),
    "focus in mm": bad_bank(lambda: make.bank("b.npz", focus_m=900), "give metres"),
    "focus of nothing": bad_bank(lambda: make.bank("b.npz", focus_m=0), "must be a positive number"),
    "planes beyond infinity": bad_bank(lambda: make.bank("b.npz", psi=make.PSI - 30), "beyond infinity"),
    "an npy": bad_bank(lambda: None, ".npz or .mat", name="depth.npy"),
    "mat without data": bad_bank(lambda: savemat("b.mat", {"x": 1}), "no struct 'data'", name="b.mat"),
    "mat 7.3": bad_bank(lambda: _mat73(), "save -v7", name="b.mat"),
    "mat, misspelt": bad_bank(
        lambda: savemat(
            "b.mat", {"data": {"psf_kernels": KERNELS.transpose(1, 2, 3, 0), "Psi": make.PSI, "focal": 0.9}}
        ),
        "focal",
        name="b.mat",
    ),
    "half a mat": bad_bank(
        lambda: _first_part("b.mat", 0.5, lambda: savemat("b.mat", {"data": {"Psi": make.PSI}})), "b.mat", name="b.mat"
    ),
    "optics: wavelengths in um": made_of("wavelengths_nm: [0.6, 0.535, 0.455]", "nanometres"),
    "optics: wavelengths in m": made_of("wavelengths_nm: [6.0e-7, 5.35e-7]", "nanometres"),
    "optics: a misspelt lens key": made_of("lens: {focus: 0.9}", "o.yaml", "focus"),
    "optics: an unknown key": made_of("lenses: {focus_m: 0.9}", "o.yaml", "lenses"),
    "optics: tiny airy_px": made_of("airy_px: 0.0001", "give pixels"),
    "optics: small airy_px": made_of("airy_px: 0.02", "rings of light"),
    "optics: words": made_of("airy_px: small", "o.yaml"),
    "optics: a list": made_of("- 1\n- 2\n", "o.yaml"),
    "optics: no YAML": made_of("a: [1", "o.yaml: cannot be read"),
    "optics: edges that fall": made_of("mask: {edges: [0, 0.8, 0.5, 1], phases_rad: [0, 1, 2]}", "must rise"),
    "optics: a thousand rings": made_of(
        f"mask: {{edges: {np.linspace(0, 1, 1001).tolist()}, phases_rad: {[0.0] * 1000}}}", "1000 rings"
    ),
    "psf: a million planes": no(None, "psf --out new.npz --psi -4 10 0.00001", "planes"),
    "psf: 100001 taps": no(None, "psf --out new.npz --size 100001", "301 taps at most"),
    "psf: even taps": no(None, "psf --out new.npz --size 70", "odd"),
    "psf: 301 taps of 1400 planes": no(None, "psf --out new.npz --size 301 --psi -4 10 0.01", "fewer planes"),
    "psf: defocus of a million": no(None, "psf --out new.npz --psi 0 1000000 500000", "rings of light"),
    "psf: planes upside down": no(None, "psf --out new.npz --psi 10 -4 1", "MIN < MAX"),
    "psf: NaN": no(None, "psf --out new.npz --psi nan 4 1", "MIN < MAX"),
}


def _mat73() -> None:
    """The start of a MATLAB 7.3 file, which is HDF5."""
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124)
    Path("b.mat").write_bytes(text + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n")


# ---- what is there already, and where nothing can be written ----


def mine(name: str) -> Callable[[], object]:
    """A file of the user's own of that name, below folders that are made."""

    def made() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"mine")

    return made


def _folder_of_mine(*names: str) -> Callable[[], object]:
    return lambda: [mine(f"new/{name}")() for name in names]


def _strange_report() -> None:
    Path("new").mkdir()
    Path("new/report.json").write_text('{"title": "my thesis"}')


SOLVE_NEW = "solve photo.png --psf bank.npz --iterations 1 --quiet --out"
PSF = "psf --psi 0 1 1 --size 5"
CALIBRATE = "calibrate --coded photo.png --sharp photo.png --depth 0.8 --unit m --size 5 --out new.npz"


def replaced(made: Callable[[], object], command: str, name: str) -> Row:
    def check(outcome: Outcome) -> None:
        assert outcome.status == 0, outcome
        assert Path(name).read_bytes() != b"mine"

    return yes(made, command, check)


THERE = {
    "solve beside my depth.npy": no(None, f"{SOLVE_NEW} .", "depth.npy", "would be lost", "--overwrite"),
    **{
        f"solve beside my {name}": no(_folder_of_mine(name), f"{SOLVE_NEW} new", name, "--overwrite")
        for name in ("all_in_focus.png", "all_in_focus.npy", "psi.npy", "psi_std.npy", "preview.png", "report.json")
    },
    "solve beside my report.json of another kind": no(
        _strange_report, f"{SOLVE_NEW} new", "report.json", "--overwrite"
    ),
    "solve beside my tiles": no(_folder_of_mine("tiles/a.jpg"), f"{SOLVE_NEW} new", "tiles", "another folder"),
    "solve beside my notes": yes(
        _folder_of_mine("notes.txt"), f"{SOLVE_NEW} new", lambda o: _same(o.status, 0, Path("new/notes.txt"))
    ),
    "solve over my depth.npy, told": replaced(
        _folder_of_mine("depth.npy"), f"{SOLVE_NEW} new --overwrite", "new/depth.npy"
    ),
    "another solve's result": no(
        None, f"{SOLVE_NEW} result --seed 5", "another photograph or other settings", "--overwrite"
    ),
    "another solve's result, told": yes(None, f"{SOLVE_NEW} result --seed 5 --overwrite", lambda o: _seed_is(5)),
    "solve again": yes(None, f"{SOLVE_NEW} result", already_solved),
    "solve into a file": no(mine("new"), f"{SOLVE_NEW} new", "new: is not a folder"),
    "solve below a file": no(mine("new"), f"{SOLVE_NEW} new/result", "is not a folder"),
    "solve where nothing can be made": no(None, f"{SOLVE_NEW} /proc/result", "/proc/result: cannot be written"),
    "simulate onto its picture": no(
        None,
        "simulate photo.png depth.npy --unit m --psf bank.npz --out photo.png",
        "is read, and would be overwritten",
    ),
    "simulate onto its depth": no(
        None,
        "simulate photo.png depth.npy --unit m --psf bank.npz --out ./depth.npy",
        "is read, and would be overwritten",
    ),
    "simulate onto its depth through a link": no(
        lambda: os.symlink("depth.npy", "link.npy"),
        "simulate photo.png depth.npy --unit m --psf bank.npz --out link.npy",
        "is read, and would be overwritten",
    ),
    "simulate onto my file": no(
        mine("c.png"), "simulate photo.png depth.npy --unit m --psf bank.npz --out c.png", "exists"
    ),
    "simulate onto my file, told": replaced(
        mine("c.png"), "simulate photo.png depth.npy --unit m --psf bank.npz --out c.png --overwrite", "c.png"
    ),
    "simulate where nothing can be made": no(
        None, "simulate photo.png depth.npy --unit m --psf bank.npz --out /proc/c.png", "/proc: cannot be written"
    ),
    "simulate onto a folder": no(
        lambda: Path("c.png").mkdir(), "simulate photo.png depth.npy --unit m --psf bank.npz --out c.png", "no file"
    ),
    "psf onto my bank": no(mine("new.npz"), f"{PSF} --out new.npz", "new.npz: exists", "--overwrite"),
    "psf onto my bank, told": replaced(mine("new.npz"), f"{PSF} --out new.npz --overwrite", "new.npz"),
    "psf onto my picture": no(mine("p.png"), f"{PSF} --out new.npz --picture p.png", "p.png: exists"),
    "psf onto its optics": no(
        lambda: Path("o.npz").write_text("airy_px: 2"), f"{PSF} --optics o.npz --out o.npz", "is read, and would be"
    ),
    "psf to /dev/null": no(None, f"{PSF} --out /dev/null", ".npz or .mat"),
    "calibrate onto its capture": no(
        lambda: make.png("new.png"), CALIBRATE.replace("--coded photo.png", "--coded new.png"), "new.png: is read"
    ),
    **{f"calibrate onto my {name}": no(mine(name), CALIBRATE, f"{name}: exists") for name in ("new.npz", "new.json")},
    **{f"calibrate onto my {name} ": no(mine(name), CALIBRATE, f"{name}: exists") for name in ("new.png", "new.yaml")},
    "study onto its list": no(
        lambda: Path("l.csv").write_text("frame\ntable_14\n"),
        "study l.csv --out l.csv",
        "is read, and would be overwritten",
    ),
    "study onto my table": no(
        lambda: (Path("l.csv").write_text("frame\ntable_14\n"), mine("rows.csv")()),
        "study l.csv --out rows.csv",
        "exists",
    ),
    "study where nothing can be made": no(
        lambda: Path("l.csv").write_text("frame\ntable_14\n"), "study l.csv --out /proc/rows.csv", "cannot be written"
    ),
    "plan onto my list": no(mine("l.csv"), "plan --out l.csv", "l.csv: exists"),
    "train onto my weights": no(mine("w.safetensors"), "train --psf bank.npz --out w.safetensors", "exists"),
    "train where nothing can be made": no(None, "train --psf bank.npz --out /proc/w.safetensors", "cannot be written"),
    "bench beside my table": no(mine("new/bench.csv"), "bench --out new --report", "new/bench.csv: exists"),
    "evaluate a folder that is no result": no(None, "evaluate . --sharp photo.png", "report.json: no such file"),
    "tiles too small are told before the work": no(None, f"{SOLVE_NEW} new --tile 20", "20 px are too few"),
}


def _same(found: object, wanted: object, mine: Path) -> None:
    assert found == wanted and mine.read_bytes() == b"mine"


def _seed_is(seed: int) -> None:
    assert json.loads(Path("result/report.json").read_text())["seed"] == seed


# ---- calibration, and the command line itself ----


def _chart(swapped: bool = False, scale: float | None = None) -> None:
    """A chart and its capture by a camera of other PSFs, as PNG, or as arrays of floats times `scale`."""
    from dpcip.camera.simulator import simulate
    from dpcip.optics.psf import PsfBank

    rng = np.random.default_rng(3)
    layers = [
        np.kron(rng.random((3, -(-160 // n), -(-160 // n))), np.ones((1, n, n)))[:, :160, :160] for n in (1, 2, 4)
    ]
    sharp = sum(layers) / 3
    coded = simulate(sharp, np.full((160, 160), -3.0), PsfBank.synthesise(psi=np.array([-3.0, -2.0]), size=31))
    for name, image in zip(("sharp", "coded"), (coded, sharp) if swapped else (sharp, coded), strict=True):
        if scale is None:
            make.png(f"{name}.png", np.round(65535 * image.transpose(1, 2, 0)).astype(np.uint16), bits=16)
        else:
            np.save(f"{name}.npy", scale * image)


def _is_published(outcome: Outcome) -> None:
    assert outcome.status == 0, outcome
    found = json.loads(Path("new.json").read_text())["optics"]
    assert found["airy_px"] == pytest.approx(1.9044, rel=0.01)
    assert found["mask"]["edges"] == pytest.approx([0, 0.55, 0.8, 1], abs=0.01)


CHART = "--depth -3 --unit psi --size 31 --out new.npz"
ONE_GAIN = "calibrate --coded coded.npy --sharp sharp.npy --depth -3 --unit psi --size 31 --out new.npz"


def _gain_is_one(outcome: Outcome) -> None:
    _is_published(outcome)
    levels = json.loads(Path("new.json").read_text())["levels"]
    assert [level["gain"] for level in levels] == pytest.approx([1.0] * len(levels), abs=0.01)


LINE = {
    "calibrate": yes(_chart, f"calibrate --coded coded.png --sharp sharp.png {CHART}", _is_published),
    "calibrate, swapped": no(
        lambda: _chart(swapped=True), f"calibrate --coded coded.png --sharp sharp.png {CHART}", "swapped?"
    ),
    "calibrate, arrays in one unit": yes(lambda: _chart(scale=3000.0), ONE_GAIN, _gain_is_one),
    "calibrate, 100001 taps": no(_chart, f"calibrate --coded coded.png --sharp sharp.png {CHART} --size 1001", "151"),
    "calibrate, depth in mm": no(
        _chart,
        "calibrate --coded coded.png --sharp sharp.png --depth 700 --unit m --out new.npz",
        "beyond the bank's planes",
    ),
    "nothing at all": yes(None, (), lambda o: _help(o)),
    "a verb alone": no(None, "solve", "CODED"),
    "an unknown verb": no(None, "sovle photo.png", "sovle"),
    "an unknown option": no(None, f"{SOLVE_NEW} new --iteration 5", "--iteration"),
    "an option without its value": no(None, "solve photo.png --out", "--out"),
    "a list that is missing": no(None, "study l.csv --out r.csv", "l.csv"),
    "a list of bytes": no(lambda: Path("l.csv").write_bytes(bytes(range(256))), "study l.csv --out r.csv", "l.csv"),
    "a list of nothing": no(lambda: Path("l.csv").touch(), "study l.csv --out r.csv", "l.csv"),
    "no scheduler": no(
        lambda: Path("l.csv").write_text("frame,factor\ntable_14,4\n"),
        "study l.csv --out r.csv --work w --scheduler nonsense://x",
        "no Dask scheduler answers there",
    ),
    "psi nowhere near the bank": yes(
        lambda: _beyond(), f"solve p.npy {NEW}", lambda o: _told(o, "where bank.npz ends")
    ),
    "no texture but noise": yes(lambda: _noise(), f"solve p.npy {NEW}", lambda o: _told(o, "hardly any texture")),
}


def _help(outcome: Outcome) -> None:
    assert outcome.status == 0 and len(outcome.out) > 10 and outcome.out[0].startswith("Usage: dpcip"), outcome


def _beyond() -> None:
    """A photograph blurred by much more than any plane's PSF."""
    np.save("p.npy", np.stack([cv2.GaussianBlur(c.astype(np.float32) / 255, (0, 0), 6) for c in LIGHT]))


def _noise() -> None:
    np.save("p.npy", 0.6 + np.random.default_rng(0).normal(0, 0.01, (3, 64, 64)).astype(np.float32))


def _told(outcome: Outcome, words: str) -> None:
    assert outcome.status == 0, outcome
    assert sum("depth.npy means little" in line and words in line for line in outcome.told) == 1, outcome


TABLES = {
    "photo": PHOTOS,
    "bad photo": BAD_PHOTOS,
    "channels": CHANNELS,
    "depth": DEPTHS,
    "bank": BANKS,
    "there": THERE,
    "line": LINE,
}
ROWS = {f"{table}: {name.strip()}": row for table, rows in TABLES.items() for name, row in rows.items()}
SLOW = ("megapixels", "channels: ", "calibrate", "told", "my notes", "nowhere near", "no texture but")


def _params() -> list[object]:
    slow = {name for name in ROWS if any(word in name for word in SLOW)}
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else [], id=name) for name in ROWS]


def test_there_are_enough() -> None:
    assert len(ROWS) >= 150


def _files(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", _params())
def test_outcome(name: str, here: Path, dpcip: Dpcip) -> None:
    row = ROWS[name]
    if row.made:
        row.made()
    if row.check:
        row.check(dpcip(*row.command))
        return
    before = _files(here)
    line = dpcip(*row.command).line
    for word in row.words:
        assert word in line
    assert _files(here) == before  # nothing written, nothing lost


def test_turning_back_is_right() -> None:
    numbers = np.arange(6).reshape(2, 3)
    for orientation, inverse in make.INVERSE.items():
        assert np.array_equal(upright(upright(numbers, inverse), orientation), numbers)
    assert upright(numbers, 6).tolist() == [[3, 0], [4, 1], [5, 2]]  # a quarter turn to the right


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_of_a_jpeg_is_heeded(tmp_path: Path, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(upright(PICTURE, make.INVERSE[orientation])))
    stored.save(tmp_path / "p.jpg", quality=98, subsampling=0, exif=b"Exif\0\0" + make.exif(orientation))
    assert np.abs(read_pixels(tmp_path / "p.jpg").astype(int) - PICTURE).mean() < 3


def test_jpeg_in_a_tiff_is_what_others_read(tmp_path: Path) -> None:
    """Stored as YCbCr, with half the colours: as Pillow's decoder, which is another one, has it."""
    options = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
    tifffile.imwrite(tmp_path / "p.tif", PICTURE, **options)
    with Image.open(tmp_path / "p.tif") as image:
        assert np.abs(read_pixels(tmp_path / "p.tif").astype(int) - np.asarray(image.convert("RGB"))).max() <= 1

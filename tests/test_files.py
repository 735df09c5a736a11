"""Files in and out: every depth format gives the same numbers, every image depth the same picture."""

import json
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dpcip.data.depth_maps import read_depth, write_dpt
from dpcip.data.images import read_image, write_image
from dpcip.utils.files import replacing, write_json, write_npy

DEPTH_M = np.round(np.linspace(0.45, 1.5, 70 * 66), 3).reshape(70, 66)


def _write_depth(path: Path) -> None:
    writers = {
        ".dpt": lambda: write_dpt(path, DEPTH_M),
        ".npy": lambda: write_npy(path, DEPTH_M.astype(np.float32)),
        ".tif": lambda: tifffile.imwrite(path, DEPTH_M.astype(np.float32)),
        ".png": lambda: cv2.imwrite(str(path), np.round(DEPTH_M * 1000).astype(np.uint16)),
        ".exr": lambda: OpenEXR.File({}, {"Z": DEPTH_M.astype(np.float32)}).write(str(path)),
    }
    writers[path.suffix]()


@pytest.mark.parametrize("suffix", [".dpt", ".npy", ".tif", ".png", ".exr"])
def test_depth_formats_agree(tmp_path: Path, suffix: str) -> None:
    _write_depth(tmp_path / f"depth{suffix}")
    depth_m = read_depth(tmp_path / f"depth{suffix}", "m")
    assert depth_m.dtype == np.float64
    assert np.allclose(depth_m, DEPTH_M, atol=1e-6)


def test_integer_depth_has_a_scale(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "depth.png"), np.round(DEPTH_M * 10_000).astype(np.uint16))
    assert np.allclose(read_depth(tmp_path / "depth.png", "m", 1e-4), DEPTH_M, atol=1e-6)


def test_published_psi_map(published_sample: Path) -> None:
    psi = read_depth(published_sample / "psi.dpt", "psi")
    assert psi.shape == (512, 1024)
    assert psi.min() == -4 and (psi == -4).mean() == pytest.approx(0.86, abs=0.005)


@pytest.mark.parametrize(("name", "dtype"), [("x.png", np.uint8), ("x.png", np.uint16), ("x.tif", np.uint16)])
def test_images_of_8_and_16_bits(tmp_path: Path, name: str, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (64, 65, 3), endpoint=True).astype(dtype)
    if name.endswith("png"):
        cv2.imwrite(str(tmp_path / name), pixels[..., ::-1])
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb")
    image = read_image(tmp_path / name)
    assert image.dtype == np.float32 and image.shape == (3, 64, 65)
    assert np.allclose(image.transpose(1, 2, 0) * np.iinfo(dtype).max, pixels, atol=1e-2)


@pytest.mark.parametrize("bits", [8, 16])
def test_written_image_reads_back(tmp_path: Path, bits: int) -> None:
    image = np.random.default_rng(0).random((3, 64, 70)).astype(np.float32)
    write_image(tmp_path / "image.png", image, bits)
    assert np.abs(read_image(tmp_path / "image.png") - image).max() <= 0.51 / (2**bits - 1)


def test_lzw_tiff(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 66, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    assert np.allclose(read_image(tmp_path / "lzw.tif").transpose(1, 2, 0) * 255, pixels, atol=1e-3)


def test_palette_png_reads_as_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32] = (255, 0, 0)
    Image.fromarray(pixels).quantize(4).save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png")[:, 0, 0], [1, 0, 0])


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_dpt_round_trip(tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    path = tmp_path_factory.mktemp("dpt") / "psi.dpt"
    write_dpt(path, values)
    assert np.array_equal(read_depth(path, "psi"), values)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_null_for_what_it_does_not_know(tmp_path: Path) -> None:
    values = {"a": np.inf, "b": {"c": [1.5, np.nan, ("x", -np.inf)]}, "d": np.float64("nan"), "e": 3, "f": True}
    write_json(tmp_path / "values.json", values)
    known = {"a": None, "b": {"c": [1.5, None, ["x", None]]}, "d": None, "e": 3, "f": True}
    assert json.loads((tmp_path / "values.json").read_text()) == known

"""Photographs as users have them: formats, tone curves, black levels, regions; each fault in one line."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dpcip.data.images import write_image
from dpcip.data.photo_files import Reading, read_photo
from dpcip.data.tone_curve import ToneCurve
from dpcip.utils.errors import InputError

LEVELS = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
HAS_RAWPY = importlib.util.find_spec("rawpy") is not None  # the optional extra `raw`


@pytest.mark.parametrize("gamma", ["srgb", 1.0, 1.8, 2.2])
def test_tone_curves_go_there_and_back(gamma: float | str) -> None:
    tone, values = ToneCurve.parse(gamma), np.linspace(0, 1, 1001)
    light = tone.decode(values)
    assert light[0] == 0 and light[-1] == pytest.approx(1) and np.all(np.diff(light) > 0)
    assert np.allclose(tone.encode(light), values, atol=2e-6)


def test_srgb_is_the_standards() -> None:
    """IEC 61966-2-1, by the published values: level 55 is 3.82 % of full light, level 188 is 50.3 %."""
    light = ToneCurve("srgb").decode(np.array([5, 55, 188]) / 255)
    assert light == pytest.approx([5 / 255 / 12.92, 0.0382, 0.5029], abs=1e-4)


@given(gamma=st.floats(0.1, 10), value=st.floats(0, 1))
def test_a_power_is_a_power(gamma: float, value: float) -> None:
    assert ToneCurve(gamma).decode(np.array(value)) == pytest.approx(value**gamma)


@pytest.mark.parametrize("name", ["a.png", "b.png", "c.tif", "d.tif", "e.tif"])
def test_formats_agree(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sixteen = LEVELS.astype(np.uint16) * 257
    writers = {
        "a.png": lambda: cv2.imwrite(str(path), LEVELS[..., ::-1]),
        "b.png": lambda: cv2.imwrite(str(path), sixteen[..., ::-1]),
        "c.tif": lambda: tifffile.imwrite(path, LEVELS, photometric="rgb"),
        "d.tif": lambda: tifffile.imwrite(path, sixteen, photometric="rgb"),
        "e.tif": lambda: tifffile.imwrite(path, (LEVELS / 255).astype(np.float32), photometric="rgb"),
    }
    writers[name]()
    light, record = read_photo(path, Reading.of({"gamma": "srgb"}))
    assert light.dtype == np.float32 and light.shape == (3, 70, 90)
    assert np.allclose(light, ToneCurve("srgb").decode(LEVELS.transpose(2, 0, 1) / 255), atol=1e-6)
    assert record["file"] == name and record["gamma"] == "srgb" and record["samples"] in ("uint8", "uint16", "float32")


def test_black_white_and_region(tmp_path: Path) -> None:
    """`((level - black) / (white - black))^gamma` of the region, cut off at 0 and 1; levels are the file's own."""
    cv2.imwrite(str(tmp_path / "p.png"), (LEVELS.astype(np.uint16) * 16)[..., ::-1])  # 12 bits in a 16-bit file
    options = {"gamma": "2", "black": 256, "white": 3856, "roi": "10,4,66,65"}
    light, record = read_photo(tmp_path / "p.png", Reading.of(options))
    part = LEVELS[4:69, 10:76].transpose(2, 0, 1).astype(float) * 16
    assert np.allclose(light, ((part - 256) / 3600).clip(0, 1) ** 2, atol=1e-6)
    assert light.min() == 0 and light.max() == 1
    assert record == {
        "file": "p.png",
        "samples": "uint16",
        "gamma": 2.0,
        "black": 256.0,
        "white": 3856.0,
        "roi": [10, 4, 66, 65],
        "written_with_gamma": 2.0,
    }


def test_jpeg_is_read_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 80), (70, 80)).astype(np.uint8)
    Image.fromarray(np.stack([smooth] * 3, axis=-1)).save(tmp_path / "p.jpg", quality=95)
    with caplog.at_level(logging.WARNING, "dpcip"):
        light, _ = read_photo(tmp_path / "p.jpg", Reading())
    assert np.allclose(light[0], smooth / 255, atol=0.02)
    (told,) = caplog.messages
    assert "p.jpg: is a JPEG" in told and "\n" not in told
    caplog.clear()
    write_image(tmp_path / "p.png", light)
    read_photo(tmp_path / "p.png", Reading())
    assert not caplog.messages


BAD_OPTIONS: dict[str, tuple[dict[str, object], str]] = {
    "tone curve": ({"gamma": "film"}, "'film' is no tone curve"),
    "gamma of 0": ({"gamma": 0}, "0 is no tone curve"),
    "gamma NaN": ({"gamma": "nan"}, "'nan' is no tone curve"),
    "black above white": ({"black": 200, "white": 100}, "p.png: black level 200 and white level 100"),
    "black above the format's": ({"black": 255}, "black level 255 and white level 255"),
    "white above the format's": ({"white": 4095}, "within 0 to 255"),
    "black negative": ({"black": -1}, "black level -1"),
    "black no number": ({"black": "dark"}, "black: 'dark' is no level"),
    "region outside": ({"roi": "30,0,64,70"}, "p.png: region 30,0,64,70 is not within its 90x70 pixels"),
    "region negative": ({"roi": "-1,0,64,64"}, "region -1,0,64,64 is not within"),
    "region too small": ({"roi": "0,0,64,63"}, "at least 64"),
    "region of three": ({"roi": "0,0,64"}, "not four whole numbers"),
    "region of words": ({"roi": ["a", "b", "c", "d"]}, "not four whole numbers"),
    "region a number": ({"roi": 5}, "not four whole numbers"),
    "misspelt": ({"gama": 2}, "unknown option gama; known are gamma, black, white, roi"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(case: str, tmp_path: Path) -> None:
    options, told = BAD_OPTIONS[case]
    cv2.imwrite(str(tmp_path / "p.png"), LEVELS)
    with pytest.raises(InputError) as error:
        read_photo(tmp_path / "p.png", Reading.of(options))
    assert told in str(error.value) and "\n" not in str(error.value)


def test_a_region_of_a_small_photograph_is_judged_by_itself(tmp_path: Path) -> None:
    """The limit on the size is the region's: cutting 64 px out of 90 is fine."""
    cv2.imwrite(str(tmp_path / "p.png"), LEVELS)
    assert read_photo(tmp_path / "p.png", Reading.of({"roi": [26, 6, 64, 64]}))[0].shape == (3, 64, 64)


def write_dng(path: Path, mosaic: np.ndarray, black: int, white: int) -> None:
    """A Bayer mosaic [H, W], uint16, as the smallest DNG that LibRaw opens: RGGB, neutral white balance."""
    identity = [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]
    tags = [
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern: R G / G B
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # DNGVersion
        (50708, "s", 0, "dpcip test", True),  # UniqueCameraModel
        (50714, "H", 1, black, True),  # BlackLevel
        (50717, "H", 1, white, True),  # WhiteLevel
        (50721, "2i", 9, identity, True),  # ColorMatrix1
        (50728, "2I", 3, [1, 1, 1, 1, 1, 1], True),  # AsShotNeutral
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags)


def test_raw_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dng(tmp_path / "p.dng", np.full((80, 100), 1000, np.uint16), 200, 4095)
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    with pytest.raises(InputError, match=r"p.dng: raw files need the package rawpy; pip install 'dpcip\[raw\]'"):
        read_photo(tmp_path / "p.dng", Reading())
    with pytest.raises(InputError, match="raw files are linear in light; leave --gamma out"):
        read_photo(tmp_path / "p.dng", Reading.of({"gamma": 2.2}))


@pytest.mark.skipif(not HAS_RAWPY, reason="the optional package rawpy is not installed")
@pytest.mark.parametrize("black", [None, 500])
def test_raw_bayer(tmp_path: Path, black: int | None) -> None:
    """Channels of a flat mosaic come back linear, the file's black level (or the given one) subtracted, unmixed."""
    mosaic = np.full((80, 100), 1800, np.uint16)  # G
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 2600, 1000  # R, B
    write_dng(tmp_path / "p.dng", mosaic, 200, 4095)
    light, record = read_photo(tmp_path / "p.dng", Reading.of({} if black is None else {"black": black}))
    own = 200 if black is None else black
    middle = light[:, 20:-20, 20:-20]
    assert light.shape == (3, 80, 100) and middle.std(axis=(1, 2)).max() < 1e-3
    expected = (np.array([2600, 1800, 1000]) - own) / (4095 - own)
    assert middle.mean(axis=(1, 2)) == pytest.approx(expected, rel=0.01)
    assert record["samples"] == "raw" and record["black"] == black


@pytest.mark.skipif(not HAS_RAWPY, reason="the optional package rawpy is not installed")
def test_damaged_raw(tmp_path: Path) -> None:
    (tmp_path / "p.nef").write_bytes(b"no raw file at all" * 100)
    with pytest.raises(InputError, match="p.nef: cannot be read as a raw file"):
        read_photo(tmp_path / "p.nef", Reading())
    with pytest.raises(InputError, match="none.nef: no such file"):
        read_photo(tmp_path / "none.nef", Reading())

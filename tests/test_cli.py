"""The command line as a user meets it: each verb on files, and bad inputs that end in one clear line."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from dpcip.camera.simulator import simulate
from dpcip.cli import main as cli
from dpcip.cli.solve import RESULT_FILES
from dpcip.data.datasets import rendered
from dpcip.data.depth_maps import read_depth, write_dpt
from dpcip.data.images import read_image, write_image
from dpcip.data.photo_files import Reading, read_photo
from dpcip.optics.dual_pixel import dual_pixel_bank
from dpcip.optics.psf import PsfBank
from dpcip.utils.files import claimed, write_npy


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit status of `dpcip ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["dpcip", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture
def files(tmp_path: Path, bank: PsfBank, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good photograph, depth and bank; the current directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write_image(tmp_path / "photo.png", rng.random((3, 64, 72)))
    write_npy(tmp_path / "depth.npy", np.linspace(0.5, 1.4, 64 * 72).reshape(64, 72))
    bank.save(tmp_path / "bank.npz")
    return tmp_path


def test_psf_writes_the_documented_arrays(files: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "psf", "--out", "new.npz", "--psi", -4, 10, 2, "--picture", "psf.png") == 0
    with np.load("new.npz") as archive:
        assert archive["psf"].shape == (8, 3, 71, 71) and archive["psf"].dtype == np.float32
        assert archive["psi"].tolist() == list(range(-4, 11, 2))
    printed = capsys.readouterr().out
    for number in ("94.82", "96.72", "98.49"):  # Table 3, box 31
        assert number in printed
    assert cv2.imread("psf.png").std() > 20


def test_psf_of_other_optics(files: Path, monkeypatch) -> None:
    Path("optics.yaml").write_text(
        "mask: {edges: [0, 0.5, 0.7, 0.9, 1], phases_rad: [0, 3, 6, 9]}\nwavelengths_nm: [550]\n"
    )
    assert run(monkeypatch, "psf", "--out", "b.mat", "--optics", "optics.yaml", "--size", 31) == 0
    assert PsfBank.load(Path("b.mat")).psf.shape == (15, 1, 31, 31)


@pytest.mark.slow
def test_simulate_solve_evaluate(files: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "simulate", "photo.png", "depth.npy", "--unit", "m", "--out", "coded.png") == 0
    options = ["--preset", "paper", "--iterations", 8, "--psf", "bank.npz", "--seed", 3]
    assert run(monkeypatch, "solve", "coded.png", "--out", "result", *options) == 0
    names = {"all_in_focus.png", "depth.npy", "psi.npy", "psi_std.npy", "preview.png", "result.html", "report.json"}
    assert {p.name for p in Path("result").iterdir()} == names
    depth_m, psi = np.load("result/depth.npy"), np.load("result/psi.npy")
    assert depth_m.shape == psi.shape == (64, 72) and depth_m.dtype == psi.dtype == np.float32
    assert 0.44 < depth_m.min() and depth_m.max() < 1.51
    report = json.loads(Path("result/report.json").read_text())
    assert report["seed"] == 3 and report["iterations"] == 8 and report["stopped_by"] == "iterations"
    for key in ("settings", "machine", "seconds", "peak_memory_gib", "data_fit_db", "fingerprint"):
        assert report[key], key
    assert report["machine"]["threads"] == torch.get_num_threads()
    assert run(monkeypatch, "solve", "coded.png", "--out", "result", *options) == 0
    assert "already solved" in capsys.readouterr().out
    assert run(monkeypatch, "evaluate", "result", "--sharp", "photo.png", "--depth", "depth.npy", "--unit", "m") == 0
    metrics = json.loads(Path("result/metrics.json").read_text())
    printed = capsys.readouterr().out
    for name in ("psnr_db", "ssim", "depth_rmse_m", "depth_rmse_in_range_m", "depth_as_released"):
        assert name in printed and np.isfinite(metrics[name])


def test_simulate_with_a_real_sensor(files: Path, monkeypatch) -> None:
    noise = ["--full-well", 2000, "--read-noise", 0.01, "--bayer", "--bits", 12]
    base = ["simulate", "photo.png", "depth.npy", "--unit", "m", "--psf", "bank.npz"]
    assert run(monkeypatch, *base, "--out", "clean.png") == 0
    assert run(monkeypatch, *base, "--out", "noisy.png", *noise) == 0
    assert cv2.imread("noisy.png", cv2.IMREAD_UNCHANGED).dtype == np.uint16
    difference = read_image(Path("noisy.png")) - read_image(Path("clean.png"))
    assert 0.005 < difference.std() < 0.1


def test_simulate_reproduces_the_published_capture(published_sample: Path, files: Path, monkeypatch) -> None:
    sample = [published_sample / "sharp.png", published_sample / "psi.dpt"]
    assert run(monkeypatch, "simulate", *sample, "--unit", "psi", "--out", "coded.png") == 0
    error = read_image(Path("coded.png")) - read_image(published_sample / "coded.png")
    assert -10 * np.log10(np.mean(error.astype(float) ** 2)) >= 63


def test_help_of_every_verb(monkeypatch, capsys) -> None:
    for verb in ([], ["psf"], ["simulate"], ["solve"], ["export"], ["evaluate"]):
        assert run(monkeypatch, *verb, "--help") == 0
        assert "Usage: dpcip" in capsys.readouterr().out


# ---- bad inputs: (what, how it comes about, the command, what the line must name) ----

ABSENT = "mps" if not torch.backends.mps.is_available() else "cuda"
SOLVE = ("solve", "photo.png", "--out", "result", "--iterations", 3)
SIMULATE = ("simulate", "photo.png", "depth.npy", "--unit", "m", "--out", "coded.png")


def _rgba() -> None:
    Image.fromarray(np.full((70, 70, 4), 128, np.uint8)).save("photo.png")


def _grey() -> None:
    Image.fromarray(np.full((70, 70), 128, np.uint8)).save("photo.png")


def _truncated() -> None:
    path = Path("photo.png")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _nan_image() -> None:
    tifffile.imwrite("photo.tif", np.full((70, 70, 3), np.nan, np.float32), photometric="rgb")


def _bright_image() -> None:
    tifffile.imwrite("photo.tif", np.full((70, 70, 3), 2.0, np.float32), photometric="rgb")


def _bank(**changes: np.ndarray) -> Callable[[], None]:
    def make() -> None:
        psf = np.full((3, 3, 5, 5), 1 / 25, np.float32)
        np.savez("bank.npz", **{"psf": psf, "psi": np.array([-1.0, 0, 1]), **changes})

    return make


def _negative_psf() -> np.ndarray:
    psf = np.full((3, 3, 5, 5), 1 / 25, np.float32)
    psf[0, 0, 0, :2] += np.float32([-0.1, 0.1])
    return psf


BAD_INPUTS: dict[str, tuple[Callable[[], object] | None, tuple, str]] = {
    "photo missing": (None, ("solve", "nope.png", "--out", "result"), "nope.png"),
    "photo is a folder": (lambda: Path("dir.png").mkdir(), ("solve", "dir.png", "--out", "result"), "dir.png"),
    "truth is a folder": (
        lambda: Path("dir.png").mkdir(),
        ("simulate", "dir.png", "depth.npy", "--unit", "m", "--out", "c.png"),
        "dir.png: is not a file",
    ),
    "photo truncated": (_truncated, SOLVE, "photo.png"),
    "photo empty": (lambda: Path("photo.png").write_bytes(b""), SOLVE, "photo.png"),
    "photo with alpha": (_rgba, SOLVE, "alpha"),
    "photo grey": (_grey, SOLVE, "one channel"),
    "photo too small": (lambda: write_image(Path("photo.png"), np.zeros((3, 63, 90))), SOLVE, "at least 64"),
    "photo all one colour": (lambda: write_image(Path("photo.png"), np.full((3, 70, 70), 0.5)), SOLVE, "nothing in it"),
    "photo with NaN": (_nan_image, ("solve", "photo.tif", "--out", "result"), "NaN"),
    "photo beyond 1": (_bright_image, ("solve", "photo.tif", "--out", "result"), "scale them to [0, 1]"),
    "text as photo": (lambda: Path("photo.png").write_text("hello"), SOLVE, "photo.png"),
    "bank missing": (None, (*SOLVE, "--psf", "nope.npz"), "nope.npz"),
    "bank of other format": (None, (*SOLVE, "--psf", "depth.npy"), ".npz or .mat"),
    "bank damaged": (
        lambda: Path("bank.npz").write_bytes(b"PK\x03\x04rubbish"),
        (*SOLVE, "--psf", "bank.npz"),
        "bank.npz",
    ),
    "bank without psi": (lambda: np.savez("bank.npz", psf=np.ones(3)), (*SOLVE, "--psf", "bank.npz"), "no array psi"),
    "bank not normalised": (_bank(psf=np.ones((3, 3, 5, 5), np.float32)), (*SOLVE, "--psf", "bank.npz"), "sum"),
    "bank negative": (_bank(psf=_negative_psf()), (*SOLVE, "--psf", "bank.npz"), "negative"),
    "bank of wrong shape": (_bank(psf=np.ones((3, 5, 5), np.float32)), (*SOLVE, "--psf", "bank.npz"), "shape"),
    "bank of integers": (_bank(psf=np.ones((3, 3, 5, 5), np.int64)), (*SOLVE, "--psf", "bank.npz"), "float32"),
    "bank with too many psi": (_bank(psi=np.arange(4.0)), (*SOLVE, "--psf", "bank.npz"), "one psi a plane"),
    "bank of another channel count": (
        _bank(psf=np.full((3, 2, 5, 5), 1 / 25, np.float32)),
        (*SOLVE, "--psf", "bank.npz"),
        "channels",
    ),
    "mat without data": (
        lambda: __import__("scipy.io", fromlist=["savemat"]).savemat("bank.mat", {"x": 1}),
        (*SOLVE, "--psf", "bank.mat"),
        "no struct 'data'",
    ),
    "tone curve unknown": (None, (*SOLVE, "--gamma", "film"), "film"),
    "black above white": (None, (*SOLVE, "--black", 300), "photo.png: black level 300"),
    "region outside": (None, (*SOLVE, "--roi", "9,0,64,64"), "photo.png: region 9,0,64,64"),
    "region of three": (None, (*SOLVE, "--roi", "0,0,64"), "four whole numbers"),
    "raw that is none": (lambda: Path("p.dng").write_bytes(b"raw"), ("solve", "p.dng", "--out", "result"), "p.dng"),
    "tiles too small": (
        lambda: write_image(Path("photo.png"), np.random.default_rng(0).random((3, 64, 300))),
        (*SOLVE, "--tile", 128),
        "128 px are too few",
    ),
    "folder without a photograph": (lambda: Path("shot").mkdir(), ("solve", "shot", "--out", "result"), "shot"),
    "unknown capture to fetch": (None, ("fetch", "phasecam4d"), "phasecam4d"),
    "unknown option": (None, (*SOLVE, "--iteration", 5), "--iteration"),
    "unknown preset": (None, (*SOLVE, "--preset", "best"), "best"),
    "unknown generator": (None, (*SOLVE, "--generator", "gan"), "gan"),
    "unknown device": (None, (*SOLVE, "--device", "tpu"), "tpu"),
    "device that is not there": (None, (*SOLVE, "--device", ABSENT), ABSENT),
    "negative seed": (None, (*SOLVE, "--seed", -1), "--seed"),
    "seed too large": (None, (*SOLVE, "--seed", 2**64), "--seed"),
    "time budget that is no number": (None, (*SOLVE, "--max-seconds", "nan"), "--max-seconds"),
    "infinite smoothing": (None, (*SOLVE, "--psi-tv", "inf"), "--psi-tv"),
    "speed-up that is no number": (None, ("study", "c.csv", "--dry-run", "--gpu-speed-up", "nan"), "--gpu-speed-up"),
    "no threads": (None, (*SOLVE, "--threads", 0), "--threads"),
    "infinite full well": (None, (*SIMULATE, "--full-well", "inf"), "full well"),
    "picture not PNG": (None, ("psf", "--out", "b.npz", "--psi", 0, 1, 1, "--picture", "p.jpg"), "p.jpg"),
    "optics of nested lists": (
        lambda: Path("o.yaml").write_text("mask: {edges: [0, 1], phases_rad: [[1, 2]]}"),
        ("psf", "--out", "b.npz", "--optics", "o.yaml"),
        "o.yaml",
    ),
    "result that is no report": (
        lambda: (Path("result").mkdir(), Path("result/report.json").write_text('{"psf_bank": {"lens": {"x": 1}}}')),
        ("evaluate", "result", "--sharp", "photo.png", "--depth", "depth.npy", "--unit", "m"),
        "report.json",
    ),
    "no iterations": (None, ("solve", "photo.png", "--out", "result", "--iterations", 0), "iterations"),
    "unknown verb": (None, ("sovle", "photo.png"), "sovle"),
    "no verb's argument": (None, ("solve",), "CODED"),
    "depth missing": (None, ("simulate", "photo.png", "no.npy", "--unit", "m", "--out", "c.png"), "no.npy"),
    "depth with NaN": (lambda: write_npy(Path("depth.npy"), np.full((64, 72), np.nan)), SIMULATE, "NaN"),
    "depth negative": (lambda: write_npy(Path("depth.npy"), np.full((64, 72), -4.0)), SIMULATE, "is the unit psi?"),
    "depth of other size": (lambda: write_npy(Path("depth.npy"), np.ones((64, 73))), SIMULATE, "same"),
    "image of another camera": (
        _bank(latent=np.array([0, 0, 0])),
        (*SIMULATE, "--psf", "bank.npz"),
        "bank.npz: its camera sees 1 channels",
    ),
    "depth of three dimensions": (lambda: write_npy(Path("depth.npy"), np.ones((64, 72, 3))), SIMULATE, "3 channels"),
    "depth of strings": (lambda: write_npy(Path("depth.npy"), np.full((64, 72), "x")), SIMULATE, "depth.npy"),
    "dpt with a wrong tag": (
        lambda: Path("d.dpt").write_bytes(b"\0" * 100),
        ("simulate", "photo.png", "d.dpt", "--unit", "psi", "--out", "c.png"),
        "not a .dpt",
    ),
    "dpt truncated": (
        lambda: (
            write_dpt(Path("d.dpt"), np.ones((64, 72))),
            Path("d.dpt").write_bytes(Path("d.dpt").read_bytes()[:-4]),
        ),
        ("simulate", "photo.png", "d.dpt", "--unit", "psi", "--out", "c.png"),
        "64",
    ),
    "8-bit depth": (
        lambda: cv2.imwrite("d.png", np.ones((64, 72), np.uint8)),
        ("simulate", "photo.png", "d.png", "--unit", "m", "--out", "c.png"),
        "uint8",
    ),
    "unit missing": (None, ("simulate", "photo.png", "depth.npy", "--out", "c.png"), "--unit"),
    "grey file for three channels": (
        lambda: write_npy(Path("photo.npy"), np.ones((64, 72))),
        ("solve", "photo.npy", "--out", "result"),
        "photo.npy: is a grey image with one channel",
    ),
    "array of two channels for three": (
        lambda: write_npy(Path("photo.npy"), np.ones((2, 64, 72))),
        ("solve", "photo.npy", "--out", "result"),
        "photo.npy: has 2 channels",
    ),
    "empty array": (
        lambda: write_npy(Path("photo.npy"), np.ones((0, 72))),
        ("solve", "photo.npy", "--out", "result"),
        "photo.npy: has shape (0, 72)",
    ),
    "array that is none": (
        lambda: Path("photo.npy").write_text("hello"),
        ("solve", "photo.npy", "--out", "result"),
        "photo.npy: cannot be read as an array",
    ),
    "archive of two arrays": (
        lambda: np.savez("photo.npz", left=np.ones((64, 72)), right=np.ones((64, 72))),
        ("solve", "photo.npz", "--out", "result"),
        "photo.npz: holds 2 arrays ['left', 'right']",
    ),
    "three views for three channels, of other sizes": (
        lambda: (_grey(), write_npy(Path("b.npy"), np.ones((64, 72))), write_npy(Path("c.npy"), np.ones((64, 72)))),
        ("solve", "photo.png", "b.npy", "c.npy", "--out", "result"),
        "b.npy: is 72x64 pixels, photo.png 70x70",
    ),
    "two views for three channels": (
        _grey,
        ("solve", "photo.png", "photo.png", "--out", "result"),
        "photo.png: 2 files for PSFs of 3 channels",
    ),
    "learnt depth of a camera without weights": (
        _bank(),
        (*SOLVE, "--psf", "bank.npz", "--depth", "learnt"),
        "bank.npz: no learnt depth comes with dpcip for these PSFs",
    ),
    "weights missing": (None, (*SOLVE, "--weights", "w.safetensors"), "w.safetensors: no such file"),
    "weights of another name": (None, ("train", "--out", "w.npz"), "w.npz: weights are written as .safetensors"),
    "mismatch beyond 1": (None, (*SOLVE, "--mismatch", 1), "--mismatch"),
    "nothing to evaluate with": (None, ("evaluate", "result"), "give --sharp, --depth or both"),
    "depth without a unit": (None, ("evaluate", "result", "--depth", "depth.npy"), "--unit m or --unit psi"),
    "capture not PNG": (None, ("simulate", "photo.png", "depth.npy", "--unit", "m", "--out", "c.jpg"), ".png"),
    "impossible noise": (None, (*SIMULATE, "--read-noise", 2), "read noise"),
    "even kernel": (None, ("psf", "--out", "b.npz", "--size", 70), "70"),
    "far too many planes": (None, ("psf", "--out", "b.npz", "--psi", 0, 1, 1e-9), "larger"),
    "planes upside down": (None, ("psf", "--out", "b.npz", "--psi", 10, -4, 1), "MIN < MAX"),
    "planes beyond infinity": (None, ("psf", "--out", "b.npz", "--psi", -20, 0, 5), "infinity"),
    "bank as text": (None, ("psf", "--out", "b.txt"), ".npz or .mat"),
    "optics with an unknown key": (
        lambda: Path("o.yaml").write_text("lenses: 3"),
        ("psf", "--out", "b.npz", "--optics", "o.yaml"),
        "o.yaml",
    ),
    "result folder missing": (
        None,
        ("evaluate", "nowhere", "--sharp", "photo.png", "--depth", "depth.npy", "--unit", "m"),
        "nowhere",
    ),
    "result folder is a file": (None, ("solve", "photo.png", "--out", "depth.npy", "--iterations", 1), "depth.npy"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_ends_in_one_line(case: str, files: Path, monkeypatch, capfd) -> None:
    spoil, command, named = BAD_INPUTS[case]
    if spoil:
        spoil()
    before = sorted(p.name for p in files.iterdir())
    status = run(monkeypatch, *command)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert status not in (0, None)
    assert len(lines) == 1, lines
    assert lines[0].startswith("dpcip: ") and named in lines[0]
    assert sorted(p.name for p in files.iterdir() if p.name != "result") == [n for n in before if n != "result"]


@pytest.mark.slow
def test_bad_input_keeps_what_was_computed(files: Path, monkeypatch) -> None:
    """A second command with wrong input leaves the first one's results alone."""
    assert run(monkeypatch, *SOLVE) == 0
    before = {p: p.read_bytes() for p in Path("result").iterdir()}
    _truncated()
    assert run(monkeypatch, *SOLVE) != 0
    assert {p: p.read_bytes() for p in Path("result").iterdir()} == before


@pytest.mark.slow
def test_another_photographs_result_is_not_overwritten(files: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, *SOLVE) == 0
    before = Path("result/psi.npy").read_bytes()
    assert run(monkeypatch, *SOLVE, "--seed", 5) == 2
    assert "holds the result of another photograph" in capsys.readouterr().err
    assert Path("result/psi.npy").read_bytes() == before


def test_one_solve_at_a_time_in_a_folder(files: Path, monkeypatch, capsys) -> None:
    with claimed(Path("result")):
        assert run(monkeypatch, *SOLVE) == 2
    assert "another solve is writing there" in capsys.readouterr().err


@pytest.mark.slow
def test_out_of_time_then_the_same_command(files: Path, monkeypatch, capsys) -> None:
    command = ("solve", "photo.png", "--out", "result", "--preset", "paper", "--iterations", 3, "--max-seconds", 1e-9)
    for stopped_by in ("max_seconds", "max_seconds", "iterations"):
        assert run(monkeypatch, *command) == 0
        assert json.loads(Path("result/report.json").read_text())["stopped_by"] == stopped_by
    assert run(monkeypatch, *command) == 0
    assert "already solved" in capsys.readouterr().out


@pytest.mark.slow
def test_wrong_sizes_in_evaluate(files: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, *SOLVE) == 0
    write_image(files / "other.png", np.random.default_rng(0).random((3, 70, 70)))
    assert run(monkeypatch, "evaluate", "result", "--sharp", "other.png", "--depth", "depth.npy", "--unit", "m") == 2
    assert "other.png: is 70x70 pixels, the result 72x64" in capsys.readouterr().err
    write_npy(files / "result" / "psi_std.npy", np.ones((64, 70)))
    assert run(monkeypatch, "evaluate", "result", "--sharp", "photo.png", "--depth", "depth.npy", "--unit", "m") == 2
    assert "psi_std.npy: is 70x64 pixels, the result 72x64" in capsys.readouterr().err


@pytest.mark.slow
def test_two_views_through_every_verb(files: Path, monkeypatch, capsys) -> None:
    """A dual pixel's capture: simulated to .npy, solved as .npy, files and pages, scored after registration."""
    dual_pixel_bank().save(Path("dual.npz"))
    grey = np.kron(np.random.default_rng(0).random((1, 16, 18)), np.ones((1, 4, 4)))
    write_image(Path("grey.png"), grey)
    views = ("simulate", "grey.png", "depth.npy", "--unit", "m", "--psf", "dual.npz", "--bits", 12, "--out")
    assert run(monkeypatch, *views, "views.png") == 2
    assert "views.png: a PNG cannot hold 2 channels; choose a name that ends in .npy" in capsys.readouterr().err
    assert run(monkeypatch, *views, "views.npy") == 0
    light = np.load("views.npy")
    assert light.shape == (2, 64, 72) and light.dtype == np.float32
    write_image(Path("left.png"), light[:1], 16)
    write_image(Path("right.png"), light[1:], 16)
    tifffile.imwrite("pages.tif", light, photometric="minisblack")
    options = ("--psf", "dual.npz", "--iterations", 1, "--out")
    psi = {}
    for name, inputs in {"array": ["views.npy"], "files": ["left.png", "right.png"], "pages": ["pages.tif"]}.items():
        assert run(monkeypatch, "solve", *inputs, *options, name) == 0
        psi[name] = np.load(Path(name) / "psi.npy")
        assert read_image(Path(name) / "all_in_focus.png", None).shape == (1, 64, 72)
    assert np.allclose(psi["array"], psi["pages"], atol=1e-3) and np.abs(psi["array"] - psi["files"]).mean() < 0.1
    assert json.loads(Path("files/report.json").read_text())["photograph"]["file"] == "left.png, right.png"
    write_npy(Path("truth.npy"), np.roll(0.05 + 0.2 * grey[0], 1, axis=1))
    assert run(monkeypatch, "evaluate", "array", "--sharp", "truth.npy", "--register") == 0
    registered = json.loads(Path("array/metrics.json").read_text())["psnr_registered_db"]
    assert run(monkeypatch, "evaluate", "array", "--sharp", "grey.png") == 0
    assert registered > json.loads(Path("array/metrics.json").read_text())["psnr_db"] - 1


def test_light_in_another_unit(files: Path, monkeypatch, caplog) -> None:
    """Floats that stay far below 1, or go beyond it, are scaled to their brightest; others are left alone."""
    light = np.random.default_rng(0).random((3, 64, 72)).astype(np.float32)
    caplog.set_level(logging.INFO, "dpcip")
    for factor, white in ((1.0, 1.0), (0.1, 0.1), (700.0, 700.0)):
        write_npy(Path("light.npy"), factor * light)
        read, record = read_photo(Path("light.npy"), Reading())
        assert record["white"] == pytest.approx(white, rel=2e-3)
        assert np.allclose(read, light, atol=2e-3)
        assert ("light.npy: values up to" in caplog.text) == (factor != 1)
        told, _ = read_photo(Path("light.npy"), Reading.of({"white": factor}))
        assert np.allclose(told, light, atol=1e-6)
    integers = np.round(light * 255).astype(np.uint8)
    write_npy(Path("light.npy"), integers)
    assert np.allclose(read_photo(Path("light.npy"), Reading())[0], integers / 255)


@pytest.mark.slow
def test_psfs_that_do_not_explain_are_told_of(files: Path, monkeypatch, caplog) -> None:
    """Two views, one of them of other things, too: no depth explains them. A share that is told is kept."""
    dual_pixel_bank().save(Path("dual.npz"))
    scene = next(s for s in rendered() if s.name == "street_07").read().middle(192, 192).sharp.mean(axis=0)
    write_npy(Path("views.npy"), np.stack([scene[:96, :96], 0.7 * scene[:96, :96] + 0.3 * scene[96:, 96:]]))
    caplog.set_level(logging.INFO, "dpcip")
    told = ("solve", "views.npy", "--psf", "dual.npz", "--iterations", 1, "--out")
    assert run(monkeypatch, *told, "result") == 0
    assert "views.npy: dual.npz explains it to" in caplog.text
    settings = json.loads(Path("result/report.json").read_text())["settings"]
    assert settings["model_error"] > 0.01
    assert run(monkeypatch, *told, "other", "--mismatch", 0.3) == 0
    assert json.loads(Path("other/report.json").read_text())["settings"]["mismatch"] == 0.3
    assert run(monkeypatch, *told, "paper", "--preset", "paper", "--mismatch", 0.2) == 0
    assert json.loads(Path("paper/report.json").read_text())["settings"]["mismatch"] == 0.2


def _tiff(pixels: np.ndarray, **options: object) -> Callable[[], None]:
    return lambda: tifffile.imwrite("p.tif", pixels, **options)  # type: ignore[arg-type]


def _thumbnail() -> None:
    with tifffile.TiffWriter("p.tif") as file:
        file.write(np.eye(70, dtype=np.uint8), subifds=1)
        file.write(np.eye(140, dtype=np.uint8))


GREY_BANK = {"psf": np.full((3, 1, 5, 5), 1 / 25, np.float32)}
NOT_LIGHT: dict[str, tuple[Callable[[], object], str, str]] = {
    "grey with alpha": (lambda: Image.new("LA", (70, 70), (9, 255)).save("p.png"), "p.png", "an alpha channel"),
    "palette of a TIFF": (lambda: Image.new("P", (70, 70), 3).save("p.tif"), "p.tif", "has 3 channels"),
    "negative": (_tiff(np.eye(70, dtype=np.uint8), photometric="miniswhite"), "p.tif", "(miniswhite)"),
    "pages of two sizes": (
        lambda: (
            _tiff(np.eye(70, dtype=np.uint8))(),
            tifffile.imwrite("p.tif", np.eye(80, dtype=np.uint8), append=True),
        ),
        "p.tif",
        "holds 2 pictures (70x70, 80x80)",
    ),
    "thumbnail first": (_thumbnail, "p.tif", "holds 2 pictures (70x70, 140x140)"),
    "below black": (
        lambda: write_npy(Path("p.npy"), np.random.default_rng(0).normal(size=(70, 70))),
        "p.npy",
        "below black",
    ),
    "channels last": (lambda: write_npy(Path("p.npy"), np.ones((70, 80, 1))), "p.npy", "transpose it to [C, H, W]"),
    "numbers that are not": (
        lambda: write_npy(Path("p.npy"), np.full((70, 70), 1j)),
        "p.npy",
        "samples are complex128",
    ),
}


@pytest.mark.parametrize("name", NOT_LIGHT)
def test_a_grey_camera_takes_nothing_else_for_light(files: Path, monkeypatch, capsys, name: str) -> None:
    make, photo, named = NOT_LIGHT[name]
    _bank(**GREY_BANK)()
    make()
    assert run(monkeypatch, "solve", photo, "--psf", "bank.npz", "--iterations", 1, "--out", "result") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and photo in told and named in told
    assert not Path("result").exists()


def test_views_share_one_scale(files: Path) -> None:
    """The gain between two views is part of the capture."""
    rng = np.random.default_rng(0)
    left, right = (0.2 * rng.random((64, 72)).astype(np.float32), 0.1 * rng.random((64, 72)).astype(np.float32))
    for name, values in {"left": left, "right": right, "both": np.stack([left, right])}.items():
        write_npy(Path(f"{name}.npy"), values)
    apart, record = read_photo(Path("left.npy"), Reading(), 2, [Path("right.npy")])
    together, _ = read_photo(Path("both.npy"), Reading(), 2)
    assert np.array_equal(apart, together) and record["file"] == "left.npy, right.npy"
    part, _ = read_photo(Path("both.npy"), Reading.of({"roi": "0,0,64,64"}), 2)
    assert np.array_equal(part, together[:, :64, :64])


def test_simulate_does_not_replace_what_it_reads(files: Path, monkeypatch, capsys) -> None:
    before = Path("depth.npy").read_bytes()
    assert run(monkeypatch, *SIMULATE[:-1], "depth.npy") == 2
    assert "depth.npy: is read, and would be overwritten" in capsys.readouterr().err
    assert Path("depth.npy").read_bytes() == before


def test_sixteen_bit_capture_is_not_rounded(files: Path, monkeypatch) -> None:
    assert run(monkeypatch, *SIMULATE, "--bits", 16, "--psf", "bank.npz") == 0
    eight = read_image(Path("coded.png")) * 255
    assert np.abs(eight - np.round(eight)).mean() > 0.1
    assert read_depth(Path("depth.npy"), "m").shape == (64, 72)


@pytest.mark.slow
def test_study_of_a_list(files: Path, monkeypatch, capsys) -> None:
    Path("list.csv").write_text("frame,factor,preset,iterations,generator\ntable_14,4,paper,2,pip\n")
    assert run(monkeypatch, "study", "list.csv", "--out", "rows.csv", "--work", "work") == 0
    (row,) = csv.DictReader(Path("rows.csv").read_text().splitlines())
    assert row["generator"] == "pip" and float(row["psnr_db"]) > 5
    assert (Path("work") / "solves" / row["solve"] / "report.json").is_file()
    assert run(monkeypatch, "study", "list.csv", "--out", "rows.txt") == 2
    assert "choose a name that ends in .csv" in capsys.readouterr().err


def test_bench_without_anything_to_report_on_says_so(files: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, "bench", "--out", "results", "--report") == 2
    told = capsys.readouterr().err
    assert "holds no run of the present algorithm" in told and told.count("\n") == 1


@pytest.mark.slow
def test_a_captures_folder_in_tiles_with_its_tone_curve(tmp_path: Path, monkeypatch, capsys, caplog) -> None:
    """Read as its capture.yaml says, solved in tiles, written with its tone curve, and told in the report."""
    small = PsfBank.synthesise(psi=np.array([-2.0, 0, 2]), size=15)
    blocks = np.kron(np.random.default_rng(0).random((3, 23, 35)), np.ones((1, 4, 4)))
    light = simulate(blocks, np.zeros((92, 140)), small)
    write_image(tmp_path / "shot" / "image.png", light ** (1 / 2.2), 16)
    small.save(tmp_path / "shot" / "bank.npz")
    (tmp_path / "shot" / "capture.yaml").write_text("gamma: 2.2\n")
    monkeypatch.chdir(tmp_path)
    command = ("solve", "shot", "--out", "result", "--iterations", 1, "--tile", 96)
    caplog.set_level(logging.INFO, "dpcip")
    assert run(monkeypatch, *command) == 0
    assert "140x92 pixels in 2 tiles of 93x92" in caplog.text
    assert "2.00/2 tiles" in capsys.readouterr().err
    report = json.loads(Path("result/report.json").read_text())
    assert report["photograph"]["gamma"] == report["photograph"]["written_with_gamma"] == 2.2
    assert report["tiles"]["count"] == 2 and report["tiles"]["size"] == [93, 92]
    shown = read_image(Path("result/all_in_focus.png"))
    assert np.abs(shown - blocks ** (1 / 2.2)).mean() < 0.5 * np.abs(shown - blocks).mean()
    assert {p.name for p in Path("result").iterdir()} == {*RESULT_FILES, "report.json"}
    assert run(monkeypatch, *command) == 0
    assert "already solved" in capsys.readouterr().out
    assert run(monkeypatch, *command[:-1], 100) == 2  # other tiles: another result
    assert "holds the result of another photograph or other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_out_of_time_in_tiles(tmp_path: Path, monkeypatch, capsys) -> None:
    small = PsfBank.synthesise(psi=np.array([-2.0, 0, 2]), size=15)
    write_image(tmp_path / "photo.png", np.random.default_rng(0).random((3, 92, 140)))
    small.save(tmp_path / "bank.npz")
    monkeypatch.chdir(tmp_path)
    command = ("solve", "photo.png", "--psf", "bank.npz", "--out", "result", "--preset", "paper-short", "--tile", 96)
    short = (*command, "--iterations", 1, "--quiet", "--max-seconds", 1e-9)
    assert run(monkeypatch, *short) == 0
    assert "out of time before the last tile was solved" in capsys.readouterr().out
    assert not Path("result/report.json").exists() and Path("result/tiles/tile_00_00/solution.npz").exists()
    assert run(monkeypatch, *short) == 0
    assert json.loads(Path("result/report.json").read_text())["tiles"]["count"] == 2
    assert not Path("result/tiles").exists()

"""dpcip export: each file opened by the reader of another project."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile
import trimesh
from made_solution import FAR_M, NEAR_M, made_solution
from PIL import Image

from dpcip.cli import main as cli
from dpcip.data.depth_maps import read_depth
from dpcip.data.images import read_image
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.lens import Optics
from dpcip.solver.solution import Solution


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["dpcip", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def saved(solution: Solution, folder: Path) -> Path:
    solution.save(folder / "result")
    return folder / "result"


def channels(path: Path) -> dict[str, np.ndarray]:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels for name, channel in file.channels().items()}


def test_every_file_opens_and_holds_what_it_should(tmp_path: Path, monkeypatch, capsys) -> None:
    solution = made_solution()
    solution.depth_m[0, :3] = 65.6, 0.0004, 1.23456
    result = saved(solution, tmp_path)
    assert run(monkeypatch, result, "--out", tmp_path / "out") == 0
    names = {"depth.png", "depth.tiff", "depth.exr", "image.png", "image.tiff", "image.exr", "points.ply"}
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == names
    printed = capsys.readouterr().out
    assert all(str(out / name) in printed for name in names)

    with Image.open(out / "depth.png") as image:
        assert (
            image.mode == "I;16" and image.text["depth_scale_m"] == "0.001" and "0.001 m" in image.text["Description"]
        )
        levels = np.asarray(image)
    assert levels[0, :3].tolist() == [65535, 1, 1235] and levels[48, 64] == 600 and levels[5, 5] == 1200
    assert np.allclose(read_depth(out / "depth.png", "m")[1:], solution.depth_m[1:], atol=5e-4)
    with tifffile.TiffFile(out / "depth.tiff") as file:
        assert file.pages[0].description == "depth in metres"
        assert np.array_equal(file.asarray(), solution.depth_m)
    assert np.array_equal(channels(out / "depth.exr")["Z"], solution.depth_m)

    for name in ("image.png", "image.tiff"):
        assert np.abs(read_image(out / name) - solution.sharp).max() <= 0.5001 / 65535
    assert tifffile.imread(out / "image.tiff").dtype == np.uint16
    exr = channels(out / "image.exr")
    light = ToneCurve("srgb").decode(solution.sharp)
    assert np.allclose([exr[name] for name in "RGB"], light, atol=1e-4) and exr["R"].dtype == np.float32
    assert np.abs(light - solution.sharp).max() > 0.1  # so that the tone curve was undone


def test_points_lie_where_the_lens_saw_them(tmp_path: Path, monkeypatch, capsys) -> None:
    """The certain square alone at 1 rad, all points at 3; by the camera's focal length, or the stated view."""
    solution = made_solution()
    result = saved(solution, tmp_path)
    height, width = solution.psi.shape
    assert run(monkeypatch, result, "--format", "ply") == 0
    square = trimesh.load(result / "export" / "points.ply")
    certain = solution.psi_std <= 1
    assert len(square.vertices) == certain.sum()
    assert f"{certain.sum()} of {certain.size} points" in capsys.readouterr().out
    assert np.allclose(square.vertices[:, 2], -NEAR_M)
    rows, columns = np.nonzero(certain)
    focal_px = Optics().focal_px
    assert np.allclose(square.vertices[:, 0], (columns + 0.5 - width / 2) * NEAR_M / focal_px, atol=1e-6)
    assert square.vertices[rows.argmin(), 1] > square.vertices[rows.argmax(), 1]  # up is up
    assert np.array_equal(square.colors[:, :3], np.round(255 * solution.sharp[:, rows, columns]).T)

    wide = (result, "--format", "ply", "--max-std", 3, "--field-of-view", 90, "--out", tmp_path / "wide")
    assert run(monkeypatch, *wide) == 0
    cloud = trimesh.load(tmp_path / "wide" / "points.ply")
    assert len(cloud.vertices) == certain.size
    corner = cloud.vertices[0]
    assert corner[2] == pytest.approx(-FAR_M) and corner[0] == pytest.approx(-FAR_M * (1 - 1 / width), rel=1e-5)
    assert corner[1] == pytest.approx(FAR_M * (height - 1) / width, rel=1e-5)


def test_unknown_optics_get_a_usual_view_and_a_word_about_it(tmp_path: Path, monkeypatch, capsys) -> None:
    solution = made_solution(channels=2, latent=1, depth="flat")
    del solution.report["psf_bank"]["focal_px"]  # a result of before
    result = saved(solution, tmp_path)
    assert run(monkeypatch, result, "--format", "ply") == 0
    assert "45 degrees across, a guess: say --field-of-view if you know it" in capsys.readouterr().out
    cloud = trimesh.load(result / "export" / "points.ply")
    half = NEAR_M * math.tan(math.radians(22.5)) * (1 - 1 / solution.psi.shape[1])
    assert np.abs(cloud.vertices[:, 0]).max() == pytest.approx(half, rel=1e-5)
    assert np.ptp(cloud.colors[:, :3], axis=1).max() == 0  # grey


@pytest.mark.parametrize("latent", [1, 2])
def test_images_of_one_or_two_channels(latent: int, tmp_path: Path, monkeypatch) -> None:
    solution = made_solution(channels=2, latent=latent)
    solution = replace(solution, report={**solution.report, "photograph": {}})
    result = saved(solution, tmp_path)
    assert run(monkeypatch, result) == 0
    out = result / "export"
    with Image.open(out / "image.png") as image:
        assert image.mode == "I;16"
    pages = tifffile.imread(out / "image.tiff").reshape(solution.sharp.shape)
    assert np.allclose(pages / 65535, solution.sharp, atol=1e-5)
    exr = channels(out / "image.exr")
    assert list(exr) == (["Y"] if latent == 1 else ["0", "1"])
    assert np.allclose(list(exr.values()), solution.sharp, atol=1e-4)  # it was linear in light


def _cut_depth(result: Path) -> None:
    np.save(result / "depth.npy", np.ones((8, 8), np.float32))


BAD = {
    "no result": (lambda result: (result / "report.json").unlink(), (), "report.json"),
    "image gone": (lambda result: (result / "all_in_focus.png").unlink(), (), "all_in_focus.png"),
    "another size": (_cut_depth, (), "depth.npy: is (8, 8) pixels"),
    "nothing certain": (lambda result: None, ("--max-std", 0.01), "raise --max-std"),
    "unlikely view": (lambda result: None, ("--field-of-view", 180), "--field-of-view"),
    "no number": (lambda result: None, ("--max-std", "nan"), "--max-std"),
    "unknown format": (lambda result: None, ("--format", "jpg"), "jpg"),
    "out is a file": (lambda result: None, ("--out", __file__), "is not a folder"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(made_solution(), tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_one_line_and_writes_nothing(
    case: str, good: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    spoil, options, named = BAD[case]
    result = Path(shutil.copytree(good, tmp_path / "result"))
    spoil(result)
    assert run(monkeypatch, result, *options) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith("dpcip: ") and named in told
    assert not (result / "export").exists()


def test_files_of_others_are_not_replaced(tmp_path: Path, monkeypatch, capsys) -> None:
    result, theirs = saved(made_solution(), tmp_path), tmp_path / "depth.tiff"
    theirs.write_text("mine")
    command = [result, "--out", tmp_path, "--format", "tiff"]
    assert run(monkeypatch, *command) == 2
    assert "depth.tiff: exists; choose another folder" in capsys.readouterr().err
    assert theirs.read_text() == "mine" and not (tmp_path / "image.tiff").exists()
    assert run(monkeypatch, *command, "--overwrite") == 0
    assert theirs.read_bytes() != b"mine"

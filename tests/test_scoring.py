"""Trials of sensors, noise, optics and captures: what enters a solve, what is scored, what is chosen and said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpcip.data.composed import NEAR_M, OBJECT_M, PHOTOGRAPHS, composed
from dpcip.data.photographs import Photograph
from dpcip.data.scenes import Scene, middle, motorcycle
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank
from dpcip.solver.solution import Solution
from dpcip.study import capture_figure as figures
from dpcip.study.noise import CLAIMS, RECIPES, finding, largest_weight
from dpcip.study.optics_faults import FAULTS, NOMINAL, learnt, refocused_by_one_distance
from dpcip.study.scoring import residual, row_of
from dpcip.study.sensor import CAMERAS, SRGB, as_light, captures_of, stored
from dpcip.utils.errors import InputError

TOP = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def scene() -> Scene:
    return motorcycle().reduced(4).middle(72, 96)


def perfect(scene: Scene, lens: Lens, fit_db: float = 40.0) -> Solution:
    """A solve that found the truth."""
    psi = np.clip(lens.psi_from_depth(scene.depth_m), -4, 10)
    report: dict[str, object] = {"data_fit_db": fit_db, "iterations": 1, "seconds": 0.0, "fingerprint": "f" * 64}
    spread = np.ones(psi.shape)
    sharp = scene.sharp * (1 - 1e-5)  # a PSNR of equal images is infinite
    return Solution(sharp, psi, lens.depth_from_psi(psi), spread, scene.sharp, np.array([fit_db]), report)


def test_the_middle_is_cut_and_a_small_picture_stays_whole() -> None:
    image = np.arange(5 * 7).reshape(1, 5, 7)
    assert np.array_equal(middle(image, 3, 3), image[:, 1:4, 2:5])
    assert np.array_equal(middle(image, 9, 9), image)


def test_truth_scores_perfectly_and_a_wrong_focus_costs_metres_alone(scene: Scene, bank: PsfBank) -> None:
    photo = Photograph(scene, 0.99 * scene.sharp, bank)
    row = row_of(photo, perfect(scene, bank.lens))
    assert row["depth_rmse_m"] < 1e-9 and row["ssim"] == pytest.approx(1, abs=1e-4)
    farther = replace(bank.lens, focus_m=0.918)
    found = perfect(scene, farther)  # psi of the true camera, which the solver takes for another
    assert 0.005 < row_of(photo, found)["depth_rmse_m"] < 0.1
    assert row_of(photo, found, farther)["depth_rmse_m"] < 1e-9


def test_one_known_distance_finds_the_focus(scene: Scene, bank: PsfBank) -> None:
    true = replace(bank.lens, focus_m=0.918)
    found = perfect(scene, true)
    found.psi_std[30:45, 40:55] = 0.1
    assert refocused_by_one_distance(found, scene, bank.lens).focus_m == pytest.approx(0.918, rel=5e-3)


def test_scores_are_taken_with_the_tone_curve(scene: Scene, bank: PsfBank) -> None:
    darker = replace(perfect(scene, bank.lens), sharp=scene.sharp * 0.9)
    in_light, looked_at = (
        row_of(Photograph(scene, 0.99 * scene.sharp, bank, tone), darker)["psnr_db"] for tone in (ToneCurve(), SRGB)
    )
    assert looked_at != pytest.approx(in_light, abs=0.1)


def test_residual_is_the_fits_root_mean_square(scene: Scene, bank: PsfBank) -> None:
    assert residual(perfect(scene, bank.lens, 40.0)) == pytest.approx(0.01)


@pytest.mark.parametrize(("fits", "weight"), [((40, 39.9, 39.9), 1.0), ((40, 30, 39.9), 0.3), ((40, 30, 30), 0.3)])
def test_largest_weight_that_explains(scene: Scene, bank: PsfBank, fits: tuple[float, ...], weight: float) -> None:
    """Fits without a weight, with 1 and with 0.3; nothing but them decides."""
    by_weight = {w: perfect(scene, bank.lens, fit) for w, fit in zip((0.0, 1.0, 0.3), fits, strict=True)}
    assert largest_weight(by_weight.__getitem__, 1e-4, (0.3, 1.0))[0] == weight


def test_noise_allows_a_larger_residual(scene: Scene, bank: PsfBank) -> None:
    by_weight = {w: perfect(scene, bank.lens, fit) for w, fit in ((0.0, 40.0), (1.0, 30.0), (0.3, 39.9))}
    assert largest_weight(by_weight.__getitem__, 0.04, (0.3, 1.0))[0] == 1.0


def test_recipes_stop_by_noise_and_differ_in_one_thing() -> None:
    dip, dip_tv, pip, _, fast = (recipe.settings(100, 0.02, 3) for recipe in RECIPES)
    assert dip == dip_tv and dip.noise == 0.02 and dip.seed == 3 and dip.convergence_window
    assert replace(dip, generator="pip") == pip
    assert fast.refine and not dip.refine


def test_finding_is_read_off_the_rows() -> None:
    value = {"DIP": 0.5, "DIP + TV": 0.3, "PIP": 0.2, "PIP + TV": 0.1}
    rows = pd.DataFrame(
        {"noise_percent": level, "recipe": name, **dict.fromkeys(("leak", "leak_rad_per_px", "depth_rmse_m"), v)}
        for level in (0.0, 1.0, 4.0)
        for name, v in value.items()
    )
    assert list(finding(rows)["verdict"]) == ["reproduced: at 2 of 2 noise levels"] * len(CLAIMS)
    rows.loc[(rows["noise_percent"] == 4) & (rows["recipe"] == "PIP + TV"), "leak"] = 0.9
    assert finding(rows)["verdict"][0] == "in part: at 1 of 2 noise levels"
    noisiest = rows["noise_percent"] == 4
    rows.loc[noisiest & (rows["recipe"] == "PIP + TV"), "leak"] = -0.3  # where DIP has none, nothing leaks less
    rows.loc[noisiest & (rows["recipe"] == "DIP"), "leak"] = -0.1
    assert finding(rows)["verdict"][0] == "in part: at 1 of 2 noise levels"
    rows.loc[rows["noise_percent"] == 0, "leak"] = 99  # below 1 % nothing is claimed
    assert finding(rows)["verdict"][0] == "in part: at 1 of 2 noise levels"


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_composed_depth_has_a_slope_and_an_object(name: str) -> None:
    scene = composed(name)
    height, width = scene.depth_m.shape
    assert scene.sharp.shape == (3, height, width) and "composed" in scene.name
    assert scene.depth_m[height // 2, width // 2] == OBJECT_M
    assert scene.depth_m[-1, 0] == pytest.approx(NEAR_M, rel=0.01)
    assert np.all(np.diff(scene.depth_m[:, 0]) < 0)


def test_unknown_photograph_is_refused() -> None:
    with pytest.raises(InputError, match="no photograph 'mona'"):
        composed("mona")


def test_sensors_from_the_same_light(scene: Scene) -> None:
    light = as_light(scene).sharp
    taken = captures_of(light, seed=1)
    assert list(taken) == list(CAMERAS)
    ideal, raw, decoded, forgotten = taken.values()
    assert np.abs(ideal - light).max() < 1e-4
    assert 0.002 < np.std(raw - light) < 0.2
    assert np.abs(decoded - raw).max() < 0.01  # 8 bits of a curve
    assert np.allclose(SRGB.decode(forgotten), decoded, atol=1e-6)
    assert forgotten.mean() > decoded.mean() + 0.05
    assert np.array_equal(captures_of(light, seed=1)[CAMERAS[1]], raw)


def test_a_file_holds_whole_levels(scene: Scene) -> None:
    values = stored(scene.sharp, SRGB, 8) * 255
    assert np.allclose(values, np.round(values), atol=1e-4)


def test_each_fault_changes_the_capture(scene: Scene) -> None:
    small = scene.middle(64, 64)
    small = replace(small, depth_m=np.clip(small.depth_m, 0.75, 0.95))
    taken = {fault.name: fault.capture(small) for fault in FAULTS if fault.name in ("none", "coma 1 rad", "tilt 1 rad")}
    good = taken.pop("none")
    for name, capture in taken.items():
        assert np.abs(capture - good).mean() > 1 / 255, name
    assert FAULTS[0].optics == NOMINAL and len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_learnt_scale_is_the_apertures(scene: Scene, bank: PsfBank) -> None:
    solution = perfect(scene, bank.lens)
    wide = next(fault for fault in FAULTS if fault.name.startswith("aperture"))
    solution.report["optics"] = {"phases_rad": (0.0, 6.1, 12.2), "airy_px": wide.optics.airy_px}
    found = learnt(solution)
    assert found.mask.phases_rad == (0.0, 6.1, 12.2)
    assert found.lens.aperture_radius_mm == pytest.approx(wide.optics.lens.aperture_radius_mm)


def test_figure_of_a_result_with_its_report(scene: Scene, bank: PsfBank, tmp_path: Path) -> None:
    replace(perfect(scene, bank.lens), capture=scene.sharp).save(tmp_path / "result")
    figures.draw_result(tmp_path / "result", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "figure.json").read_text())["data_fit_db"] == 40.0
    with pytest.raises(InputError, match="holds no result"):
        figures.draw_result(tmp_path, tmp_path / "figure.png")


def test_the_capture_is_drawn_only_if_given(scene: Scene) -> None:
    maps = scene.sharp, scene.depth_m, scene.depth_m
    titles = [
        [ax.get_title() for ax in figures.capture_figure(*maps, capture).axes if ax.get_title()]
        for capture in (None, scene.sharp)
    ]
    assert "capture" not in titles[0]
    assert titles[1] == ["capture", *titles[0]]


def test_one_known_distance_found_the_focus() -> None:
    """In the committed table. At scale tutorial psi is too coarse for it, so that nbval cannot check it.

    The believed focus is 2 % off. Two processors and arithmetics gave 0.9167 m and 0.9275 m for the true 0.918 m.
    """
    rows = pd.read_csv(TOP / "results" / "tables" / "realworld_optics.csv").set_index("solved")
    found = rows.loc["one known distance"]
    assert found["focus (m)"] == pytest.approx(found["true focus"], rel=0.015)

"""Plans: the paper's scale is 110 photographs with three seeds, and a dry run prices each solve and solves none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dpcip.cli.main import cli
from dpcip.paper.pipeline import read_params
from dpcip.solver import cache as solves
from dpcip.study import plans
from dpcip.study.cases import Case, read_plan
from dpcip.utils.errors import InputError

SMALL = Case(frame="table_14", factor=4, preset="paper", iterations=4)


def test_scale_paper_is_all_110_frames_with_three_seeds(tmp_path: Path) -> None:
    cases = plans.plan_of_scale(read_params(), "paper")
    assert len(cases) == len(set(cases)) == 330
    assert len({case.frame for case in cases}) == 110 and {case.seed for case in cases} == {0, 1, 2}
    assert {(case.factor, case.preset, case.dataset) for case in cases} == {(1, "paper", "rendered_paper")}
    assert cases[0].settings().iterations == 5001
    plans.write_plan(tmp_path / "paper.csv", cases)
    assert read_plan(tmp_path / "paper.csv") == cases


def test_other_scales_are_the_notebooks_own_cases() -> None:
    params = read_params()
    cases = plans.plan_of_scale(params, "laptop")
    values = params["02_depth"]["laptop"]
    assert len(cases) == 5 * values["frames"] * values["seeds"]
    assert {case.iterations for case in cases} == {values["study_iterations"]}
    with pytest.raises(InputError, match="has no scale 'huge'"):
        plans.plan_of_scale(params, "huge")


@pytest.mark.slow
def test_price_grows_with_pixels_and_iterations_and_is_measured_once_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    measure = plans.estimate_cost
    monkeypatch.setattr(plans, "estimate_cost", lambda *args: (measured.append(args[0]), measure(*args))[1])
    cases = [SMALL, dataclasses.replace(SMALL, seed=1), dataclasses.replace(SMALL, iterations=4000)]
    prices = plans.price(cases)
    assert len(measured) == 2
    assert prices[["width", "height"]].drop_duplicates().values.tolist() == [[128, 64]]
    assert prices["seconds"][0] == prices["seconds"][1] < prices["seconds"][2] / 50
    wide = plans.price(cases[:1], size=(1024, 512))
    assert wide["memory_gib"][0] > prices["memory_gib"][0] and wide["width"][0] == 1024


@pytest.mark.slow
def test_total_states_the_assumption_behind_gpu_hours() -> None:
    prices = plans.price([SMALL], size=(128, 64))
    prices["seconds"] = 7200.0
    assert "GPU" not in plans.total(prices)
    assert "(2.0 h on this machine" in plans.total(prices)
    assert "0.2 GPU-hours, assuming that one GPU is 10 times as fast" in plans.total(prices, 10)


@pytest.mark.slow
def test_dry_run_lists_every_solve_and_solves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "list.csv"
    plans.write_plan(path, [SMALL, dataclasses.replace(SMALL, frame="not_rendered_yet", seed=7)])
    monkeypatch.setattr(solves, "solve", lambda *_, **__: pytest.fail("solved"))
    cli.main(["study", str(path), "--dry-run", "--size", "128", "64"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "table_14" and lines[2].split()[0] == "not_rendered_yet"
    assert lines[3].startswith("2 solves, ")


def test_plan_says_how_to_price_frames_that_are_not_rendered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scale, ending in (("paper", "--dry-run --size 1024 512"), ("laptop", "--dry-run")):
        cli.main(["plan", "--out", str(tmp_path / f"{scale}.csv"), "--scale", scale], standalone_mode=False)
        assert capsys.readouterr().out.strip().endswith(ending)

"""The bench: runs that are resumed and kept, times and ratios computed from them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dpcip import bench
from dpcip.bench import VARIANTS, Target, follow, in_small, probe, run_bench, target
from dpcip.bench_report import curves, seconds_of, seconds_to, summary, table
from dpcip.bench_speed import measure_speed
from dpcip.errors import InputError
from dpcip.settings import PRESETS, Settings
from dpcip.solver import Stepper

TINY = Settings(iterations=20, l2_iterations=5, channels_last=True)
SPEED = {
    "paper": {"seconds_per_iteration": 0.5, "seconds_before": 0.0, "seconds_after": 0.0},
    "fast": {"seconds_per_iteration": 1.0, "seconds_before": 5.0, "seconds_after": 10.0},
    "thorough": {"seconds_per_iteration": 1.0, "seconds_before": 5.0, "seconds_after": 10.0},
    "released": {"seconds_per_iteration": 5.0, "seconds_before": 0.0, "seconds_after": 0.0},
}


def row(iteration: int, psnr_db: float, rmse_m: float) -> dict[str, float]:
    rest = {"ssim": psnr_db / 40, "psi_mae_in_range": 0.5, "fit_db": 45.0}
    return {"iteration": iteration, "psnr_db": psnr_db, "depth_rmse_in_range_m": rmse_m, **rest}


RUNS = [
    {"variant": "paper", "scene": "table", "seed": 0, "rows": [row(100, 20, 0.2), row(200, 24, 0.1)]},
    {"variant": "fast", "scene": "table", "seed": 0, "rows": [row(5, 25, 0.2), row(10, 25, 0.09), row(20, 26, 0.08)]},
    {"variant": "thorough", "scene": "table", "seed": 0, "rows": [row(80, 27, 0.05), row(400, 30, 0.01)]},
]


def test_time_counts_start_and_end() -> None:
    assert seconds_of(RUNS[1], RUNS[1]["rows"][1], SPEED) == 25
    assert seconds_to(RUNS[1], RUNS[0]["rows"][-1], SPEED) == 25  # at 5 iterations the depth is still worse
    assert seconds_to(RUNS[1], row(0, 40, 0.2), SPEED) == float("inf")


def test_summary_compares_like_with_like() -> None:
    found = summary(RUNS, SPEED, {})
    assert found["time_ratio_vs_optimised"] == pytest.approx(25 / 100)
    assert found["time_ratio_vs_released"] == pytest.approx(25 / 1000)
    assert found["psnr_gain_equal_time_db"] == pytest.approx(3)  # the row at 415 s comes after the paper's 100 s
    assert found["depth_rmse_ratio_equal_time"] == pytest.approx(0.5)


def test_summary_says_when_quality_was_never_reached() -> None:
    worse = [{**RUNS[1], "rows": [row(10, 22, 0.3)]}]
    found = summary([RUNS[0], *worse], SPEED, {})
    assert found["time_ratio_vs_released"] is None and found["cases_as_good_as_paper"] == 0
    assert found["psnr_gain_equal_time_db"] is None and found["cases_equal_time"] == 0


def test_table_and_curves_show_every_variant() -> None:
    rows = table(RUNS, SPEED)
    assert list(rows["variant"]) == ["paper", "fast", "thorough"]
    assert rows.loc[1, "as good as paper"] == "1 of 1" and rows.loc[1, "seconds"] == 35
    assert len(curves(RUNS, SPEED).axes) == 3


def test_target_is_the_middle_of_a_scene() -> None:
    truth = target("table", 64)
    assert truth.capture.shape == (3, 64, 64) and truth.psi.shape == (64, 64)
    assert np.array_equal(np.round(truth.capture * 255) / 255, truth.capture)
    with pytest.raises(InputError, match="no scene 'moon'"):
        target("moon")


def test_in_small_keeps_the_recipe() -> None:
    small = in_small(PRESETS["fast"])
    assert small.camera == "masked" and small.warmup_iterations > 0 and small.refine and small.iterations < 20
    assert in_small(PRESETS["paper"]).warmup_iterations == 0


def test_probe_sees_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    before = probe(TINY)
    assert probe(TINY) == before
    rate = Stepper.learning_rate
    monkeypatch.setattr(Stepper, "learning_rate", lambda self: 0.99 * rate(self))
    assert not np.allclose(probe(TINY), before, rtol=bench.PROBE_TOLERANCE)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setitem(VARIANTS, "tiny", TINY)
    return target("table", 64)


def test_run_is_kept_and_read_back(tiny: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = follow("tiny", tiny, 3, tmp_path / "runs", tmp_path / "work")
    assert [one["iteration"] for one in run["rows"]] == list(range(1, 21))
    assert run["rows"][-1]["psnr_db"] > 10
    monkeypatch.setattr(bench, "_run", None)  # would fail if it were run again
    again = follow("tiny", tiny, 3, tmp_path / "runs", tmp_path / "work")
    assert again == json.loads(json.dumps(run))


def test_interrupted_run_goes_on(tiny: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = follow("tiny", tiny, 0, tmp_path / "whole", tmp_path / "work")
    monkeypatch.setattr(bench, "CHECKPOINT_SECONDS", 0)
    step, steps = Stepper.step, []

    def cut(stepper: Stepper) -> None:
        if len(steps) > 32:  # the probe takes 16
            raise KeyboardInterrupt
        steps.append(stepper.iteration)
        step(stepper)

    monkeypatch.setattr(Stepper, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        follow("tiny", tiny, 0, tmp_path / "cut", tmp_path / "work")
    monkeypatch.setattr(Stepper, "step", lambda stepper: (steps.append(stepper.iteration), step(stepper))[1])
    resumed = follow("tiny", tiny, 0, tmp_path / "cut", tmp_path / "work")
    assert resumed["rows"] == whole["rows"]
    assert steps[-3:] == [17, 18, 19] and len(steps) == 33 + 16 + 3


def test_speed_counts_only_what_a_variant_does() -> None:
    capture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    guided = dataclasses.replace(TINY, camera="masked", warmup_iterations=3, guide_iterations=3, refine=True)
    speed = measure_speed({"plain": TINY, "guided": guided}, capture)
    for when in ("seconds_before", "seconds_after"):  # a ratio within one run, not a time
        assert speed["plain"][when] < 0.01 * speed["guided"][when]
    assert speed["plain"]["seconds_per_iteration"] > 0


def test_report_from_kept_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for run in RUNS:
        (tmp_path / "runs" / f"{run['variant']}.json").write_text(json.dumps(run))
    scaling = {name: {"seconds_per_iteration": 1.0, "peak_gib": 2.0} for name in ("256x256", "512x1024", "141 taps")}
    machine = {"device_name": "a machine", "threads": 2}
    peak = {"convolution_peak_tflops": 0.4, "share_of_peak": 0.5}
    (tmp_path / "speed.json").write_text(json.dumps({"speed": SPEED, "scaling": scaling, "machine": machine, **peak}))
    run_bench(tmp_path, ["table"], [0], ["paper"], only_report=True)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["time_ratio_vs_released"] == pytest.approx(0.025) and found["peak_memory_gib_512x1024"] == 2.0
    assert (tmp_path / "bench.png").is_file() and "thorough" in (tmp_path / "bench.md").read_text()


def test_unknown_variant_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="variant 'quick' is unknown"):
        run_bench(tmp_path, ["table"], [0], ["quick"], only_report=False)

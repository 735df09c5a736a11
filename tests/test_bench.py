"""The bench: runs that are resumed and kept, times and ratios computed from them."""

import copy
import dataclasses
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dpcip.paper import bench, bench_speed
from dpcip.paper.bench import VARIANTS, Target, follow, identity, run_bench, scores, stepper_for, target
from dpcip.paper.bench_report import ROW_KEYS, cases, curves, seconds_of, seconds_to, summary, table
from dpcip.paper.bench_speed import measure_speed, scaling, seconds_per_step
from dpcip.solver.settings import Settings
from dpcip.solver.stepper import Diverged, Stepper, uses_bfloat16
from dpcip.utils.errors import InputError
from dpcip.utils.files import claimed
from dpcip.utils.keys import arithmetic
from dpcip.utils.machine import peak_gib

TINY = Settings(iterations=20, l2_iterations=5, channels_last=True)
COSTS = {"paper": (0.5, 0.0, 0.0), "fast": (1.0, 5.0, 10.0), "thorough": (1.0, 5.0, 10.0), "released": (5.0, 0.0, 0.0)}
SPEED = {
    name: {"seconds_per_iteration": each, "seconds_before": before, "seconds_after": after}
    for name, (each, before, after) in COSTS.items()
}


def row(iteration: int, psnr_db: float, rmse_m: float, steps: int | None = None) -> dict[str, float]:
    rest = {"steps": steps or iteration, "ssim": psnr_db / 40, "psi_mae_in_range": 0.5, "fit_db": 45.0}
    return {"iteration": iteration, "psnr_db": psnr_db, "depth_rmse_in_range_m": rmse_m, **rest}


ROWS = {
    "paper": [row(100, 20, 0.2), row(160, 24, 0.1), row(200, 24, 0.1)],
    "fast": [row(5, 25, 0.2), row(10, 25, 0.09), row(20, 26, 0.08)],
    "thorough": [row(80, 27, 0.05), row(400, 30, 0.01)],
}
RUNS = [{"variant": variant, "scene": "table", "seed": 0, "rows": rows} for variant, rows in ROWS.items()]


def test_time_counts_start_and_end() -> None:
    assert seconds_of(RUNS[1], RUNS[1]["rows"][1], SPEED) == 25
    assert seconds_to(RUNS[1], RUNS[0]["rows"][-1], SPEED) == 25  # at 5 iterations the depth is still worse
    assert seconds_to(RUNS[1], row(0, 40, 0.2), SPEED) == float("inf")


def test_time_counts_steps_that_a_rollback_unmade() -> None:
    assert seconds_of(RUNS[1], row(10, 25, 0.09, steps=60), SPEED) == 75


def test_summary_compares_like_with_like() -> None:
    found = summary(RUNS, SPEED, {})
    assert found["time_ratio_vs_optimised"] == pytest.approx(25 / 100)
    assert found["time_ratio_vs_released"] == pytest.approx(25 / 1000)
    assert found["time_ratio_first_reach"] == pytest.approx(25 / 80)  # the paper itself is there after 160 iterations
    assert found["time_ratio_whole_solve_vs_optimised"] == pytest.approx(35 / 100)
    assert found["time_ratio_whole_solve_vs_released"] == pytest.approx(35 / 1000)
    assert found["psnr_gain_equal_time_db"] == pytest.approx(2)
    assert found["depth_rmse_ratio_equal_time"] == pytest.approx(0.8)


def test_summary_says_when_quality_was_never_reached() -> None:
    worse = [{**RUNS[1], "rows": [row(10, 22, 0.3)], "diverged": "spiked"}]
    found = summary([RUNS[0], *worse], SPEED, {})
    assert found["time_ratio_vs_released"] is None and found["cases_as_good_as_paper"] == 0
    assert found["psnr_gain_equal_time_db"] == -2 and found["depth_rmse_ratio_equal_time"] == pytest.approx(3)
    assert found["diverged"] == ["fast table 0"]


def test_case_that_is_late_at_equal_time_is_lost_not_dropped() -> None:
    others = [{**run, "seed": seed} for run in RUNS for seed in (1, 2)]
    for run in others:
        if run["variant"] == "fast":
            run["rows"] = [row(400, 30, 0.01)]  # at 415 s, after the paper's 100 s
    found = summary([*RUNS, *others], SPEED, {})
    assert len(found["cases"]) == 3 and found["cases_equal_time_lost"] == 2
    assert found["psnr_gain_equal_time_db"] is None and found["depth_rmse_ratio_equal_time"] is None


def test_every_case_has_its_row() -> None:
    other_paper = {**RUNS[0], "scene": "room"}  # which `fast` has not solved
    (found,) = cases([*RUNS, other_paper], SPEED)
    assert (found["scene"], found["seed"]) == ("table", 0)
    assert found["fast_seconds_to_goal"] == 25 and found["paper_seconds"] == 100
    assert found["paper_psnr_db"] == 24 and found["fast_psnr_db"] == 26 and found["fast_psnr_gain_db"] == 2
    assert found["fast_depth_rmse_ratio"] == pytest.approx(0.8) and found["equal_time_psnr_gain_db"] == 2


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


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Target:
    """A target, and the variant "tiny" that solves it in a moment."""
    monkeypatch.setitem(VARIANTS, "tiny", TINY)
    monkeypatch.setattr(bench, "LOOKS", 20)
    rng = np.random.default_rng(0)
    capture, sharp = rng.random((2, 3, 64, 64))
    return Target("table", capture, sharp, rng.uniform(-4, 10, (64, 64)))


class FakeStepper:
    """Counts iterations; falls back or gives up at the steps that it is told to."""

    device = torch.device("cpu")
    made: list["FakeStepper"] = []

    def __init__(self, settings: Settings, back: dict[int, int] | None = None, fatal: int = 0, end: int = 99) -> None:
        self.settings, self.back, self.fatal, self.end = settings, back or {}, fatal, end
        self.iteration = self.steps = 0
        FakeStepper.made.append(self)

    @property
    def done(self) -> bool:
        return self.iteration >= min(self.settings.iterations, self.end)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.fatal:
            raise Diverged("the loss spiked 11 times")
        self.iteration = self.back.get(self.steps, self.iteration + 1)

    def state_dict(self) -> dict[str, int]:
        return {"iteration": self.iteration, "steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.iteration, self.steps = state["iteration"], state["steps"]


@pytest.fixture
def faked(tiny: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    """`tiny`, with runs that compute nothing; FakeStepper.made lists them."""
    monkeypatch.setattr(FakeStepper, "made", [])
    monkeypatch.setattr(bench, "stepper_for", lambda truth, settings: FakeStepper(settings))
    monkeypatch.setattr(bench, "scores", fake_scores)
    return tiny


def fake_scores(stepper: FakeStepper, truth: Target) -> dict[str, float]:
    found = row(stepper.iteration, 20, 0.1)
    del found["steps"]  # which only the run knows
    return found


def with_stepper(monkeypatch: pytest.MonkeyPatch, **faults: object) -> None:
    monkeypatch.setattr(bench, "stepper_for", lambda truth, settings: FakeStepper(settings, **faults))


def test_run_is_kept_and_read_back(faked: Target, tmp_path: Path) -> None:
    run = follow("tiny", faked, 3, tmp_path)
    assert [one["iteration"] for one in run["rows"]] == list(range(1, 21)) and run["diverged"] is None
    assert follow("tiny", faked, 3, tmp_path) == run and len(FakeStepper.made) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tiny_table_3.json"]


def with_other_settings(truth: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setitem(VARIANTS, "tiny", dataclasses.replace(TINY, l2_iterations=7))
    return truth


def with_other_capture(truth: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    capture = truth.capture.copy()
    capture[0, 0, 0] = 1 - capture[0, 0, 0]
    return dataclasses.replace(truth, capture=capture)


def with_other_size(truth: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    arrays = {name: getattr(truth, name) for name in ("capture", "sharp", "psi")}  # the same bytes
    return dataclasses.replace(truth, **{k: v.reshape(*v.shape[:-2], 32, 128) for k, v in arrays.items()})


def with_other_depth(truth: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    return dataclasses.replace(truth, psi=truth.psi + 1)


def with_other_algorithm(truth: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr(bench, "ALGORITHM", bench.ALGORITHM + 1)
    return truth


def with_other_arithmetic(truth: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setattr(bench, "uses_bfloat16", lambda settings, device: not uses_bfloat16(settings, device))
    return truth


CHANGES = (
    *(with_other_settings, with_other_capture, with_other_size),
    *(with_other_depth, with_other_algorithm),
)


@pytest.mark.parametrize("change", CHANGES)
def test_kept_run_of_something_else_is_run_anew(change, faked, tmp_path, monkeypatch, caplog) -> None:
    follow("tiny", faked, 0, tmp_path)
    truth = change(faked, monkeypatch)
    caplog.set_level(logging.INFO, "dpcip")
    follow("tiny", truth, 0, tmp_path)
    assert len(FakeStepper.made) == 2 and len(caplog.messages) == 1 and "run anew" in caplog.text


@pytest.mark.parametrize("change", [None, *CHANGES, with_other_arithmetic])
def test_checkpoint_of_something_else_is_not_resumed(change, faked, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bench, "CHECKPOINT_SECONDS", -1)
    step = FakeStepper.step

    def cut(stepper: FakeStepper) -> None:
        if stepper.steps == 12:
            raise KeyboardInterrupt
        step(stepper)

    with monkeypatch.context() as until_cut, pytest.raises(KeyboardInterrupt):
        until_cut.setattr(FakeStepper, "step", cut)
        follow("tiny", faked, 0, tmp_path)
    begins = []
    monkeypatch.setattr(FakeStepper, "step", lambda stepper: (begins.append(stepper.iteration), step(stepper)))
    truth = change(faked, monkeypatch) if change else faked
    follow("tiny", truth, 0, tmp_path)
    assert begins[0] == (0 if change else 12)


def test_damaged_checkpoint_is_run_anew(faked: Target, tmp_path: Path, caplog) -> None:
    (tmp_path / "tiny_table_0.pt").write_bytes(b"half a fi")
    caplog.set_level(logging.INFO, "dpcip")
    assert len(follow("tiny", faked, 0, tmp_path)["rows"]) == 20
    assert "cannot be read" in caplog.text and "run anew" in caplog.text


def test_checkpoint_that_no_longer_fits_the_code_is_told(faked: Target, tmp_path: Path) -> None:
    ours = bench.identity("tiny", faked, 0)
    cpu = torch.device("cpu")
    ours["arithmetic"] = arithmetic(cpu, uses_bfloat16(bench.VARIANTS["tiny"], cpu))
    torch.save({**ours, "rows": [], "steps": 3, "stepper": {"steps": 3}}, tmp_path / "tiny_table_0.pt")
    with pytest.raises(InputError, match=r"tiny_table_0.pt: is of another version of the code; delete it"):
        follow("tiny", faked, 0, tmp_path)


def test_rolled_back_rows_go_and_their_steps_are_charged(faked: Target, tmp_path, monkeypatch) -> None:
    with_stepper(monkeypatch, back={9: 5})
    rows = follow("tiny", faked, 0, tmp_path)["rows"]
    assert [one["iteration"] for one in rows] == list(range(1, 21))
    assert [one["steps"] for one in rows] == [*range(1, 6), *range(10, 25)]


def test_diverged_run_ends_with_its_rows(faked: Target, tmp_path: Path, monkeypatch) -> None:
    with_stepper(monkeypatch, fatal=8)
    run = follow("tiny", faked, 0, tmp_path)
    assert run["diverged"] == "the loss spiked 11 times"
    assert [one["iteration"] for one in run["rows"]] == list(range(1, 8)) and run["rows"][-1]["steps"] == 8
    assert follow("tiny", faked, 0, tmp_path) == run  # it would diverge again


def test_last_row_is_the_end_whatever_the_looks(faked: Target, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(VARIANTS, "tiny", dataclasses.replace(TINY, iterations=100))
    with_stepper(monkeypatch, end=33)
    rows = follow("tiny", faked, 0, tmp_path)["rows"]
    assert [one["iteration"] for one in rows] == [5, 10, 15, 20, 25, 30, 33]


def test_first_row_is_the_start_where_there_is_one(faked: Target, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(VARIANTS, "tiny", dataclasses.replace(TINY, warmup_iterations=3))
    rows = follow("tiny", faked, 0, tmp_path)["rows"]
    assert [one["iteration"] for one in rows] == [0, *range(4, 21)] and rows[0]["steps"] == 0


@pytest.mark.slow
def test_fit_is_that_of_the_scored_image(tiny: Target) -> None:
    stepper = stepper_for(tiny, dataclasses.replace(TINY, iterations=2, refine=True))
    stepper.step()
    stepper.fits_db.clear()  # as after a rollback
    found = stepper.finished()
    error = (stepper.camera(found.sharp, found.psi) - stepper.capture).square().mean().item()
    row = scores(stepper, tiny)
    assert row["fit_db"] == pytest.approx(-10 * np.log10(error))
    assert set(ROW_KEYS) <= {"steps", *row}


@pytest.mark.slow
def test_interrupted_run_goes_on(tiny: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "LOOKS", 4)
    whole = follow("tiny", tiny, 0, tmp_path / "whole")
    monkeypatch.setattr(bench, "CHECKPOINT_SECONDS", 0)
    step, steps = Stepper.step, []

    def cut(stepper: Stepper) -> None:
        if len(steps) > 16:
            raise KeyboardInterrupt
        steps.append(stepper.iteration)
        step(stepper)

    monkeypatch.setattr(Stepper, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        follow("tiny", tiny, 0, tmp_path / "cut")
    monkeypatch.setattr(Stepper, "step", lambda stepper: (steps.append(stepper.iteration), step(stepper))[1])
    resumed = follow("tiny", tiny, 0, tmp_path / "cut")
    assert resumed["rows"] == whole["rows"] and whole["rows"][-1]["psnr_db"] > 5
    assert steps[-3:] == [17, 18, 19] and len(steps) == 17 + 3


def test_variants_are_timed_in_the_same_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before and after is only counted where there is any, and measured once for all."""
    calls: list[str] = []
    stages = set()

    def step(stepper: Stepper) -> None:
        settings = stepper.settings
        stages.add((settings.warmup_iterations, settings.guide_iterations, settings.l2_iterations))

    monkeypatch.setattr(Stepper, "step", step)
    monkeypatch.setattr(Stepper, "first_estimate", lambda stepper: calls.append("start"))
    monkeypatch.setattr(Stepper, "finished", lambda stepper: calls.append("finish"))
    capture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    guided = dataclasses.replace(TINY, camera="masked", warmup_iterations=3, guide_iterations=3, refine=True)
    plain_end = dataclasses.replace(guided, warmup_iterations=0, guide_iterations=0)
    variants = {"plain": TINY, "guided": guided, "again": guided, "unguided": plain_end}
    speed = measure_speed(variants, [capture, capture])
    assert stages == {(0, 0, 0)} and calls == ["start"] * 3 + ["finish"] * 3  # one each to warm up
    assert speed["plain"]["seconds_before"] == speed["plain"]["seconds_after"] == 0
    assert speed["guided"]["seconds_before"] == speed["again"]["seconds_before"] > 0
    # The result, and the start that it is compared with:
    assert speed["guided"]["seconds_after"] == 2 * speed["unguided"]["seconds_after"] > 0


def test_clock_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: events.append("wait"))
    monkeypatch.setattr(bench_speed, "time", SimpleNamespace(monotonic=lambda: events.append("clock") or 0.0))
    seconds_per_step(SimpleNamespace(device=torch.device("cuda"), step=lambda: events.append("step")))
    assert events == ["wait", "clock", "step", "step", "step", "wait", "clock"]


@pytest.mark.slow
def test_failed_scaling_is_told_not_raised(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr(
        bench_speed, "SCALING", "import sys; sys.exit('a\\nno memory') if '2' in sys.argv else print('{}')"
    )
    monkeypatch.setattr(bench_speed, "SCALING_CASES", {"small": (1, 1, 1), "large": (2, 2, 2)})
    assert scaling() == {"small": {}, "large": None}
    assert caplog.messages == ["bench: large failed: no memory"]


@pytest.mark.slow
def test_peak_memory_is_the_process_own() -> None:
    held = np.ones(400 * 2**17)  # 400 MiB
    code = "from dpcip.utils.machine import peak_gib; print(peak_gib())"
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert 0.05 < float(child) < peak_gib() - 0.25
    assert len(held)


SCALING = {name: {"seconds_per_iteration": 1.0, "peak_gib": 2.0} for name in bench_speed.SCALING_CASES}
SPEED_FILE = {
    "speed": SPEED,
    "scaling": SCALING,
    "machine": {"device_name": "a machine", "threads": 2},
    "convolution_peak_tflops": 0.4,
    "share_of_peak": 0.5,
}


@pytest.fixture
def folder(tiny: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bench's folder with speeds and three runs."""
    monkeypatch.setattr(bench, "target", lambda place: dataclasses.replace(tiny, name=place))
    (tmp_path / "runs").mkdir()
    for run in RUNS:
        whole = {**identity(run["variant"], tiny, 0), "diverged": None, "rows": run["rows"]}
        (tmp_path / "runs" / f"{run['variant']}_table_0.json").write_text(json.dumps(whole))
    (tmp_path / "speed.json").write_text(json.dumps(SPEED_FILE))
    return tmp_path


def report(folder: Path) -> dict:
    run_bench(folder, ["table"], [0], ["paper"], only_report=True)
    return json.loads((folder / "summary.json").read_text())


def test_report_from_kept_runs(folder: Path) -> None:
    found = report(folder)
    assert found["time_ratio_vs_released"] == pytest.approx(0.025) and found["peak_memory_gib_512x1024"] == 2.0
    ours, largest = (SCALING[name]["seconds_per_iteration"] for name in ("256x256", "512x1024"))
    assert found["time_512x1024_over_256x256"] == pytest.approx(largest / ours)
    assert [case["scene"] for case in found["cases"]] == ["table"]
    assert (folder / "bench.png").is_file() and "thorough" in (folder / "bench.md").read_text()
    assert "fast_seconds_to_goal" in (folder / "cases.csv").read_text() and (folder / "cases.md").is_file()


def test_bench_runs_what_is_missing_and_reports(folder: Path, faked: Target, monkeypatch) -> None:
    monkeypatch.setattr(bench, "measure", lambda variants, captures: SPEED_FILE)
    run_bench(folder, ["table"], [0, 1], ["paper", "fast", "thorough"], only_report=False)
    assert [stepper.settings.seed for stepper in FakeStepper.made] == [1, 1, 1]  # those of seed 0 are there
    found = json.loads((folder / "summary.json").read_text())
    assert [(case["scene"], case["seed"]) for case in found["cases"]] == [("table", 0), ("table", 1)]


def test_report_without_the_largest_image(folder: Path) -> None:
    (folder / "speed.json").write_text(json.dumps(SPEED_FILE | {"scaling": SCALING | {"512x1024": None}}))
    assert report(folder)["peak_memory_gib_512x1024"] is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"variant": "former"}, "variant 'former' is unknown"),
        ({"settings": {"iterations": 7}}, "'settings' is not that of the bench"),
        ({"target": "0"}, "'target' is not that of the bench"),
        ({"scene": 5}, "wrong kind"),
        ({"algorithm": 0}, "'algorithm' is not that of the bench"),
        ({"rows": []}, "wrong kind"),
        ({"rows": [{"iteration": 5}]}, "KeyError"),
        ({"rows": [row(5, 25, 0.2) | {"ssim": None}]}, "TypeError"),
        (None, "JSONDecodeError"),
    ],
)
def test_report_leaves_out_what_does_not_belong(change: dict | None, reason: str, folder: Path, caplog) -> None:
    stray = folder / "runs" / "stray.json"
    run = json.loads((folder / "runs" / "fast_table_0.json").read_text())
    stray.write_text("{" if change is None else json.dumps(run | {"rows": [row(1, 60, 0.001)]} | change))
    caplog.set_level(logging.INFO, "dpcip")
    assert report(folder)["time_ratio_vs_optimised"] == pytest.approx(0.25)
    (line,) = caplog.messages
    assert str(stray) in line and reason in line and line.endswith("left out") and "\n" not in line


def damaged(key: str) -> str:
    values = copy.deepcopy(SPEED_FILE)
    del values[key]
    return json.dumps(values)


@pytest.mark.parametrize("text", [None, "{", "[]", *map(damaged, SPEED_FILE), json.dumps(SPEED_FILE | {"speed": {}})])
def test_report_needs_sound_speeds(text: str | None, folder: Path) -> None:
    (folder / "speed.json").unlink()
    if text is not None:
        (folder / "speed.json").write_text(text)
    with pytest.raises(InputError, match=r"speed.json: .*; run 'dpcip bench' without --report"):
        report(folder)


def test_report_needs_runs(folder: Path) -> None:
    for path in (folder / "runs").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="runs: holds no run of the present algorithm"):
        report(folder)


def test_two_benches_do_not_share_a_folder(folder: Path) -> None:
    with claimed(folder), pytest.raises(InputError, match="is writing there"):
        report(folder)


def test_unknown_variant_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="variant 'quick' is unknown"):
        run_bench(tmp_path, ["table"], [0], ["quick"], only_report=False)

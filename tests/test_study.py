"""A study: solved once, traced, resumed, and the same on a cluster that loses a worker."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tqdm import tqdm

from dpcip.evaluation.metrics import confidence_metrics, image_metrics
from dpcip.solver import runner
from dpcip.solver.cache import ARRAYS, kept_solve
from dpcip.study import cases as cases_module
from dpcip.study.cases import Case, plan, read_plan
from dpcip.study.runs import _Steps, run_study, save_reports
from dpcip.utils.errors import InputError

SMALL = Case(frame="table_14", factor=4, preset="paper", iterations=4)
TIMES = ["seconds"]


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def two_seeds(**changes: object) -> list[Case]:
    return [dataclasses.replace(SMALL, seed=seed, **changes) for seed in (0, 1)]


@pytest.mark.slow
def test_solved_once_and_only_what_is_gone_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = two_seeds()
    first = run_study(cases, tmp_path)
    assert len(set(first["solve"])) == 2 and list(first["seed"]) == [0, 1]
    solved = []
    step = runner.Stepper.step
    monkeypatch.setattr(runner.Stepper, "step", lambda s: (solved.append(s.settings.seed), step(s))[1])
    again = run_study(cases, tmp_path)
    assert solved == []
    pd.testing.assert_frame_equal(first, again)
    (tmp_path / "solves" / first["solve"][1] / "solution.npz").unlink()
    third = run_study(cases, tmp_path)
    assert set(solved) == {1} and len(solved) == 4
    pd.testing.assert_frame_equal(first.drop(columns=TIMES), third.drop(columns=TIMES))


@pytest.mark.slow
def test_row_is_traced_to_its_report(tmp_path: Path) -> None:
    rows = run_study([SMALL], tmp_path / "work")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "former.json").write_text("{}")
    save_reports(rows, tmp_path / "reports", tmp_path / "work")
    (path,) = (tmp_path / "reports").iterdir()
    kept = json.loads(path.read_text())
    assert path.stem == rows["solve"][0] == kept["report"]["fingerprint"][:20]
    assert kept["report"]["settings"]["iterations"] == 4 and kept["report"]["machine"]["torch"]
    assert kept["case"]["psnr_db"] == pytest.approx(rows["psnr_db"][0]) and rows["place"][0] == "table"


@pytest.mark.parametrize("name", ["report.json", "solution.npz"])
def test_damaged_solve_is_no_solve(name: str, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    np.savez(tmp_path / "solution.npz", **{array: np.zeros((9, 9)) for array in ARRAYS})
    assert kept_solve(tmp_path) is not None
    whole = (tmp_path / name).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"[]", b""):
        (tmp_path / name).write_bytes(damaged)
        assert kept_solve(tmp_path) is None


@pytest.mark.slow
def test_capture_and_recipe_of_a_case_enter_its_row(tmp_path: Path) -> None:
    (tmp_path / "near.yaml").write_text("lens: {focus_m: 0.8}\n")
    near = dataclasses.replace(SMALL, camera=str(tmp_path / "near.yaml"))
    rows = run_study([SMALL, near], tmp_path)
    assert rows["solve"].nunique() == 2 and rows["capture_psnr_db"].nunique() == 2
    photo = cases_module.photograph(SMALL)
    assert rows["capture_psnr_db"][0] == pytest.approx(image_metrics(photo.capture, photo.scene.sharp)["psnr_db"])
    assert not list(tmp_path.glob("solves/*/checkpoint.pt"))


def test_bar_counts_each_iteration_once() -> None:
    with tqdm(total=30, file=io.StringIO()) as bar:
        first, resumed = _Steps(bar), _Steps(bar)
        for iteration in (1, 2, 3):
            first(iteration)
        first.finish(10)  # it stopped by itself
        assert (bar.n, bar.total) == (3, 23)
        for iteration in (6, 7):  # five were made before the kill
            resumed(iteration)
        resumed.finish(20)
        assert (bar.n, bar.total) == (5, 5)


@pytest.mark.slow
def test_row_scores_are_those_of_the_kept_solution(tmp_path: Path) -> None:
    row = run_study([SMALL], tmp_path).iloc[0]
    photo = cases_module.photograph(SMALL)
    with np.load(tmp_path / "solves" / row["solve"] / "solution.npz") as kept:
        error = np.abs(kept["psi"] - photo.psi_true).mean()
        assert row["psi_mae"] == pytest.approx(error)
        valid = photo.scene.valid
        foretold = confidence_metrics(kept["psi"][valid], kept["psi_std"][valid], photo.psi_true[valid])
        assert {name: row[name] for name in foretold} == pytest.approx(foretold)
    assert (row["width"], row["height"]) == (128, 64)


def test_unusable_case_is_told_before_anything_is_solved(tmp_path: Path) -> None:
    for wrong, why in (
        ({"frame": "moon_1"}, "no frame 'moon_1'"),
        ({"generator": "gan"}, "generator 'gan' is unknown"),
        ({"preset": "slow"}, "preset 'slow' is unknown"),
        ({"dataset": "moon"}, "data set 'moon' is unknown"),
        ({"camera": "none.yaml"}, "none.yaml: no such file"),
    ):
        with pytest.raises(InputError, match=why):
            run_study([SMALL, dataclasses.replace(SMALL, **wrong)], tmp_path)
    assert not (tmp_path / "solves").exists()


def test_plan_puts_a_scenes_cases_side_by_side() -> None:
    found = plan("rendered", 2, generators=("dip", "pip"), seeds=(0, 1), places=2, factor=4)
    assert len(found) == 2 * 2 * 2 * 2 and all(case.factor == 4 for case in found)
    assert [case.place() for case in found] == ["table"] * 8 + ["room"] * 8


def test_plan_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("frame,factor,seed,generator\ntable_14,4,3,pip\nroom_14,,,\n")
    assert read_plan(path) == [Case("table_14", factor=4, seed=3, generator="pip"), Case("room_14")]
    path.write_text("\ufeffframe, factor\ntable_14, 4\n", encoding="utf-8")  # as spreadsheets do
    assert read_plan(path) == [Case("table_14", factor=4)]
    for text, why in (
        ("frame,colour\ntable_14,red\n", "line 2: column 'colour' is unknown"),
        ("frame,seed\ntable_14,one\n", "line 2: invalid literal"),
        ("frame,seed\n,1\n", "line 2: frame is missing"),
        ("frame,factor\ntable_14,0\n", "line 2: factor is 0; it must be 1 or more"),
        ("frame,seed\ntable_14,-1\n", "line 2: seed is -1"),
        ("frame,distance\ntable_14,nera\n", "line 2: distance 'nera' is unknown"),
        ("frame,side_px\ntable_14,-3\n", "line 2: side_px is -3"),
        ("frame,seed\ntable_14,1,2\n", "line 2: has more values"),
        ("frame\n", "lists no case"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=why):
            read_plan(path)
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_plan(tmp_path / "none.csv")


STUDY = """
import sys, torch
from pathlib import Path
import dpcip.solver.runner
from dpcip.study.cases import read_plan
from dpcip.study.runs import run_study
torch.set_num_threads(1)
dpcip.solver.runner.CHECKPOINT_SECONDS = 0.0
run_study(read_plan(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def write_list(path: Path, cases: list[Case]) -> None:
    pd.DataFrame([dataclasses.asdict(case) for case in cases]).to_csv(path, index=False)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_killed_study_goes_on(tmp_path: Path) -> None:
    """kill -9 in the second solve: the first is not solved again, the second goes on from its checkpoint."""
    cases = two_seeds(generator="pip", iterations=12)
    whole = run_study(cases, tmp_path / "whole")
    write_list(tmp_path / "list.csv", cases)
    process = subprocess.Popen([sys.executable, "-c", STUDY, str(tmp_path / "list.csv"), str(tmp_path / "killed")])
    second = tmp_path / "killed" / "solves" / whole["solve"][1] / "checkpoint.pt"
    while not second.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = (tmp_path / "killed" / "solves" / whole["solve"][0] / "solution.npz").stat().st_mtime_ns
    rows = run_study(cases, tmp_path / "killed")
    assert (tmp_path / "killed" / "solves" / whole["solve"][0] / "solution.npz").stat().st_mtime_ns == first
    pd.testing.assert_frame_equal(rows.drop(columns=TIMES), whole.drop(columns=TIMES))


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore:Creating scratch directories is taking a surprisingly long time")
def test_cluster_that_loses_a_worker_gives_the_same_rows(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    cases = [
        dataclasses.replace(SMALL, seed=seed, generator="pip", iterations=16) for seed in (2, 1, 0, 2)
    ]  # the last: listed twice
    alone = run_study(cases, tmp_path / "alone")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(local_directory=str(tmp_path), silence_logs=50, **options) as cluster:
        with Client(cluster, set_as_default=False) as client:
            pids = list(client.run(os.getpid).values())
            client.run(_save_always)
        killer = subprocess.Popen([sys.executable, "-c", KILL, str(tmp_path / "cluster" / "solves"), str(pids[0])])
        rows = run_study(cases, tmp_path / "cluster", cluster.scheduler_address)
        assert killer.wait(timeout=60) == 0
        with Client(cluster, set_as_default=False) as client:
            assert pids[0] not in client.run(os.getpid).values()
    pd.testing.assert_frame_equal(rows.drop(columns=TIMES), alone.drop(columns=TIMES))


def _save_always() -> None:
    runner.CHECKPOINT_SECONDS = 0.0


KILL = """
import os, signal, sys, time
from pathlib import Path
while len(list(Path(sys.argv[1]).glob("*/checkpoint.pt"))) < 2:  # both workers iterate
    time.sleep(0.01)
os.kill(int(sys.argv[2]), signal.SIGKILL)
"""


def test_scheduler_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpcip.study.runs.CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="no Dask scheduler answers there"):
        run_study([SMALL], tmp_path, "tcp://127.0.0.1:9")
    monkeypatch.setenv("DPCIP_SCHEDULER", "tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="no Dask scheduler answers there"):
        run_study([SMALL], tmp_path)

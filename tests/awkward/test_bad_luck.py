"""Bad luck: no room, a kill, Ctrl-C, a second process, a cluster that goes away. One line, and nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import awkward_inputs as make
import numpy as np
import pytest
from awkward_inputs import Dpcip

from dpcip.cli.solve import RESULT_FILES, _save
from dpcip.solver.cache import kept_solve
from dpcip.solver.solution import UNFINISHED, Solution
from dpcip.study.cases import Case
from dpcip.study.runs import run_study
from dpcip.utils.errors import InputError
from dpcip.utils.files import LOCK, claimed

SOLVE = ("solve", "photo.png", "--psf", "bank.npz", "--iterations", 1, "--quiet", "--out")
PROGRAM = [sys.executable, "-c", "from dpcip.cli.entry import main; main()"]


@contextmanager
def room_for(n_bytes: int) -> Iterator[None]:
    """No file can grow larger meanwhile: to a program it looks like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITES = {
    "psf": ("psf", "--psi", 0, 1, 1, "--size", 31, "--out", "new.npz"),
    "psf's mat": ("psf", "--psi", 0, 1, 1, "--size", 31, "--out", "new.mat"),
    "simulate": ("simulate", "photo.png", "depth.npy", "--unit", "m", "--psf", "bank.npz", "--out", "new.npy"),
    "simulate's png": ("simulate", "photo.png", "depth.npy", "--unit", "m", "--psf", "bank.npz", "--out", "new.png"),
    "solve": (*SOLVE, "new"),
    "solve over its own": (*SOLVE, "result", "--seed", 3, "--overwrite"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("n_bytes", [64, 2000])
def test_a_full_disk(here: Path, dpcip: Dpcip, name: str, n_bytes: int) -> None:
    """One line that names the file; nothing half written, and what was there stays."""
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    with room_for(n_bytes):
        outcome = dpcip(*WRITES[name])
    assert ("result" if name == "solve over its own" else "new") in outcome.line
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_folder_that_goes_away_during_the_solve(here: Path, dpcip: Dpcip) -> None:
    """The result is kept elsewhere, whole, and the line says where."""
    map_ = np.zeros((64, 64), np.float32)
    image = np.full((3, 64, 64), 0.5, np.float32)
    solution = Solution(
        image, map_, map_ + 0.9, map_ + 1, image, np.empty(0), {"data_fit_db": 30.0, "iterations": 0}, image
    )
    Path("gone").write_text("no folder any more")
    with pytest.raises(InputError, match=r"gone.*cannot be written.*the result is kept in ") as error:
        _save(solution, Path("gone"))
    elsewhere = Path(str(error.value).split("kept in ")[1].split(",")[0])
    assert {path.name for path in elsewhere.iterdir()} == {*RESULT_FILES, "report.json"}
    shutil.rmtree(elsewhere)


def test_the_lock_lies_in_the_folder(here: Path, dpcip: Dpcip, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever sees the folder sees the lock, whatever his TMPDIR; and it goes with the work."""
    with claimed(Path("new")):
        assert Path("new", LOCK).exists()
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        assert "new: another solve is writing there" in dpcip(*SOLVE, "new").line
        Path("new/notes.txt").touch()
    assert [path.name for path in Path("new").iterdir()] == ["notes.txt"]
    with claimed(Path("other")):
        pass
    assert not Path("other").exists()  # nothing came into it


@pytest.mark.slow
def test_what_a_kill_left_is_ours(here: Path, dpcip: Dpcip) -> None:
    """A lock and a half-written result, as a kill leaves them: the same command goes on."""
    shutil.copytree("result", "new")
    Path("new/report.json").unlink()
    Path("new", LOCK).touch()
    Path("new", UNFINISHED).mkdir()
    Path("new", UNFINISHED, "depth.npy").write_bytes(b"half")
    assert dpcip(*SOLVE, "new").status == 0
    assert {path.name for path in Path("new").iterdir()} == {*RESULT_FILES, "report.json"}
    assert np.array_equal(np.load("new/psi.npy"), np.load("result/psi.npy"))


@pytest.mark.slow
def test_killed_at_random_moments(here: Path) -> None:
    """kill -9 while it loads, solves and writes; the same command then ends with the same bits as without a kill."""
    solve = "solve photo.png --psf bank.npz --preset paper --iterations 40 --threads 1 --quiet --out"
    command = [*PROGRAM, *solve.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    subprocess.run([*command, "whole"], check=True, env=environment, capture_output=True)
    whole = time.monotonic() - began
    for share in np.random.default_rng(0).uniform(0.2, 1.0, 4):
        with subprocess.Popen([*command, "killed"], env=environment, stderr=subprocess.DEVNULL) as process:
            time.sleep(share * whole)
            process.kill()
    last = subprocess.run([*command, "killed"], env=environment, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    for name in ("psi.npy", "psi_std.npy", "depth.npy", "all_in_focus.png"):
        assert Path("killed", name).read_bytes() == Path("whole", name).read_bytes()
    assert {path.name for path in Path("killed").iterdir()} == {*RESULT_FILES, "report.json"}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 0.8])
def test_control_c_while_it_loads(here: Path, seconds: float) -> None:
    with subprocess.Popen([*PROGRAM, *map(str, SOLVE), "new"], stderr=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130, err
    assert err.startswith("dpcip: interrupted") and err.count("\n") == 1


@pytest.fixture
def cluster_here() -> Iterator[object]:
    """A scheduler without workers, in this process."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.slow
def test_a_scheduler_without_workers(tmp_path: Path, cluster_here, monkeypatch, caplog) -> None:
    monkeypatch.setattr("dpcip.study.runs.WORKER_SECONDS", 2)
    caplog.set_level("INFO", "dpcip")
    with pytest.raises(InputError, match="no worker has come; start some with 'dask worker"):
        run_study([Case("table_14", factor=4)], tmp_path, cluster_here.scheduler_address)
    assert "has no worker yet; waiting" in caplog.text


def _waits(case: Case, work: Path, on_step: object = None) -> dict[str, object]:
    """In place of a solve: long enough for the scheduler to be killed meanwhile."""
    time.sleep(60)
    return {}


def _dies(case: Case, work: Path, on_step: object = None) -> dict[str, object]:
    """A solve that the system kills for its memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


@contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-m", "dask", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def cluster() -> Iterator[tuple[str, subprocess.Popen]]:
    """A scheduler and a worker, each a process of its own; the scheduler's address and process."""
    with dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard") as scheduler:
        assert scheduler.stderr is not None
        address = next(line.split()[-1] for line in scheduler.stderr if "Scheduler at:" in line)
        with dask("worker", address, "--nthreads", "1", "--no-dashboard"):
            yield address, scheduler


@pytest.mark.slow
def test_a_scheduler_that_dies(tmp_path: Path, cluster) -> None:
    address, scheduler = cluster
    threading.Timer(8, scheduler.kill).start()
    with pytest.raises(InputError, match=r"the scheduler does not answer any more.*the same command goes on") as error:
        run_study([Case("table_14", factor=4)], tmp_path, address, _waits)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_solve_that_kills_its_workers(tmp_path: Path, cluster) -> None:
    address, _ = cluster
    with pytest.raises(InputError, match="the workers of one solve died again and again") as error:
        run_study([Case("table_14", factor=4)], tmp_path, address, _dies)
    assert "\n" not in str(error.value)


def test_nothing_kept_is_read_as_a_solve(tmp_path: Path) -> None:
    (tmp_path / "solution.npz").write_bytes(make.exif(1))
    assert kept_solve(tmp_path) is None

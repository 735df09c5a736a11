"""The progress line: which stage of how many, how long it will take, and seconds that survive a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpcip.paper.progress import PLAN, Line, shown, time_words

TOP = Path(__file__).resolve().parent.parent
SLEEPER = """
import sys, time
from pathlib import Path
from dpcip.paper.progress import shown
with shown("02_depth", Path(sys.argv[1]), Path(sys.argv[1]) / "times.json"):
    time.sleep(float(sys.argv[2]))
"""


def test_line_names_the_stage_and_adds_up_what_is_left() -> None:
    line = Line("b", {"a": 1000.0, "b": 600.0, "c": 300.0})
    assert line.text("", elapsed_s=0) == "stage 2 of 3, b, 1 s; about 15 min left"
    assert line.text("", elapsed_s=300) == "stage 2 of 3, b, 5 min; about 10 min left"
    assert line.text("study: 50%|#  | 5/10", 10) == "stage 2 of 3, b, 10 s; about 10 min left | study: 50%|#  | 5/10"


def test_line_says_less_where_it_knows_less() -> None:
    assert Line("b", {"b": 600.0, "c": None}).text("", 0) == "stage 1 of 2, b, 1 s; at least 10 min left"
    assert Line("b", {"b": None}).text("study:  25%|", 100) == "stage 1 of 1, b, 2 min; about 5 min left | study:  25%|"
    assert Line("b", {"b": None}).text("", 100) == "stage 1 of 1, b, 2 min"
    assert Line("b", {}).text("", 100) == "b, 2 min", "`dvc repro` without a plan"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "1 s"), (89, "89 s"), (91, "2 min"), (5399, "90 min"), (7200, "2.0 h")]
)
def test_times_are_no_finer_than_known(seconds: float, words: str) -> None:
    assert time_words(seconds) == words


def test_seconds_are_kept_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv(PLAN, json.dumps({"code@x": 5.0}))
    monkeypatch.setenv("DPCIP_PROGRESS", "")  # restored afterwards
    times = tmp_path / "times" / "laptop.json"
    with shown("code@x", tmp_path, times):
        time.sleep(0.2)
    entry = json.loads(times.read_text())["code@x"]
    assert entry["seconds"] >= 0.2 and "threads" in entry["machine"]
    assert "stage 1 of 1, code@x" in capsys.readouterr().err


def test_failure_records_no_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPCIP_PROGRESS", "")
    with pytest.raises(ValueError, match="broken"), shown("x", tmp_path, tmp_path / "times.json"):
        raise ValueError("broken")
    assert not list(tmp_path.glob("*.json")) and not list(tmp_path.glob("*.seconds"))


@pytest.mark.slow
def test_seconds_before_a_kill_count(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    first = subprocess.Popen([sys.executable, "-c", SLEEPER, str(tmp_path), "600"], env=environment)
    spent = tmp_path / "02_depth.seconds"
    deadline = time.monotonic() + 120
    while not (spent.is_file() and spent.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = float(spent.read_text())
    assert before > 1
    subprocess.run([sys.executable, "-c", SLEEPER, str(tmp_path), "0"], env=environment, check=True)
    assert json.loads((tmp_path / "times.json").read_text())["02_depth"]["seconds"] >= before
    assert not spent.exists()

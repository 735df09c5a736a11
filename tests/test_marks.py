"""The mark `slow`: what takes long cannot slip into `make check`; processes of a distributed run have a thread each."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
TESTS = """
import subprocess, sys
import pytest, torch

def learns():
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    torch.optim.Adam([weight]).step()

def starts():
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_quick():
    subprocess.run(["git", "--version"], check=True)
    assert torch.get_num_threads() == 1

def test_learns_unmarked():
    learns()

def test_starts_unmarked():
    starts()

@pytest.mark.slow
def test_learns_and_starts():
    learns()
    starts()
"""


@pytest.mark.slow
def test_dear_work_needs_the_mark(tmp_path: Path) -> None:
    shutil.copy(TOP / "conftest.py", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment["PYTHONPATH"] = str(TOP)
    command = [sys.executable, "-m", "pytest", "-n", "1", "-o", "markers=slow", "-q", "tests"]
    printed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False).stdout
    assert "2 failed, 2 passed" in printed, printed
    assert "test_learns_unmarked - Failed: takes" in printed
    assert "test_starts_unmarked - Failed: starts" in printed

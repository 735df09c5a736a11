"""Solves kept by content: what was solved once is read back, what was interrupted goes on."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from dpcip.optics.psf import PsfBank
from dpcip.solver.runner import fingerprint, solve
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution
from dpcip.utils.clone import TOP
from dpcip.utils.files import claimed, replacing, write_json
from dpcip.utils.progress_stream import PROGRESS_FILE

ARRAYS = ("sharp", "psi", "depth_m", "psi_std", "coded", "fits_db")
# Not in git; survives a kill and DVC's removal of outputs. DPCIP_WORK: another folder (tests/measure_spread.py).
WORK = Path(os.environ.get("DPCIP_WORK") or TOP / ".work")


def home_of(identity: str, work: Path = WORK) -> Path:
    """Where the solve of a fingerprint is kept."""
    return work / "solves" / identity[:20]


def kept_solve(home: Path) -> Solution | None:
    """The solve kept in a folder, if it is there and whole."""
    try:
        report = json.loads((home / "report.json").read_text(encoding="utf-8"))
        with (home / "solution.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Solution(report=report, **arrays) if isinstance(report, dict) else None


def keep_solution(home: Path, solution: Solution) -> None:
    """Writes solution.npz and, last, report.json to the folder, for `kept_solve`."""
    with replacing(home / "solution.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: getattr(solution, name) for name in ARRAYS})
    write_json(home / "report.json", solution.report)


def solve_cached(
    capture: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    work: Path = WORK,
    on_step: Callable[[int], None] | None = None,
) -> Solution:
    """`solve`, with its result kept under the hash of what determines it (`fingerprint`).

    Two processes that ask for the same solve: raises InputError in the second one. on_step: see `solve`; without it
    the solve's own progress bar is shown where the pipeline asks for one.
    """
    home = home_of(fingerprint(capture, bank, settings), work)
    kept = kept_solve(home)
    if kept:
        return replace(kept, capture=np.asarray(capture, np.float32))
    with claimed(home):
        progress = on_step is None and bool(os.environ.get(PROGRESS_FILE))
        checkpoint = home / "checkpoint.pt"
        solution = solve(capture, bank, settings, checkpoint=checkpoint, progress=progress, on_step=on_step)
        keep_solution(home, solution)
        checkpoint.unlink(missing_ok=True)
    return solution

"""Solves kept by content: what was solved once is read back, what was interrupted goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dpcip.io import replacing
from dpcip.psf import PsfBank
from dpcip.runner import Solution, fingerprint, solve
from dpcip.settings import Settings

ARRAYS = ("sharp", "psi", "depth_m", "psi_std", "coded", "fits_db")
WORK = Path(__file__).resolve().parent.parent / ".work"  # not in git; survives a kill and DVC's removal of outputs


def solve_cached(capture: np.ndarray, bank: PsfBank, settings: Settings, work: Path = WORK) -> Solution:
    """`solve`, with its result kept under the hash of everything that enters it (capture, optics, settings, code)."""
    home = work / "solves" / fingerprint(capture, bank, settings)[:20]
    kept = home / "solution.npz"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ARRAYS}
            return Solution(report=json.loads(str(archive["report"])), **arrays)
    checkpoint = home / "checkpoint.pt"
    solution = solve(capture, bank, settings, checkpoint=checkpoint, progress=False)
    with replacing(kept) as temporary, temporary.open("wb") as file:
        arrays = {name: getattr(solution, name) for name in ARRAYS}
        np.savez(file, allow_pickle=False, report=np.array(json.dumps(solution.report)), **arrays)
    checkpoint.unlink(missing_ok=True)
    return solution

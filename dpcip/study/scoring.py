"""From a photograph to a row: solved, or read back where it was solved before, and scored against the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dpcip.data.photographs import Photograph
from dpcip.data.scenes import Scene
from dpcip.evaluation.metrics import image_metrics
from dpcip.evaluation.scores import scores
from dpcip.evaluation.texture_copy import texture_leak
from dpcip.optics.lens import Lens
from dpcip.solver.cache import WORK, home_of, solve_cached
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution


def solved(
    photo: Photograph, settings: Settings, work: Path = WORK, on_step: Callable[[int], None] | None = None
) -> Solution:
    """The solve of a photograph's capture; it sees nothing of the scene."""
    return solve_cached(photo.capture, photo.bank, settings, work, on_step)


def row_of(photo: Photograph, solution: Solution, lens: Lens | None = None) -> dict[str, Any]:
    """The scores of `dpcip evaluate`, those of the capture as it is (capture_...), and how the solve went.

    lens: turns psi into metres; default: the believed camera's. solve: the folder in .work/solves where report.json and
    solution.npz are.
    """
    tone, scene, bank, report = photo.tone, photo.scene, photo.bank, solution.report
    seen = Scene(scene.name, tone.encode(scene.sharp), scene.depth_m, scene.valid)
    maps = tone.encode(solution.sharp), solution.psi, solution.psi_std
    machine = report.get("machine", {})
    return {
        "width": photo.capture.shape[2],
        "height": photo.capture.shape[1],
        **scores(*maps, seen, lens or bank.lens, bank.psi_range),
        **{f"capture_{name}": value for name, value in image_metrics(tone.encode(photo.capture), seen.sharp).items()},
        **{name: report.get(name) for name in ("iterations", "stopped_by", "data_fit_db", "seconds")},
        **{name: machine.get(name) for name in ("device", "threads")},
        "solve": home_of(str(report["fingerprint"])).name,
    }


def leak_row(photo: Photograph, solution: Solution) -> dict[str, Any]:
    """Some scores of `row_of`, and how much of the image's texture the depth has copied (texture_copy.py)."""
    row, scene = row_of(photo, solution), photo.scene
    return {
        **{name: row[name] for name in ("psnr_db", "ssim", "depth_rmse_m", "psi_mae")},
        **texture_leak(solution.psi, photo.psi_true, scene.sharp, scene.valid),
        **{name: row[name] for name in ("capture_psnr_db", "data_fit_db", "iterations", "seconds", "solve")},
    }


def residual(solution: Solution) -> float:
    """Root mean square difference between the capture and the model of it, full scale 1."""
    return float(10 ** (-float(solution.report["data_fit_db"]) / 20))

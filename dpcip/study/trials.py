"""One trial of a study in which the camera is not what the solver takes it for: solved, and scored into a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dpcip.data.scenes import Scene
from dpcip.data.tone_curve import ToneCurve
from dpcip.evaluation.metrics import depth_metrics, image_metrics
from dpcip.evaluation.texture_copy import texture_leak
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank
from dpcip.solver.cache import WORK, home_of, solve_cached
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution


@dataclass(frozen=True)
class Trial:
    """A scene, the capture [3, H, W] that some camera took of it, and the camera that the solver believes in.

    Its three channels are those of the scene. tone: with which image and truth are compared, as one looks at them; the
    default compares light.
    """

    scene: Scene
    capture: np.ndarray
    bank: PsfBank
    tone: ToneCurve = ToneCurve()

    def solve(self, settings: Settings, work: Path = WORK) -> Solution:
        """The solve of the capture; it sees nothing of the scene."""
        return solve_cached(self.capture, self.bank, settings, work)

    def row(self, solution: Solution, lens: Lens | None = None) -> dict[str, Any]:
        """Scores against the scene: image, depth in metres, texture in the depth (texture_copy.py), and the solve.

        lens: turns psi into metres; default: the believed camera's.
        """
        lens, scene = lens or self.bank.lens, self.scene
        psi_true = np.clip(lens.psi_from_depth(scene.depth_m), *self.bank.psi_range)
        truth = self.tone.encode(scene.sharp)
        image = image_metrics(self.tone.encode(solution.sharp), truth)
        depth = depth_metrics(solution.psi, psi_true, lens, self.bank.psi_range, scene.valid)
        return {
            "psnr_db": image["psnr_db"],
            "ssim": image["ssim"],
            "depth_rmse_m": depth["depth_rmse_m"],
            "psi_mae": depth["psi_mae"],
            **texture_leak(solution.psi, psi_true, scene.sharp, scene.valid),
            "capture_psnr_db": image_metrics(self.tone.encode(self.capture), truth)["psnr_db"],
            "data_fit_db": solution.report["data_fit_db"],
            "iterations": solution.report["iterations"],
            "seconds": solution.report["seconds"],
            "solve": home_of(str(solution.report["fingerprint"])).name,
        }


def residual(solution: Solution) -> float:
    """Root mean square difference between the capture and the model of it, full scale 1."""
    return float(10 ** (-float(str(solution.report["data_fit_db"])) / 20))


def middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle of an array [..., H, W], at most so large."""
    top, left = max(image.shape[-2] - height, 0) // 2, max(image.shape[-1] - width, 0) // 2
    return image[..., top : top + height, left : left + width]


def cropped(scene: Scene, height: int, width: int) -> Scene:
    """The middle of a scene, at most so large (px)."""
    sharp, depth_m, valid = (middle(part, height, width) for part in (scene.sharp, scene.depth_m, scene.valid))
    return replace(scene, sharp=sharp, depth_m=depth_m, valid=valid)

"""What a solve returns, its picture and its files."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dpcip.data.images import write_image
from dpcip.data.tone_curve import ToneCurve
from dpcip.evaluation.figures import (
    PREVIEW_DPI,
    save_figure,
    show_depth,
    show_image,
    show_map,
    show_residual,
)
from dpcip.optics.lens import Lens
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json, write_npy
from dpcip.viewer.page import Shown, result_page, small_page

UNFINISHED = ".dpcip.saving"  # folder of a result that is being written


@dataclass(frozen=True)
class Solution:
    """The result of a solve.

    sharp: all-in-focus image, float32 [L, H, W] in [0, 1]. psi: float32 [H, W], rad. depth_m: float32 [H, W], metres.
    psi_std: float32 [H, W], rad; how uncertain psi is (dpcip/initialization/initialize.py).
    coded: what the camera model makes of them, float32 [C, H, W]; its difference from the capture is the residual.
    fits_db: data fit of each iteration, -10 log10 of the mean squared residual; NaN while the start is fitted, empty
    if the solve was too short for more than the start.
    report: settings, machine, time, memory, data fit and why it stopped, ready for JSON.
    capture: what was solved, float32 [C, H, W] in [0, 1]; None for one that was read back by its key alone.
    """

    sharp: np.ndarray
    psi: np.ndarray
    depth_m: np.ndarray
    psi_std: np.ndarray
    coded: np.ndarray
    fits_db: np.ndarray
    report: dict[str, Any]
    capture: np.ndarray | None = None

    def as_photographed(self, tone: ToneCurve, record: dict[str, object]) -> Solution:
        """The solution with the photograph's tone curve, to be looked at; record: how it was read, for the report."""
        sharp, coded = tone.encode(self.sharp), tone.encode(self.coded.clip(0, 1))
        report = {**self.report, "photograph": record}
        return replace(self, sharp=sharp, coded=coded, report=report, capture=tone.encode(self._photograph()))

    def _photograph(self) -> np.ndarray:
        if self.capture is None:
            raise InputError("Solution: is without its capture; give it: dataclasses.replace(solution, capture=...)")
        return self.capture

    def save(self, directory: Path | str) -> None:
        """Writes all_in_focus.png, depth.npy (m), psi.npy and psi_std.npy (rad), preview.png, result.html, report.json.

        The image has 16 bits; result.html is a page to play with that needs no network. An image of neither one nor
        three channels goes to all_in_focus.npy, too, [L, H, W]: no PNG could hold it. All are written beside first and
        then take their places, the old report going first: so a report always belongs to the files beside it, and where
        there is no room, nothing changes. Raises OSError if it cannot.
        """
        directory = Path(directory)
        aside = directory / UNFINISHED
        shutil.rmtree(aside, ignore_errors=True)  # of a save that was killed
        try:
            write_image(aside / "all_in_focus.png", self.sharp, bits=16)  # `dpcip export` makes linear light of it
            if len(self.sharp) not in (1, 3):
                write_npy(aside / "all_in_focus.npy", self.sharp)
            write_npy(aside / "depth.npy", self.depth_m)
            write_npy(aside / "psi.npy", self.psi)
            write_npy(aside / "psi_std.npy", self.psi_std)
            save_figure(aside / "preview.png", self.plot())
            (aside / "result.html").write_text(result_page(self._shown()), encoding="utf-8")
            write_json(aside / "report.json", self.report)
            for name in ("report.json", "all_in_focus.npy"):
                (directory / name).unlink(missing_ok=True)
            for file in sorted(aside.iterdir(), key=lambda file: file.name == "report.json"):
                file.replace(directory / file.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def plot(self) -> Figure:
        """Six pictures: capture, all-in-focus image, residual; depth, its uncertainty, depth where most certain."""
        height, width = self.psi.shape
        figure = Figure(figsize=(16, 0.8 + 10 * height / width), dpi=PREVIEW_DPI, layout="constrained")
        axes = figure.subplots(2, 3)
        show_image(axes[0, 0], self._photograph(), "capture")
        show_image(axes[0, 1], self.sharp, "all-in-focus")
        fit = f"{self.report['data_fit_db']:.1f} dB"
        error = self.report.get("settings", {}).get("model_error")
        if error:
            fit += f"; PSFs good to {-20 * math.log10(error):.0f} dB"
        show_residual(axes[0, 2], self.coded - self._photograph(), f"residual: model minus capture ({fit})")
        show_depth(axes[1, 0], self.depth_m)
        show_map(axes[1, 1], self.psi_std, "uncertainty of the depth", "standard deviation of psi (rad)", "magma")
        certain = np.where(self.psi_std <= np.median(self.psi_std), self.depth_m, np.nan)
        limits = float(self.depth_m.min()), float(self.depth_m.max())
        show_depth(axes[1, 2], certain, "depth, the more certain half", limits)
        return figure

    def _repr_html_(self) -> str:
        """Capture and image under a slider and the depth map, for notebooks; still pictures where no script runs."""
        return small_page(self._shown())

    def _shown(self) -> Shown:
        bank, photograph = self.report.get("psf_bank", {}), self.report.get("photograph", {})
        height, width = self.psi.shape
        near, far = self.depth_m.min(), self.depth_m.max()
        facts = (
            f"{width}x{height} pixels",
            f"{near:.2f} to {far:.2f} m",
            f"data fit {self.report['data_fit_db']:.1f} dB",
        )
        return Shown(
            title=str(photograph.get("file", "Result")),
            facts=(
                *facts,
                f"{self.report['iterations']} iterations" if self.report["iterations"] else "the start, refined",
            ),
            capture=self._photograph(),
            sharp=self.sharp,
            depth_m=self.depth_m,
            psi_std=self.psi_std,
            lens=Lens(**bank.get("lens", {})),
            focal_px=bank.get("focal_px"),
            linear=photograph.get("written_with_gamma", 1) == 1,
        )

"""The figure of a real capture's solve: all in focus, defocus and its uncertainty, and the capture if it may be shown.

`python -m dpcip.study.capture_figure RESULT FIGURE.png` draws it from a folder that `dpcip solve` wrote, without the
capture, and puts RESULT's report beside it as FIGURE.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from dpcip.data.images import read_image
from dpcip.evaluation.figures import save_figure, show_image, show_map
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json

PRIVATE = "do not pass it on"  # in a capture's notes.md: no picture of the capture itself is drawn


def capture_figure(sharp: np.ndarray, psi: np.ndarray, psi_std: np.ndarray, capture: np.ndarray | None) -> Figure:
    """All-in-focus image [C, H, W] in [0, 1], psi [H, W] and its uncertainty (rad); before them the capture, if given.

    psi, not metres: it is what the PSFs tell, whether or not the focus distance is known.
    """
    height, width = psi.shape
    n = 3 + (capture is not None)
    figure = Figure(figsize=(5.2 * n, 0.6 + 4.6 * height / width), layout="constrained")
    axes = figure.subplots(1, n)
    if capture is not None:
        show_image(axes[0], capture, "capture")
    show_image(axes[-3], sharp, "all in focus")
    show_map(axes[-2], psi, "depth (bright is near)", "defocus ψ (rad)", "viridis")
    show_map(axes[-1], psi_std, "uncertainty", "standard deviation of ψ (rad)", "magma")
    return figure


def draw_result(result: Path, picture: Path) -> None:
    """The figure of what `dpcip solve` wrote to the folder `result`, and its report beside it as JSON.

    Raises InputError if the folder holds no result.
    """
    try:
        report = json.loads((result / "report.json").read_text(encoding="utf-8"))
        psi, psi_std = (np.load(result / f"{name}.npy", allow_pickle=False) for name in ("psi", "psi_std"))
    except (OSError, ValueError) as error:
        raise InputError(f"{result}: holds no result; make one with 'dpcip solve CAPTURE --out {result}'") from error
    save_figure(picture, capture_figure(read_image(result / "all_in_focus.png", None), psi, psi_std, None))
    write_json(picture.with_suffix(".json"), report)


def main() -> None:
    """`python -m dpcip.study.capture_figure RESULT FIGURE.png`."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m dpcip.study.capture_figure RESULT FIGURE.png")
    try:
        draw_result(Path(sys.argv[1]), Path(sys.argv[2]))
    except InputError as error:
        sys.exit(f"dpcip.study.capture_figure: {error}")


if __name__ == "__main__":
    main()

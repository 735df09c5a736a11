"""Pictures on disk: small, no wider than a page shows them, and the same bytes for the same picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dpcip.data.images import read_image
from dpcip.evaluation.figures import PAGE_PX, save_figure, show_image
from dpcip.utils.errors import InputError

FRAME = Path(__file__).resolve().parent.parent / "data" / "rendered" / "laptop" / "table_14.png"


def curves(last: float) -> Figure:
    figure = Figure(figsize=(16, 4), layout="constrained")
    figure.subplots().plot([1, 3, last], label="a curve")
    return figure


def photograph() -> Figure:
    figure = Figure(figsize=(16, 4), layout="constrained")
    show_image(figure.subplots(), read_image(FRAME), "a photograph")
    return figure


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_bytes_depend_on_the_picture_alone(tmp_path: Path, ending: str) -> None:
    first, again, other = (tmp_path / f"{name}.{ending}" for name in ("first", "again", "other"))
    for path, last in ((first, 2.0), (again, 2.0), (other, 2.5)):
        save_figure(path, curves(last))
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


def test_curves_are_kept_exactly_and_photographs_nearly(tmp_path: Path) -> None:
    kinds, decibels = [], []
    for draw in (lambda: curves(2.0), photograph):
        save_figure(tmp_path / "a.webp", draw())
        figure = draw()
        figure.savefig(tmp_path / "a.png", dpi=PAGE_PX / 16, bbox_inches="tight")
        kinds.append((tmp_path / "a.webp").read_bytes()[12:16])
        small, exact = (np.asarray(Image.open(tmp_path / f"a.{e}").convert("RGB"), float) for e in ("webp", "png"))
        assert small.shape[1] < 1.02 * PAGE_PX
        decibels.append(20 * np.log10(255 / max(np.sqrt(np.square(small - exact).mean()), 1e-9)))
    assert kinds == [b"VP8L", b"VP8 "] and decibels[0] > 200 and decibels[1] > 35


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="as PNG or WebP"):
        save_figure(tmp_path / "a.jpg", curves(2.0))

"""What people look at: the preview of a solve, pictures of PSFs, and tables as CSV and Markdown."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

if TYPE_CHECKING:
    pass

DEPTH_COLOURS = "viridis_r"  # near is bright
PREVIEW_DPI = 110
PAGE_PX = 1320  # GitHub shows a page 880 pixels wide; half as many again look sharp on dense screens
LOSSY_QUALITY = 85
SAVED = "saved"  # tag of an output that shows what also stands in a file


def show_image(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Draws [3, H, W] in [0, 1], or the mean of any other number of channels in grey, without ticks."""
    if len(image) != 3:
        image = image.mean(axis=0, keepdims=True)
    axes.imshow(np.clip(image.transpose(1, 2, 0), 0, 1).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()


def show_map(
    axes: Axes, values: np.ndarray, title: str, label: str, cmap: str, limits: tuple[float, float] | None = None
) -> None:
    """Draws [H, W] with a colour bar that `label` names, over `limits` or the values' own range."""
    low, high = limits or (float(np.nanmin(values)), float(np.nanmax(values)))
    picture = axes.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    axes.set_title(title)
    axes.set_axis_off()
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(picture, ax=axes, label=label, fraction=0.046 * values.shape[0] / values.shape[1], pad=0.02)


def show_depth(
    axes: Axes, depth_m: np.ndarray, title: str = "depth", limits: tuple[float, float] | None = None
) -> None:
    """Draws a depth map with its scale in metres."""
    show_map(axes, depth_m, title, "depth (m)", DEPTH_COLOURS, limits)


def show_residual(axes: Axes, residual: np.ndarray, title: str) -> None:
    """Draws a signed residual [C, H, W], averaged over channels, in grey levels of 255 and symmetric about zero."""
    levels = 255 * residual.mean(axis=0)
    bound = max(float(np.quantile(np.abs(levels), 0.995)), 0.5)
    show_map(axes, levels, title, "grey levels (of 255)", "RdBu", (-bound, bound))


def psf_sheet(bank: PsfBank, psi: list[float] | None = None) -> Figure:
    """The PSFs of a bank, a row a channel, a column a plane (all, or those nearest `psi`); square root of intensity."""
    indices = range(len(bank.psi)) if psi is None else [int(np.abs(bank.psi - p).argmin()) for p in psi]
    figure = Figure(figsize=(1.1 * len(indices) + 0.6, 1.15 * bank.n_channels + 0.4), layout="constrained")
    axes = figure.subplots(bank.n_channels, len(indices), squeeze=False)
    names = "RGB" if bank.n_channels == 3 else [str(c) for c in range(bank.n_channels)]
    for column, index in enumerate(indices):
        for channel in range(bank.n_channels):
            ax = axes[channel, column]
            ax.imshow(np.sqrt(bank.psf[index, channel].numpy()), cmap="magma")
            ax.set(xticks=[], yticks=[])
            if column == 0:
                ax.set_ylabel(names[channel], rotation=0, labelpad=10, va="center")
            if channel == 0:
                ax.set_title(f"ψ = {bank.psi[index]:g}", fontsize=9)
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Writes a figure as PNG, or small as WebP; the bytes depend on the picture alone.

    Raises InputError for another ending.
    """
    if path.suffix.lower() not in (".png", ".webp"):
        raise InputError(f"{path}: pictures are written as PNG or WebP; choose a name that ends in .png")
    small = path.suffix.lower() == ".webp"
    drawn = BytesIO()
    dpi = min(PREVIEW_DPI, PAGE_PX / figure.get_figwidth()) if small else PREVIEW_DPI
    figure.savefig(drawn, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    with replacing(path) as temporary:
        temporary.write_bytes(webp(Image.open(drawn)) if small else drawn.getvalue())


def webp(picture: Image.Image) -> bytes:
    """A picture as WebP: without loss, unless that takes over twice the bytes, as photographs do and curves do not."""
    exact, lossy = BytesIO(), BytesIO()
    picture = picture.convert("RGB")
    picture.save(exact, "webp", lossless=True, method=6)
    picture.save(lossy, "webp", quality=LOSSY_QUALITY, method=6)
    return min(exact.getvalue(), lossy.getvalue(), key=lambda data: len(data) * (1 if data[12:16] == b"VP8L" else 2))


def show_figure(path: Path, figure: Figure) -> None:
    """Saves a figure of a notebook and shows it.

    The output's tag has it left out of the stored notebook (`without_saved_figures`): a Markdown cell below shows the
    file instead. GitHub shows such a cell's relative picture, as do JupyterLab and nbconvert; GitHub does not reliably
    show one that an output refers to.
    """
    from IPython.display import display  # in a notebook only
    from matplotlib import pyplot

    save_figure(path, figure)
    display(figure, metadata={"tags": [SAVED]})
    pyplot.close(figure)  # or the kernel shows it once more at the cell's end

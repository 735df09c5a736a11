"""What `dpcip calibrate` says about its result: a table, the numbers as JSON, the optics as YAML and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure

from dpcip.calibration.calibrate import Calibration
from dpcip.evaluation.figures import save_figure
from dpcip.optics.lens import Optics
from dpcip.utils.files import replacing, write_json

LEVELS_DRAWN = 6
COLOURS = {"R": "tab:red", "G": "tab:green", "B": "tab:blue"}


def _channel_name(channel: int, n_channels: int) -> str:
    return "RGB"[channel] if n_channels == 3 else str(channel)


def fit_table(calibration: Calibration, boxes: tuple[int, ...]) -> pd.DataFrame:
    """A row a level, channel and kind of PSF (measured, ring mask): RMSE in grey levels of 255, energy in boxes (%)."""
    rows = []
    size = calibration.basis.size
    for level, fitted in zip(calibration.levels, calibration.fit.profiles, strict=True):
        for kind, profiles in (("measured", level.profiles), ("ring mask", fitted)):
            for channel, (data, profile) in enumerate(zip(level.data, profiles, strict=True)):
                kernel = calibration.basis.kernel(profile)
                margins = [(size - box) // 2 for box in boxes]
                energy = {
                    f"box {b} %": 100 * kernel[m : size - m, m : size - m].sum()
                    for b, m in zip(boxes, margins, strict=True)
                }
                rows.append(
                    {
                        "psi": round(level.psi, 2),
                        "channel": "RGB"[channel] if len(level.data) == 3 else str(channel),
                        "PSF": kind,
                        "pixels": data.n_pixels,
                        "gain": data.gain(profile),
                        "shift px": float(np.hypot(*level.shift_px[channel])),
                        "rmse levels": 255 * data.rmse(profile),
                        **energy,
                    }
                )
    return pd.DataFrame(rows)


def mask_table(calibration: Calibration) -> pd.DataFrame:
    """A row a fitted number of the mask: its value and its standard error from the pixels' noise alone."""
    fit = calibration.fit
    rows = [(name, value, fit.standard_error[name]) for name, value in fit.parameters.items()]
    return pd.DataFrame(rows, columns=["parameter", "value", "standard error"])


def profile_sheet(calibration: Calibration) -> Figure:
    """Radial profiles at up to six levels: the measured one as dots, the ring mask's as a line, of the value at 0."""
    chosen = np.unique(np.linspace(0, len(calibration.levels) - 1, LEVELS_DRAWN).round().astype(int))
    basis, n_channels = calibration.basis, len(calibration.levels[0].data)
    figure = Figure(figsize=(3.6 * n_channels, 2.6 * len(chosen)), layout="constrained")
    axes = figure.subplots(len(chosen), n_channels, squeeze=False, sharex=True)
    radii_px = basis.radii_px[basis.radii_px <= basis.size / 2]
    splines = basis.at(radii_px)
    for row, index in enumerate(chosen):
        level = calibration.levels[index]
        for channel in range(n_channels):
            name = _channel_name(channel, n_channels)
            ax, colour = axes[row, channel], COLOURS.get(name, "tab:grey")
            measured = splines @ level.profiles[channel]
            fitted = splines @ calibration.fit.profiles[index, channel]
            ax.plot(radii_px, measured, ".", color=colour, label="measured")
            ax.plot(radii_px, fitted, "k-", linewidth=1, label="ring mask")
            ax.set_title(f"{name}, ψ = {level.psi:.1f}", fontsize=9)
            ax.set_yscale("symlog", linthresh=1e-3 * fitted.max())
            if channel == 0:
                ax.set_ylabel("intensity (a pixel)")
            if row == len(chosen) - 1:
                ax.set_xlabel("radius (pixels)")
    axes[0, 0].legend(fontsize=8)
    return figure


def _optics_values(optics: Optics) -> dict[str, object]:
    """The optics as `read_optics` reads them."""
    return {
        "lens": dict(vars(optics.lens)),
        "mask": {"edges": list(optics.mask.edges), "phases_rad": list(optics.mask.phases_rad)},
        "wavelengths_nm": list(optics.wavelengths_nm),
        "airy_px": optics.airy_px,
    }


def written_files(bank_file: Path) -> list[Path]:
    """The bank and what goes beside it: the report, the picture and the optics."""
    return [bank_file, *(bank_file.with_suffix(suffix) for suffix in (".json", ".png", ".yaml"))]


def write_calibration(bank_file: Path, calibration: Calibration, boxes: tuple[int, ...]) -> list[Path]:
    """Writes the bank and beside it, under its name, .json (all numbers) and .png (profiles); returns all paths.

    A mask that explains the photographs is written as .yaml, too, from which `dpcip psf --optics` makes other planes;
    if none does, that of an earlier calibration is removed: it is not this bank's.
    """
    _, report, picture, optics_file = written_files(bank_file)
    calibration.bank.save(bank_file)
    save_figure(picture, profile_sheet(calibration))
    optics = _optics_values(calibration.fit.optics)
    write_json(
        report,
        {
            "explained_by_ring_mask": calibration.explained,
            "excess_grey_levels": 255 * calibration.excess,
            "parameters": calibration.fit.parameters,
            "standard_error": calibration.fit.standard_error,
            "optics": optics,
            "levels": fit_table(calibration, boxes).to_dict("records"),
        },
    )
    if not calibration.explained:
        optics_file.unlink(missing_ok=True)
        return [bank_file, report, picture]
    with replacing(optics_file) as temporary:
        temporary.write_text(yaml.safe_dump(optics, sort_keys=False), encoding="utf-8")
    return [bank_file, report, picture, optics_file]

"""The verb `dpcip calibrate`: a user's own camera from photographs of known scenes."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import click
import numpy as np

from dpcip.calibration.calibrate import Calibration
from dpcip.calibration.calibrate import calibrate as calibrate_camera
from dpcip.calibration.profiles import Chart
from dpcip.calibration.report import fit_table, mask_table, write_calibration, written_files
from dpcip.cli.depth_options import DepthReading, depth_options
from dpcip.cli.outputs import overwrite_option
from dpcip.cli.photo_options import photo_options
from dpcip.data.depth_maps import Unit, psi_of_map
from dpcip.data.images import load_array
from dpcip.data.photo_files import Reading, common_white, read_photo
from dpcip.optics.lens import Optics, read_optics
from dpcip.optics.psf import psi_planes
from dpcip.utils.errors import InputError
from dpcip.utils.files import spare

ENERGY_BOXES = (31, 23, 19, 15)  # paper, Table 3
existing = click.Path(path_type=Path)


@click.command()
@click.option("--coded", type=existing, multiple=True, required=True, help="Photograph through the mask; repeatable.")
@click.option("--sharp", type=existing, multiple=True, required=True, help="Its sharp original, pixel on pixel.")
@photo_options
@click.option("--sharp-gamma", default="1", show_default=True, help="Tone curve of the sharp originals, as --gamma.")
@click.option("--depth", multiple=True, required=True, help="Its depth map, or one number for a flat chart.")
@click.option(
    "--unit", type=click.Choice(["m", "psi"]), required=True, help="What DEPTH holds: metres or psi (radians)."
)
@depth_options
@click.option("--out", type=existing, required=True, help="Bank to write (.npz); .json, .png and .yaml go beside it.")
@click.option("--optics", "optics_file", type=existing, help="YAML of lens, wavelengths, airy_px. Default: published.")
@click.option("--rings", type=click.IntRange(1, 6), default=3, show_default=True, help="Rings of the mask.")
@click.option(
    "--psi", nargs=3, type=float, default=(-4, 10, 1), show_default=True, help="First and last plane and step, rad."
)
@click.option("--size", default=71, show_default=True, help="Taps along one side of a kernel, odd.")
@overwrite_option
def calibrate(
    coded: tuple[Path, ...],
    sharp: tuple[Path, ...],
    photo: dict[str, object],
    sharp_gamma: str,
    depth: tuple[str, ...],
    unit: Unit,
    reading: DepthReading,
    out: Path,
    optics_file: Path | None,
    rings: int,
    psi: tuple[float, float, float],
    size: int,
    overwrite: bool,
) -> None:
    """Find a camera's PSF bank from a photograph of a known scene, best a flat chart with fine detail.

    Each photograph needs its sharp original (the same view, registered) and its depth: a map, or a number for a chart
    at one distance. Repeat --coded, --sharp and --depth for more photographs; two distances tell more than one.
    Blur adds up light: give the tone curves of the files, --gamma srgb and --sharp-gamma srgb for usual pictures.
    The PSFs are measured at each distance, and a mask of rings is fitted to them: lens and wavelengths must be about
    right, the mask need not be known. Metres also tell the focus distance; psi is taken as it is. If the mask explains
    the photographs, the bank has all planes of --psi; if not, only the measured ones.
    """
    if out.suffix.lower() != ".npz":
        raise InputError(f"{out}: the bank is written as .npz; choose a name that ends in .npz")
    spare(written_files(out), [*coded, *sharp, *map(Path, depth), optics_file], overwrite)
    if not len(coded) == len(sharp) == len(depth):
        raise InputError(
            f"calibrate: got {len(coded)} --coded, {len(sharp)} --sharp and {len(depth)} --depth; "
            "give one of each for a photograph"
        )
    planes = psi_planes(*psi)
    optics = read_optics(optics_file) if optics_file else Optics()
    one = common_white([*coded, *sharp])  # the gain between photograph and original is part of what is measured
    coded_reading, sharp_reading = Reading.of(photo), Reading.of({"gamma": sharp_gamma})
    charts = []
    for photograph, original, its_depth in zip(coded, sharp, depth, strict=True):
        light = _read(photograph, coded_reading, one), _read(original, sharp_reading, one)
        values = _flat(its_depth, unit, light[0].shape[1:])
        if values is None:
            values = reading.read(Path(its_depth), unit)
        charts.append(Chart(*light, psi_of_map(values, unit, optics.lens), str(photograph)))
    calibration = calibrate_camera(charts, optics, rings, planes, size, fit_focus=unit == "m")
    boxes = tuple(box for box in ENERGY_BOXES if box <= size)
    files = write_calibration(out, calibration, boxes)
    click.echo(fit_table(calibration, boxes).to_markdown(index=False, floatfmt=".2f"))
    click.echo(mask_table(calibration).to_markdown(index=False, floatfmt=".5g"))
    click.echo(_verdict(calibration, rings))
    click.echo(f"written: {', '.join(map(str, files))}")


def _read(file: Path, reading: Reading, white: float | None) -> np.ndarray:
    """The light of a file; of an array of floats whose full scale was not told, in shares of `white`."""
    is_floats = file.suffix.lower() in (".npy", ".npz") and load_array(file).dtype.kind == "f"
    if is_floats and reading.white is None:
        reading = dataclasses.replace(reading, white=white)
    return read_photo(file, reading)[0]


def _flat(depth: str, unit: Unit, shape: tuple[int, ...]) -> np.ndarray | None:
    """A map of one depth if `depth` is a number, else None."""
    try:
        value = float(depth)
    except ValueError:
        return None
    if not math.isfinite(value) or (unit == "m" and value <= 0):
        raise InputError(f"--depth {depth}: give a positive number of metres, psi in radians, or a depth map")
    return np.full(shape, value)


def _verdict(calibration: Calibration, rings: int) -> str:
    excess = f"{255 * calibration.excess:.2f} grey levels more than the measured PSFs"
    if calibration.explained:
        focus_m = calibration.fit.optics.lens.focus_m
        return f"A mask of {rings} rings explains the photographs (at most {excess}); in focus at {focus_m:.4g} m."
    return (
        f"No mask of {rings} rings explains the photographs ({excess}): the bank holds the "
        f"{len(calibration.levels)} measured planes only. Try another --rings, or check --optics, the "
        "tone curves (--gamma, --sharp-gamma) and the registration."
    )

"""The verb `dpcip export`: a result in the files that other programs open.

A verb of its own, and no option of `dpcip solve`: a solve takes minutes, and which files another program wants is known
later, also for results of last month.
"""

from __future__ import annotations

import math
from pathlib import Path

import click

from dpcip.cli.finite_range import FiniteRange
from dpcip.cli.outputs import overwrite_option
from dpcip.cli.solve import image_file, read_report
from dpcip.data.depth_maps import read_depth
from dpcip.data.export import write_depth, write_picture, write_points
from dpcip.data.images import read_image
from dpcip.data.tone_curve import ToneCurve
from dpcip.utils.errors import InputError

FORMATS = ("ply", "png", "tiff", "exr")  # first what may fail
USUAL_VIEW_DEG = 45.0  # across the picture, where the camera's is not known: a usual lens
existing = click.Path(path_type=Path)


@click.command("export")
@click.argument("result", type=existing)
@click.option("--out", type=existing, help="Folder for the files. Default: RESULT/export.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Only this one; may be repeated. Default: all.",
)
@click.option(
    "--max-std",
    type=FiniteRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Leave points out of the PLY whose defocus is less certain: standard deviation of psi in radians, as in "
    "psi_std.npy. With the published lens 1 rad is 0.11 m at 1 m and grows with the square of the depth.",
)
@click.option(
    "--field-of-view",
    "view_deg",
    type=FiniteRange(0, 180, min_open=True, max_open=True),
    help="Degrees that the lens sees across the picture's width, for the PLY. Default: from the optics that the PSFs "
    f"were computed from; where those are not known, {USUAL_VIEW_DEG:g}.",
)
@overwrite_option
def export(
    result: Path,
    out: Path | None,
    formats: tuple[str, ...],
    max_std: float,
    view_deg: float | None,
    overwrite: bool,
) -> None:
    """Write depth, image and points of RESULT, a folder of `dpcip solve`, for other programs.

    \b
    depth.png    16 bits, millimetres (65535: 65.535 m or farther); its metadata say so
    depth.tiff   floats, metres
    depth.exr    floats, metres, channel Z
    image.png    16 bits, with the photograph's tone curve
    image.tiff   16 bits, with the photograph's tone curve
    image.exr    floats, linear in light
    points.ply   coloured points in metres, through a pinhole; x right, y up, z towards the camera
    """
    report = read_report(result)
    image = read_image(result / image_file(report), None)
    depth_m, psi_std = read_depth(result / "depth.npy", "m"), read_depth(result / "psi_std.npy", "psi")
    for name, values in (("depth.npy", depth_m), ("psi_std.npy", psi_std)):
        if values.shape != image.shape[1:]:
            sizes = f"{values.shape[::-1]} pixels, {image_file(report)} {image.shape[:0:-1]}"
            raise InputError(f"{result / name}: is {sizes}; solve again")
    out = out or result / "export"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; give --out a folder for the files")
    endings = [name for name in FORMATS if name in (formats or FORMATS)]
    files = [f"{what}.{e}" for e in endings for what in (["points"] if e == "ply" else ["depth", "image"])]
    for name in [] if overwrite or out == result / "export" else files:
        if (out / name).exists():
            raise InputError(f"{out / name}: exists; choose another folder, or give --overwrite")
    tone = ToneCurve.parse(report.get("photograph", {}).get("written_with_gamma", 1))
    for ending in endings:
        if ending != "ply":
            write_depth(out / f"depth.{ending}", depth_m)
            write_picture(out / f"image.{ending}", image, tone)
            click.echo(f"{out / f'depth.{ending}'}, {out / f'image.{ending}'}")
            continue
        focal_px, words = _focal_px(report, depth_m.shape[1], view_deg)
        n_points = write_points(out / "points.ply", image, depth_m, psi_std <= max_std, focal_px)
        click.echo(f"{out / 'points.ply'}: {n_points} of {depth_m.size} points, psi within {max_std:g} rad; {words}")


def _focal_px(report: dict, width: int, view_deg: float | None) -> tuple[float, str]:
    """Focal length in pixels of a picture `width` pixels wide, and where it comes from, in words."""
    known = report["psf_bank"].get("focal_px")
    if known and not view_deg:
        return known, f"{math.degrees(2 * math.atan(width / 2 / known)):.3g} degrees across, by the camera's optics"
    words = f"{view_deg or USUAL_VIEW_DEG:g} degrees across" + (
        "" if view_deg else ", a guess: say --field-of-view if you know it"
    )
    return width / 2 / math.tan(math.radians(view_deg or USUAL_VIEW_DEG) / 2), words

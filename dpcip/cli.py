"""The command line: a user's own files through each verb, from a camera's blur to a solve and its score."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from pathlib import Path

import click
import numpy as np
import torch

from dpcip import __version__
from dpcip.bench import MAIN_VARIANTS, VARIANTS, run_bench
from dpcip.calibrate_command import calibrate
from dpcip.camera import simulate as simulate_capture
from dpcip.captures import CAPTURES, read_capture
from dpcip.errors import InputError
from dpcip.generators import GENERATORS, with_generator
from dpcip.io import MILLIMETRE, Unit, claimed, psi_of_map, read_depth, read_image, write_image
from dpcip.metrics import confidence_metrics, depth_metrics, image_metrics
from dpcip.noise import estimate_noise
from dpcip.optics import Lens, read_optics
from dpcip.phasecam3d import fetch as fetch_phasecam3d
from dpcip.photo_options import photo_options
from dpcip.psf import PsfBank, psi_planes
from dpcip.report import energy_table, psf_sheet, save_figure, write_json, write_solution
from dpcip.runner import check_capture, fingerprint
from dpcip.sensor import Sensor
from dpcip.settings import PRESETS, with_iterations
from dpcip.study_commands import plan, study
from dpcip.tiled_solve import CHECKPOINT, forget, solve_within_memory, tiled_identity

ENERGY_BOXES = (31, 23, 19, 15)  # paper, Table 3
RESULT_FILES = ("all_in_focus.png", "depth.npy", "psi.npy", "psi_std.npy", "preview.png")
RESUMABLE = ("solve", "study", "bench")
PHASE_REACH_RAD, SCALE_REACH = 0.8, 0.08  # of --learn-optics: what a mask's maker and a lens's may be wrong by
SIMULATION_STEP = 0.1  # rad between the simulator's layers

log = logging.getLogger("dpcip")
existing = click.Path(path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)
unit_option = click.option(
    "--unit", type=click.Choice(["m", "psi"]), required=True, help="What DEPTH holds: metres or defocus psi (radians)."
)
scale_option = click.option(
    "--depth-scale", default=MILLIMETRE, show_default=True, help="Metres per level, for 16-bit integer depth images."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dpcip")
def cli() -> None:
    """All-in-focus image and metric depth from one photograph taken through a phase mask.

    A first round on your own files:

    \b
      dpcip psf --out bank.npz --picture psf.png         the camera's blur at each depth
      dpcip simulate sharp.png depth.npy --unit m --out photo.png
      dpcip solve photo.png --out result/ --psf bank.npz
      dpcip evaluate result/ --sharp sharp.png --depth depth.npy --unit m
    """


@cli.command()
@click.option("--out", type=existing, required=True, help="File to write: .npz, or .mat in the released code's layout.")
@click.option(
    "--psi", nargs=3, type=float, default=(-4, 10, 1), show_default=True, help="First and last plane and step, rad."
)
@click.option("--size", default=71, show_default=True, help="Taps along one side of a kernel, odd.")
@click.option("--optics", type=existing, help="YAML file of lens, mask and wavelengths. Default: the published camera.")
@click.option("--picture", type=existing, help="Also draw the PSFs to this PNG.")
def psf(out: Path, psi: tuple[float, float, float], size: int, optics: Path | None, picture: Path | None) -> None:
    """Compute the PSF bank of a phase-coded camera: one blur kernel for each depth plane and colour.

    psi is defocus in radians: 0 is in focus, positive is nearer, negative farther. Prints the share of energy inside
    small boxes at the plane nearest psi = -4 (the paper's Table 3).
    """
    bank = PsfBank.synthesise(read_optics(optics) if optics else None, psi_planes(*psi), size)
    if picture:
        save_figure(picture, psf_sheet(bank, [float(p) for p in np.linspace(*bank.psi_range, min(len(bank.psi), 8))]))
        click.echo(f"{picture}: PSFs, square root of intensity")
    bank.save(out)
    boxes = tuple(box for box in ENERGY_BOXES if box <= size)
    shown = float(bank.psi[np.abs(bank.psi + 4).argmin()])
    click.echo(f"{out}: {len(bank.psi)} planes, psi {bank.psi[0]:g} to {bank.psi[-1]:g}, {size}x{size} taps")
    if boxes:
        click.echo(f"energy inside a centred box at psi = {shown:g}, percent:")
        click.echo(energy_table(bank, shown, boxes).to_markdown(floatfmt=".2f"))


@cli.command()
@click.argument("sharp", type=existing)
@click.argument("depth", type=existing)
@unit_option
@scale_option
@click.option("--out", type=existing, required=True, help="PNG to write.")
@click.option("--psf", "bank_file", type=existing, help="PSF bank. Default: the published camera's, 0.1 rad apart.")
@click.option("--full-well", type=float, help="Electrons at full scale, for shot noise. Default: none.")
@click.option("--read-noise", default=0.0, show_default=True, help="Read noise, as a fraction of full scale.")
@click.option("--bayer", is_flag=True, help="Through an RGGB mosaic and demosaicing.")
@click.option("--bits", default=8, show_default=True, help="Bits of the sensor; more than 8 write a 16-bit PNG.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the noise.")
def simulate(
    sharp: Path,
    depth: Path,
    unit: Unit,
    depth_scale: float,
    out: Path,
    bank_file: Path | None,
    full_well: float | None,
    read_noise: float,
    bayer: bool,
    bits: int,
    seed: int,
) -> None:
    """Photograph a scene, given as SHARP image and DEPTH map, through the phase mask.

    DEPTH may be .dpt, .npy, .exr, .tif or a 16-bit PNG. Depths beyond the camera's range are clipped to it.
    """
    if out.suffix.lower() != ".png":
        raise InputError(f"{out}: the capture is written as PNG; choose a name that ends in .png")
    sensor = Sensor(full_well, read_noise, bayer, bits)
    image, values = read_image(sharp), read_depth(depth, unit, depth_scale)
    if image.shape[1:] != values.shape:
        raise InputError(
            f"{depth}: is {values.shape[::-1]} pixels, {sharp} {image.shape[:0:-1]}; they must be the same"
        )
    bank = PsfBank.load(bank_file) if bank_file else PsfBank.synthesise(psi=psi_planes(step=SIMULATION_STEP))
    light = simulate_capture(image, psi_of_map(values, unit, bank.lens), bank)
    write_image(out, sensor.expose(light, seed), bits)
    click.echo(f"{out}: {image.shape[2]}x{image.shape[1]} pixels, {bits} bits")


@cli.command("solve")
@click.argument("coded", type=existing)
@click.option("--out", type=existing, required=True, help="Folder for the results.")
@click.option("--psf", "bank_file", type=existing, help="PSF bank of the camera. Default: the published camera's.")
@photo_options
@click.option("--tile", "tile_px", type=click.IntRange(1), help="Solve in tiles of so many pixels a side at most.")
@click.option("--preset", type=click.Choice(sorted(PRESETS)), default="fast", show_default=True)
@click.option("--generator", type=click.Choice(sorted(GENERATORS)), default="dip", show_default=True)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    help="Stop after so many (fast: up to 60 give its start).",
)
@click.option(
    "--max-seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long; the same command goes on."
)
@click.option(
    "--noise",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Standard deviation of the noise, full scale 1. Default: estimated from the photograph.",
)
@click.option(
    "--psi-tv",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Weight of the depth's total variation: smooths what noise leaves open.",
)
@click.option(
    "--learn-optics",
    is_flag=True,
    help=f"Also learn ring phases and aperture near those of the optics: within {PHASE_REACH_RAD} rad and "
    f"{SCALE_REACH:.0%}.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the generator.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads. Default: all cores.")
@click.option("--quiet", is_flag=True, help="No estimate, no progress bar.")
def solve_command(
    coded: Path,
    out: Path,
    bank_file: Path | None,
    photo: dict[str, object],
    tile_px: int | None,
    preset: str,
    generator: str,
    iterations: int | None,
    max_seconds: float | None,
    noise: float | None,
    psi_tv: float,
    learn_optics: bool,
    seed: int,
    device: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Recover the all-in-focus image and depth of the photograph CODED.

    CODED is a PNG, TIFF, JPEG or raw file, or the folder of a capture with its camera (see data/README.md). Writes
    all_in_focus.png, depth.npy (metres), psi.npy and psi_std.npy (radians; defocus and its uncertainty), preview.png
    and report.json to OUT. The pictures have the tone curve of CODED. A photograph that would not fit the memory is
    solved in tiles. A solve that was interrupted, or that ran out of --max-seconds, goes on from where it was when the
    same command is given.
    """
    read = read_capture(coded, photo, bank_file)
    settings = with_generator(dataclasses.replace(PRESETS[preset], seed=seed), generator)
    settings = with_iterations(settings, iterations or settings.iterations)
    check_capture(read.light, read.bank, str(coded))
    settings = dataclasses.replace(settings, noise=noise or estimate_noise(read.light), psi_tv=psi_tv)
    if learn_optics:
        settings = dataclasses.replace(settings, learn_phases_rad=PHASE_REACH_RAD, learn_scale=SCALE_REACH)
    if threads:
        torch.set_num_threads(threads)
    identity = tiled_identity(fingerprint(read.light, read.bank, settings, device), tile_px)
    with claimed(out):
        if _solved_already(out, identity):
            click.echo(f"{out}: already solved with these settings; delete {out / 'report.json'} to solve again")
            return
        solution = solve_within_memory(
            read.light,
            read.bank,
            settings,
            out,
            identity=identity,
            tile_px=tile_px,
            device=device,
            max_seconds=max_seconds,
            progress=not quiet,
        )
        if solution is None:
            click.echo(f"{out}: out of time before the last tile was solved; the same command goes on")
            return
        write_solution(out, *read.as_photographed(solution))
        report = solution.report
        if report["stopped_by"] != "max_seconds":
            forget(out)
    click.echo(
        f"{out}: {report['iterations']} iterations in {report['seconds']:.0f} s, "
        f"data fit {report['data_fit_db']:.1f} dB, stopped by {report['stopped_by']}; look at {out / 'preview.png'}"
    )


def _solved_already(out: Path, identity: str) -> bool:
    """Whether the folder holds the finished result of this very solve; raises InputError if it holds another's."""
    if not (out / "report.json").is_file():
        return False
    report = _read_report(out)
    unfinished = report.get("stopped_by") == "max_seconds"
    if report.get("fingerprint") != identity:
        if unfinished and (out / CHECKPOINT).exists():
            return False  # the checkpoint knows whose it is
        raise InputError(f"{out}: holds the result of another photograph or other settings; choose another folder")
    return not unfinished and all((out / name).is_file() for name in RESULT_FILES)


@cli.command()
@click.argument("name", type=click.Choice(["phasecam3d"]))
@click.option("--to", "root", type=existing, default=CAPTURES, help="Folder for it. Default: data/captures.")
def fetch(name: str, root: Path) -> None:
    """Download a real capture that others have published, with its camera, for `dpcip solve`.

    phasecam3d: a photograph through PhaseCam3D's phase mask (Wu et al. 2019), from its authors' repository.
    """
    folder = fetch_phasecam3d(root)
    click.echo(f"{folder}: ready; dpcip solve {folder} --out result/")


@cli.command()
@click.argument("directory", type=existing)
@click.option("--sharp", type=existing, required=True, help="True sharp image.")
@click.option("--depth", type=existing, required=True, help="True depth map.")
@unit_option
@scale_option
def evaluate(directory: Path, sharp: Path, depth: Path, unit: Unit, depth_scale: float) -> None:
    """Compare a result folder (of dpcip solve) with the truth; prints a table and writes metrics.json there.

    Depth errors are in true metres, over all pixels and over those inside the camera's range. Rows "as released" are
    what the paper's released code prints, for comparison with the paper's tables.
    """
    report = _read_report(directory)
    lens = Lens(**report["psf_bank"]["lens"])
    psi_min, psi_max = report["psf_bank"]["psi_range"]
    estimate, truth = read_image(directory / "all_in_focus.png"), read_image(sharp)
    psi = read_depth(directory / "psi.npy", "psi")
    psi_true = psi_of_map(read_depth(depth, unit, depth_scale), unit, lens)
    for file, shape in ((sharp, truth.shape[1:]), (depth, psi_true.shape), (directory / "psi.npy", psi.shape)):
        if shape != estimate.shape[1:]:
            size = f"{estimate.shape[2]}x{estimate.shape[1]}"
            raise InputError(f"{file}: is {shape[1]}x{shape[0]} pixels, the result {size}; they must be the same")
    metrics = {**image_metrics(estimate, truth), **depth_metrics(psi, psi_true, lens, (psi_min, psi_max))}
    metrics |= confidence_metrics(psi, read_depth(directory / "psi_std.npy", "psi"), psi_true, (psi_min, psi_max))
    width = max(map(len, metrics))
    for name, value in metrics.items():
        click.echo(f"{name:<{width}}  {value:8.4f}")
    write_json(directory / "metrics.json", dict(metrics))


@cli.command()
@click.option("--out", type=existing, default=Path("results/bench"), show_default=True, help="Folder for the results.")
@click.option("--scenes", default="table,room,street", show_default=True, help="Rendered scenes, separated by commas.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Runs of each scene.")
@click.option("--variants", default=",".join(MAIN_VARIANTS), show_default=True, help=f"Of {'; '.join(VARIANTS)}.")
@click.option("--report", "only_report", is_flag=True, help="Run nothing: report on the runs that are in the folder.")
def bench(out: Path, scenes: str, seeds: int, variants: str, only_report: bool) -> None:
    """Measure presets and variants: quality along the way, time to the paper's quality, memory.

    A few hours on two cores. Interrupted, the same command goes on; runs, also unfinished ones, are kept in OUT/runs.
    """
    run_bench(out, scenes.split(","), list(range(seeds)), variants.split(","), only_report)


cli.add_command(calibrate)
cli.add_command(plan)
cli.add_command(study)


def _read_report(directory: Path) -> dict:
    path = directory / "report.json"
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a folder that 'dpcip solve' wrote")
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        Lens(**report["psf_bank"]["lens"])
        if len(report["psf_bank"]["psi_range"]) == 2:
            return report
    except (ValueError, TypeError, KeyError):
        pass
    raise InputError(f"{path}: is not a report of 'dpcip solve'; solve again")


def main() -> None:
    """Entry point: every foreseeable fault ends in one line and a non-zero exit."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        sys.exit(cli.main(prog_name="dpcip", standalone_mode=False))
    except InputError as error:
        message, code = str(error), 2
    except click.Abort:
        resumable = "; the same command goes on from where it was" if set(sys.argv[1:2]) & set(RESUMABLE) else ""
        message, code = f"interrupted{resumable}", 130
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
        message, code = error.format_message() + hint, 2
    except OSError as error:
        message, code = (
            f"{error.filename or 'file system'}: {error.strerror or error}; check the path and free space",
            1,
        )
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise  # a fault of ours: show it whole
        message, code = "not enough memory; crop or shrink the photograph, or close other programs", 1
    click.echo(f"dpcip: {' '.join(message.split())}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""The command line: a user's own files through each verb, from a camera's blur to a solve and its score."""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path

import click
import numpy as np

from dpcip import __version__
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate as simulate_capture
from dpcip.cli.calibrate import ENERGY_BOXES, calibrate
from dpcip.cli.depth_options import DepthReading, depth_options
from dpcip.cli.export import export
from dpcip.cli.outputs import overwrite_option
from dpcip.cli.solve import SEED, image_file, read_report, solve_command
from dpcip.cli.study import plan, study
from dpcip.cli.train import train_command
from dpcip.data.captures import CAPTURES
from dpcip.data.depth_maps import Unit, check_range, psi_of_map, read_depth
from dpcip.data.images import read_given_image, read_image, write_image
from dpcip.data.phasecam3d import fetch as fetch_phasecam3d
from dpcip.evaluation.alignment import registered_metrics
from dpcip.evaluation.figures import psf_sheet, save_figure
from dpcip.evaluation.metrics import confidence_metrics, depth_metrics, image_metrics
from dpcip.evaluation.tables import energy_table
from dpcip.optics.lens import Lens, read_optics
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.paper.bench import MAIN_VARIANTS, VARIANTS, run_bench
from dpcip.utils.errors import InputError
from dpcip.utils.files import spare, write_json, write_npy

BENCH_FILES = ("summary.json", "speed.json", "bench.csv", "bench.md", "bench.png", "cases.csv", "cases.md")
RESUMABLE = ("solve", "study", "bench", "train")
SIMULATION_STEP = 0.1  # rad between the simulator's layers

log = logging.getLogger("dpcip")
existing = click.Path(path_type=Path)
unit_option = click.option(
    "--unit", type=click.Choice(["m", "psi"]), required=True, help="What DEPTH holds: metres or defocus psi (radians)."
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
@overwrite_option
def psf(
    out: Path,
    psi: tuple[float, float, float],
    size: int,
    optics: Path | None,
    picture: Path | None,
    overwrite: bool,
) -> None:
    """Compute the PSF bank of a phase-coded camera: one blur kernel for each depth plane and colour.

    psi is defocus in radians: 0 is in focus, positive is nearer, negative farther. Prints the share of energy inside
    small boxes at the plane nearest psi = -4 (the paper's Table 3).
    """
    if out.suffix.lower() not in (".npz", ".mat"):
        raise InputError(f"{out}: a PSF bank is saved as .npz or .mat")
    spare([out, picture] if picture else [out], [optics], overwrite)
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
@depth_options
@click.option("--out", type=existing, required=True, help="PNG to write, or .npy: [C, H, W], any channels.")
@click.option("--psf", "bank_file", type=existing, help="PSF bank. Default: the published camera's, 0.1 rad apart.")
@click.option("--full-well", type=float, help="Electrons at full scale, for shot noise. Default: none.")
@click.option("--read-noise", default=0.0, show_default=True, help="Read noise, as a fraction of full scale.")
@click.option("--bayer", is_flag=True, help="Through an RGGB mosaic and demosaicing.")
@click.option("--bits", default=8, show_default=True, help="Bits of the sensor; more than 8 write a 16-bit PNG.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the noise.")
@overwrite_option
def simulate(
    sharp: Path,
    depth: Path,
    unit: Unit,
    reading: DepthReading,
    out: Path,
    bank_file: Path | None,
    full_well: float | None,
    read_noise: float,
    bayer: bool,
    bits: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Photograph a scene, given as SHARP image and DEPTH map, through the phase mask.

    DEPTH may be .dpt, .npy, .exr, .tif or a 16-bit PNG. Depths beyond the camera's range are clipped to it; a map that
    nearly all lies beyond is refused. What a file says of its orientation is heeded.
    """
    suffix = out.suffix.lower()
    if suffix not in (".png", ".npy"):
        raise InputError(f"{out}: the capture is written as PNG or .npy; choose a name that ends in .png or .npy")
    spare([out], [sharp, depth, bank_file], overwrite)
    sensor = Sensor(full_well, read_noise, bayer, bits)
    image, values = read_given_image(sharp, None), reading.read(depth, unit)
    if image.shape[1:] != values.shape:
        raise InputError(
            f"{depth}: is {values.shape[::-1]} pixels, {sharp} {image.shape[:0:-1]}; they must be the same"
        )
    bank = PsfBank.load(bank_file) if bank_file else PsfBank.synthesise(psi=psi_planes(step=SIMULATION_STEP))
    if len(image) != bank.n_latent:
        raise InputError(
            f"{bank.source}: its camera sees {bank.n_latent} channels, {sharp} has {len(image)}; match them"
        )
    if suffix == ".png" and bank.n_channels not in (1, 3):
        raise InputError(f"{out}: a PNG cannot hold {bank.n_channels} channels; choose a name that ends in .npy")
    check_range(depth, values, unit, bank.lens, bank.psi_range, reading.scale)
    light = simulate_capture(image, psi_of_map(values, unit, bank.lens), bank)
    exposed = sensor.expose(light, seed)
    if suffix == ".npy":
        write_npy(out, exposed.astype(np.float32))
    else:
        write_image(out, exposed, bits)
    click.echo(f"{out}: {image.shape[2]}x{image.shape[1]} pixels, {bits} bits")


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
@click.option("--sharp", type=existing, help="True sharp image, of as many channels as the result.")
@click.option("--depth", type=existing, help="True depth map; with --unit.")
@click.option("--unit", type=click.Choice(["m", "psi"]), help="What DEPTH holds: metres or defocus psi (radians).")
@depth_options
@click.option(
    "--register", is_flag=True, help="The truth is another exposure: move and scale the image to where it fits best."
)
def evaluate(
    directory: Path, sharp: Path | None, depth: Path | None, unit: Unit | None, reading: DepthReading, register: bool
) -> None:
    """Compare a result folder (of dpcip solve) with the truth; prints a table and writes metrics.json there.

    Depth errors are in true metres, over all pixels and over those inside the camera's range. Rows "as released" are
    what the paper's released code prints, for comparison with the paper's tables.
    """
    if sharp is None and depth is None:
        raise InputError(f"{directory}: there is nothing to compare it with; give --sharp, --depth or both")
    if register and sharp is None:
        raise InputError(f"{directory}: --register is about the image; give --sharp")
    if depth is not None and unit is None:
        raise InputError(f"{depth}: does it hold metres or psi? give --unit m or --unit psi")
    report = read_report(directory)
    lens = Lens(**report["psf_bank"]["lens"])
    psi_min, psi_max = report["psf_bank"]["psi_range"]
    psi = read_depth(directory / "psi.npy", "psi")
    size = f"{psi.shape[1]}x{psi.shape[0]}"
    metrics: dict[str, float] = {}

    def check(file: Path, shape: tuple[int, ...]) -> None:
        if shape != psi.shape:
            raise InputError(f"{file}: is {shape[1]}x{shape[0]} pixels, the result {size}; they must be the same")

    if sharp is not None:
        image = directory / image_file(report)
        estimate = read_image(image, None)
        truth = read_given_image(sharp, len(estimate))
        photograph = report.get("photograph", {})
        if photograph.get("white_found") and not register:
            truth = truth / photograph["white"]
            click.echo(f"{sharp}: divided by {photograph['white']:.4g}, the photograph's full scale")
        check(image, estimate.shape[1:])
        check(sharp, truth.shape[1:])
        metrics |= registered_metrics(estimate, truth) if register else image_metrics(estimate, truth)
    if depth is not None and unit is not None:
        psi_std = read_depth(directory / "psi_std.npy", "psi")
        values = reading.read_within(depth, unit, lens, (psi_min, psi_max), holes=True)
        check(directory / "psi_std.npy", psi_std.shape)
        check(depth, values.shape)
        known = ~np.isnan(values)
        if not known.all():
            click.echo(f"{depth}: {(~known).sum()} of its pixels ({(~known).mean():.1%}) hold no depth; left out")
        psi_true = np.where(known, psi_of_map(np.where(known, values, 1.0), unit, lens), 0.0)
        metrics |= depth_metrics(psi, psi_true, lens, (psi_min, psi_max), known)
        metrics |= confidence_metrics(psi[known], psi_std[known], psi_true[known], (psi_min, psi_max))
    width = max(map(len, metrics))
    for name, value in metrics.items():
        click.echo(f"{name:<{width}}  {value:8.4f}" if not math.isnan(value) else f"{name:<{width}}       n/a")
    if any(map(math.isnan, metrics.values())):
        click.echo("n/a: no pixel has a true depth within the camera's range")
    write_json(directory / "metrics.json", dict(metrics))


@cli.command()
@click.option("--out", type=existing, default=Path("results/bench"), show_default=True, help="Folder for the results.")
@click.option("--scenes", default="table,room,street", show_default=True, help="Rendered scenes, separated by commas.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Runs of each scene.")
@click.option("--variants", default=",".join(MAIN_VARIANTS), show_default=True, help=f"Of {'; '.join(VARIANTS)}.")
@click.option("--report", "only_report", is_flag=True, help="Run nothing: report on the runs that are in the folder.")
@overwrite_option
def bench(out: Path, scenes: str, seeds: int, variants: str, only_report: bool, overwrite: bool) -> None:
    """Measure presets and variants: quality along the way, time to the paper's quality, memory.

    A few hours on two cores. Interrupted, the same command goes on; runs, also unfinished ones, are kept in OUT/runs.
    """
    if not (out / "runs").is_dir():  # a bench's folder knows itself by its runs
        spare([out / name for name in BENCH_FILES], (), overwrite)
    run_bench(out, scenes.split(","), list(range(seeds)), variants.split(","), only_report)


cli.add_command(calibrate)
cli.add_command(export)
cli.add_command(solve_command)
cli.add_command(train_command)
cli.add_command(plan)
cli.add_command(study)


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
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(0)
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

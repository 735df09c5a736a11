"""The verb `dpcip solve`: all-in-focus image and depth of a user's own photograph."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from pathlib import Path

import click

from dpcip.captures import UserCapture, read_capture
from dpcip.errors import InputError
from dpcip.finite_range import FiniteRange
from dpcip.generators import GENERATORS, with_generator
from dpcip.io import claimed
from dpcip.learnt.depth import LearntDepth, shipped, weights_for
from dpcip.machine import use_threads
from dpcip.mismatch import estimate_mismatch
from dpcip.noise import estimate_noise
from dpcip.optics import Lens
from dpcip.optics_faults import PHASE_REACH_RAD, SCALE_REACH
from dpcip.photo_options import photo_options
from dpcip.psf import PsfBank
from dpcip.report import write_solution
from dpcip.runner import check_capture, fingerprint
from dpcip.settings import PRESETS, Settings, uses_start, with_iterations
from dpcip.tiled_solve import CHECKPOINT, forget, solve_within_memory, tiled_identity

RESULT_FILES = ("all_in_focus.png", "depth.npy", "psi.npy", "psi_std.npy", "preview.png")
SEED = click.IntRange(0, 2**32 - 1)
existing = click.Path(path_type=Path)
log = logging.getLogger("dpcip")


@click.command("solve")
@click.argument("coded", type=existing, nargs=-1, required=True)
@click.option("--out", type=existing, required=True, help="Folder for the results.")
@click.option(
    "--psf", "--optics", "bank_file", type=existing, help="PSF bank, or YAML of optics. Default: the published camera."
)
@photo_options
@click.option("--tile", "tile_px", type=click.IntRange(1), help="Solve in tiles of so many pixels a side at most.")
@click.option("--preset", type=click.Choice(sorted(PRESETS)), default="fast", show_default=True)
@click.option("--generator", type=click.Choice(sorted(GENERATORS)), default="dip", show_default=True)
@click.option(
    "--depth",
    type=click.Choice(["auto", "likelihood", "learnt"]),
    default="auto",
    show_default=True,
    help="What the solve begins with. learnt: by a network trained for the bank; auto: learnt where there is one.",
)
@click.option("--weights", type=existing, help="Weights of learnt depth (`dpcip train`). Default: dpcip's own.")
@click.option(
    "--iterations",
    type=click.IntRange(1),
    help="Stop after so many (fast: up to 60 give its start).",
)
@click.option("--max-seconds", type=FiniteRange(0, min_open=True), help="Stop after so long; the same command goes on.")
@click.option(
    "--noise",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Standard deviation of the noise, full scale 1. Default: estimated from the photograph.",
)
@click.option(
    "--mismatch",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of the texture that the PSFs do not explain. Default: 0.01 for PSFs that are right, else estimated.",
)
@click.option(
    "--psi-tv",
    type=FiniteRange(0),
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
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads. Default: the cores that are free.")
@click.option("--quiet", is_flag=True, help="No estimate, no progress bar.")
def solve_command(
    coded: tuple[Path, ...],
    out: Path,
    bank_file: Path | None,
    photo: dict[str, object],
    tile_px: int | None,
    preset: str,
    generator: str,
    depth: str,
    weights: Path | None,
    iterations: int | None,
    max_seconds: float | None,
    noise: float | None,
    mismatch: float | None,
    psi_tv: float,
    learn_optics: bool,
    seed: int,
    device: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Recover the all-in-focus image and depth of the photograph CODED.

    CODED is a PNG, TIFF, JPEG or raw file, an array (.npy, .npz: [H, W] or [C, H, W], linear in light), several grey
    files, one a channel (a dual pixel's left and right), or the folder of a capture with its camera (see
    data/README.md). How well the PSFs explain the photograph is estimated first and told if they do not. Writes
    all_in_focus.png, depth.npy (metres), psi.npy and psi_std.npy (radians; defocus and its uncertainty), preview.png
    and report.json to OUT. The pictures have the tone curve of CODED. A photograph that would not fit the memory is
    solved in tiles. A solve that was interrupted, or that ran out of --max-seconds, goes on from where it was when the
    same command is given.
    """
    name = str(coded[0])
    read = read_capture(coded[0], photo, bank_file, coded[1:])
    settings = with_generator(dataclasses.replace(PRESETS[preset], seed=seed), generator)
    settings = with_iterations(settings, iterations or settings.iterations)
    check_capture(read.light, read.bank, name)
    if threads:
        use_threads(threads)
    noise = noise or estimate_noise(read.light)
    settings = dataclasses.replace(settings, noise=noise, psi_tv=psi_tv)
    if settings.camera == "masked" and not learn_optics:
        settings = _believing(settings, read, mismatch, name)
    elif mismatch:
        settings = dataclasses.replace(settings, mismatch=mismatch)
    if learn_optics:
        settings = dataclasses.replace(settings, learn_phases_rad=PHASE_REACH_RAD, learn_scale=SCALE_REACH)
    network = None if depth == "likelihood" else _network(depth, weights, read.bank)
    if depth == "auto" and weights is None and (settings.model_error or learn_optics):
        network = None  # it was trained for optics that are right, or nearly so
    if network and uses_start(settings):
        settings = dataclasses.replace(settings, depth="learnt")
    identity = tiled_identity(fingerprint(read.light, read.bank, settings, device, network), tile_px)
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
            network=network,
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


def _believing(settings: Settings, read: UserCapture, share: float | None, name: str) -> Settings:
    """The settings with what the PSFs do not explain of this photograph; says so if that is more than its noise."""
    found = estimate_mismatch(read.light, read.bank, settings.noise, share)
    if found.model_error:
        log.warning(
            f"{name}: {read.bank.source} explains it to {-20 * math.log10(found.model_error):.0f} dB only (its noise: "
            f"{-20 * math.log10(settings.noise):.0f} dB), so image and depth follow it less closely (mismatch "
            f"{found.share:g}); if the PSFs ought to be better, check bank, tone curve (--gamma) and --white"
        )
    return dataclasses.replace(settings, mismatch=found.share, model_error=found.model_error)


def _network(depth: str, weights: Path | None, bank: PsfBank) -> LearntDepth | None:
    """What `--depth` and `--weights` ask for. Raises InputError if there is no network for this bank, and must be."""
    if weights is None:
        return weights_for(bank) if depth == "learnt" else shipped(bank)
    network = LearntDepth.load(weights)
    if not network.fits(bank):
        raise InputError(f"{weights}: was trained for other PSFs than {bank.source}; train it for these")
    return network


def _solved_already(out: Path, identity: str) -> bool:
    """Whether the folder holds the finished result of this very solve; raises InputError if it holds another's."""
    if not (out / "report.json").is_file():
        return False
    report = read_report(out)
    unfinished = report.get("stopped_by") == "max_seconds"
    if report.get("fingerprint") != identity:
        if unfinished and (out / CHECKPOINT).exists():
            return False  # the checkpoint knows whose it is
        raise InputError(f"{out}: holds the result of another photograph or other settings; choose another folder")
    return not unfinished and all((out / name).is_file() for name in {*RESULT_FILES, image_file(report)})


def image_file(report: dict) -> str:
    """The file of a result that holds the image whole: a PNG holds one channel or three."""
    n_latent = len(set(report["psf_bank"].get("latent", range(3))))
    return "all_in_focus.png" if n_latent in (1, 3) else "all_in_focus.npy"


def read_report(directory: Path) -> dict:
    """The report.json of a result folder. Raises InputError if there is none of `dpcip solve`."""
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

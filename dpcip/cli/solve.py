"""The verb `dpcip solve`: all-in-focus image and depth of a user's own photograph."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
from pathlib import Path

import click
import numpy as np

from dpcip.cli.finite_range import FiniteRange
from dpcip.cli.one_of import OneOf
from dpcip.cli.outputs import overwrite_option
from dpcip.cli.photo_options import photo_options
from dpcip.data.captures import read_capture
from dpcip.generators.registry import GENERATORS
from dpcip.learnt.depth import LearntDepth
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank
from dpcip.solver.prepare import PHASE_REACH_RAD, SCALE_REACH, Depth, prepared, recipe, with_learnt_depth
from dpcip.solver.runner import check_capture, fingerprint
from dpcip.solver.settings import PRESETS
from dpcip.solver.solution import Solution
from dpcip.solver.tiled import CHECKPOINT, PLAN, TILES, forget, solve_within_memory, tiled_identity
from dpcip.solver.tiling import check_tile
from dpcip.utils.errors import InputError
from dpcip.utils.files import LOCK, check_writable, claimed
from dpcip.utils.keys import key
from dpcip.utils.machine import use_threads

RESULT_FILES = ("all_in_focus.png", "depth.npy", "psi.npy", "psi_std.npy", "preview.png", "result.html")
WRITTEN = (*RESULT_FILES, "all_in_focus.npy", "report.json")
UNSURE = 0.7  # of the standard deviation of a depth that might be any in the range: what is less sure means little
AT_THE_END = 0.85  # share of the pixels whose depth lies in the first or last tenth of a plane: the bank ends too early
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
@click.option("--preset", type=OneOf(PRESETS), default="fast", show_default=True)
@click.option("--generator", type=OneOf(GENERATORS), default="dip", show_default=True)
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
@overwrite_option
def solve_command(
    coded: tuple[Path, ...],
    out: Path,
    bank_file: Path | None,
    photo: dict[str, object],
    tile_px: int | None,
    preset: str,
    generator: str,
    depth: Depth,
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
    overwrite: bool,
) -> None:
    """Recover the all-in-focus image and depth of the photograph CODED.

    CODED is a PNG, TIFF, JPEG or raw file, an array (.npy, .npz: [H, W] or [C, H, W], linear in light), several grey
    files, one a channel (a dual pixel's left and right), or the folder of a capture with its camera (see
    data/README.md). What a file says of its orientation is heeded, with all formats: pictures and --roi are as a viewer
    shows them. How well the PSFs explain the photograph is estimated first and told if they do not. Writes
    all_in_focus.png, depth.npy (metres), psi.npy and psi_std.npy (radians; defocus and its uncertainty), preview.png,
    result.html (a page to play with) and report.json to OUT. The pictures have the tone curve of CODED. A photograph
    that would not fit the memory is solved in tiles. A solve that was interrupted, or that ran out of --max-seconds,
    goes on from where it was when the same command is given. `dpcip export OUT` writes files for other programs.
    """
    name = str(coded[0])
    _check_folder(out, overwrite)
    read = read_capture(coded[0], photo, bank_file, coded[1:])
    bank = read.bank
    check_capture(read.light, bank, name)
    if tile_px:
        check_tile(tile_px, bank.size)
    if threads:
        use_threads(threads)
    settings = dataclasses.replace(recipe(preset, generator, iterations, seed), psi_tv=psi_tv)
    network = _network(weights, bank) if weights else None
    # What was asked for determines the result; what is estimated for it takes seconds, and follows from it.
    begun, first = with_learnt_depth(settings, bank, depth, network)
    asked = fingerprint(read.light, bank, begun, device, first)
    told = {"noise": noise, "mismatch": mismatch, "learn_optics": learn_optics, "depth": depth}
    identity = tiled_identity(key(asked=asked, **told), tile_px)
    with claimed(out):
        if _solved_already(out, identity, overwrite):
            click.echo(f"{out}: already solved with these settings; delete {out / 'report.json'} to solve again")
            return
        settings = prepared(
            read.light, bank, settings, noise=noise, mismatch=mismatch, learn_optics=learn_optics, name=name
        )
        settings, network = with_learnt_depth(settings, bank, depth, network)
        solution = solve_within_memory(
            read.light,
            bank,
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
        _tell_what_it_is_worth(name, solution, bank)
        _save(solution.as_photographed(read.tone, read.record), out)
        report = solution.report
        if report["stopped_by"] != "max_seconds":
            forget(out)
    done = f"{report['iterations']} iterations" if report["iterations"] else "the start, refined,"
    click.echo(
        f"{out}: {done} in {report['seconds']:.0f} s, "
        f"data fit {report['data_fit_db']:.1f} dB, stopped by {report['stopped_by']}; look at {out / 'result.html'}"
    )


def _check_folder(out: Path, overwrite: bool) -> None:
    """Raises InputError for a folder that cannot be written, or where files that dpcip did not write would be lost."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; give --out a folder for the results")
    check_writable(out)
    if (out / TILES).exists() and not (out / TILES / PLAN).is_file() and any((out / TILES).iterdir()):
        raise InputError(f"{out / TILES}: is not a folder of dpcip's; choose another folder")
    ours = _is_report(out / "report.json") or any((out / name).exists() for name in (LOCK, CHECKPOINT, TILES))
    strange = [name for name in WRITTEN if (out / name).exists()]
    if strange and not ours and not overwrite:
        raise InputError(
            f"{out / strange[0]}: is none of dpcip's and would be lost; choose another folder, or give --overwrite"
        )


def _save(solution: Solution, out: Path) -> None:
    """Writes the result; if the folder has become unwritable or full, to one of the system's, and says where."""
    try:
        solution.save(out)
    except OSError as error:
        elsewhere = Path(tempfile.mkdtemp(prefix=f"dpcip-{out.resolve().name}-"))
        try:
            solution.save(elsewhere)
        except OSError:  # no room there, either: the checkpoint, if there is one, is all there is
            shutil.rmtree(elsewhere, ignore_errors=True)
            raise error from None
        told = f"{error.filename or out}: cannot be written ({error.strerror or error})"
        raise InputError(f"{told}; the result is kept in {elsewhere}, move it from there") from error


def _tell_what_it_is_worth(name: str, solution: Solution, bank: PsfBank) -> None:
    """Says so if the depth means little: nothing in the photograph tells it, or it lies beyond the bank's planes."""
    low, high = bank.psi_range
    if np.median(solution.psi_std) > UNSURE * (high - low) / np.sqrt(12):
        log.warning(f"{name}: has hardly any texture that tells depth; depth.npy means little (see psi_std.npy)")
        return
    margin = 0.1 * (high - low) / (len(bank.psi) - 1)
    ends = {low: solution.psi < low + margin, high: solution.psi > high - margin}
    for psi, there in ends.items():
        if there.mean() > AT_THE_END:
            log.warning(
                f"{name}: {there.mean():.0%} of it is found at psi = {psi:g}, where {bank.source} ends; depth.npy "
                "means little: the scene lies beyond the planes, or the PSFs are another camera's"
            )


def _network(weights: Path, bank: PsfBank) -> LearntDepth:
    """The network of a file. Raises InputError if it was not trained for this bank."""
    network = LearntDepth.load(weights)
    if not network.fits(bank):
        raise InputError(f"{weights}: was trained for other PSFs than {bank.source}; train it for these")
    return network


def _solved_already(out: Path, identity: str, overwrite: bool) -> bool:
    """Whether the folder holds the finished result of this very solve.

    That of another one is forgotten with `overwrite`; without, InputError.
    """
    if not _is_report(out / "report.json"):
        return False
    report = read_report(out)
    unfinished = report.get("stopped_by") == "max_seconds"
    if report.get("fingerprint") != identity:
        if unfinished and (out / CHECKPOINT).exists() and not overwrite:
            return False  # the checkpoint knows whose it is
        if not overwrite:
            raise InputError(
                f"{out}: holds the result of another photograph or other settings; choose another folder, or give "
                "--overwrite"
            )
        forget(out)
        return False
    return not unfinished and all((out / name).is_file() for name in {*RESULT_FILES, image_file(report)})


def _is_report(path: Path) -> bool:
    """Whether the file is a report of `dpcip solve`."""
    try:
        read_report(path.parent)
    except InputError:
        return False
    return True


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

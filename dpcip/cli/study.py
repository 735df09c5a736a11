"""The verbs `dpcip plan` and `dpcip study`: many solves from one list, priced beforehand."""

from __future__ import annotations

from pathlib import Path

import click

from dpcip.cli.finite_range import FiniteRange
from dpcip.cli.outputs import overwrite_option
from dpcip.solver.cache import WORK
from dpcip.study.cases import read_plan
from dpcip.study.plans import plan_of_scale, price, total, write_plan
from dpcip.study.runs import SCHEDULER, run_study
from dpcip.utils.errors import InputError
from dpcip.utils.files import check_writable, replacing, spare

existing = click.Path(path_type=Path)


@click.command()
@click.option("--out", type=existing, required=True, help="CSV to write, for 'dpcip study'.")
@click.option("--scale", type=click.Choice(["tutorial", "laptop", "paper"]), default="paper", show_default=True)
@overwrite_option
def plan(out: Path, scale: str, overwrite: bool) -> None:
    """Write the list of a scale's solves, as params.yaml has them: every frame of Tables 1 and 2, with every seed."""
    spare([out], (), overwrite)
    from dpcip.paper.pipeline import read_params  # papermill takes a second to import

    params = read_params()
    cases = plan_of_scale(params, scale)
    write_plan(out, cases)
    rendered = cases[0].dataset == "rendered_paper"  # its frames need not be here for their cost
    size = f" --size {params['render']['paper']['size'].replace('x', ' ')}" if rendered else ""
    click.echo(f"{out}: {len(cases)} solves; what they cost: dpcip study {out} --dry-run{size}")


@click.command()
@click.argument("cases", type=existing)
@click.option("--out", type=existing, help="CSV to write: a row of scores a case. Needed but for a dry run.")
@click.option(
    "--work", type=existing, default=WORK, help="Folder that solves are kept in. Default: .work of the clone."
)
@click.option("--scheduler", help=f"Address of a Dask scheduler. Default: that in {SCHEDULER}, or none.")
@click.option(
    "--dry-run", is_flag=True, help="Solve nothing: list every solve with its estimated seconds, and the sum."
)
@click.option("--size", nargs=2, type=click.IntRange(64), help="Dry run: width and height, if the frames are not here.")
@click.option("--gpu-speed-up", type=FiniteRange(0, min_open=True), help="Dry run: this, assumed, gives GPU-hours.")
@overwrite_option
def study(
    cases: Path,
    out: Path | None,
    work: Path,
    scheduler: str | None,
    dry_run: bool,
    size: tuple[int, int] | None,
    gpu_speed_up: float | None,
    overwrite: bool,
) -> None:
    """Solve and score a list of scenes with known depth.

    CASES is a CSV file with a header line. Column frame is required; dataset, factor, camera, preset, generator,
    iterations, seed, distance (own or far) and side_px may follow. What is solved already is read back; interrupted,
    the same command goes on.
    With --scheduler the solves run on a cluster, one a worker (dask worker ADDRESS --nthreads 1), and WORK must lie
    on a disk that all of them share. A list of the paper's scale is written by 'dpcip plan'.
    """
    if dry_run:
        prices = price(read_plan(cases), size)
        click.echo(prices.drop(columns="camera").to_string(index=False, float_format="%.1f"))
        click.echo(total(prices, gpu_speed_up))
        return
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    if out.suffix.lower() != ".csv":
        raise InputError(f"{out}: the rows are written as CSV; choose a name that ends in .csv")
    spare([out], [cases], overwrite or _are_rows(out))
    check_writable(work)
    rows = run_study(read_plan(cases), work, scheduler)
    with replacing(out) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g")
    click.echo(f"{out}: {len(rows)} solves; their reports are in {work / 'solves'}")


def _are_rows(path: Path) -> bool:
    """Whether the file holds the scores of a study: the same command, given again, renews them."""
    try:
        with path.open(encoding="utf-8") as file:
            names = file.readline().rstrip("\n").split(",")
    except (OSError, ValueError):
        return False
    return {"frame", "solve", "psnr_db"} <= set(names)

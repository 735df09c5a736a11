"""Many solves from one list: nothing is solved twice, in this process or on a Dask cluster."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
from tqdm import tqdm

from dpcip.solver.cache import WORK
from dpcip.study.cases import solve_case
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json
from dpcip.utils.progress_stream import PROGRESS_FILE, progress_stream
from dpcip.utils.quiet import overheard

if TYPE_CHECKING:
    from distributed import Client

SCHEDULER = "DPCIP_SCHEDULER"  # environment variable: address of a Dask scheduler, such as tcp://host:8786
CONNECT_SECONDS = 20
WORKER_SECONDS = 45  # in which the first worker has to come
RETRIES = 2  # of a solve that failed on the cluster

Row = dict[str, Any]
log = logging.getLogger("dpcip")


class Recipe(Protocol):
    """What the study must know of a case's recipe: how many iterations it has."""

    @property
    def iterations(self) -> int: ...


class Planned(Protocol):
    """A case of a study: hashable, with its recipe; `check` raises InputError if it cannot be solved."""

    def settings(self) -> Recipe: ...

    def check(self) -> None: ...


def run_study(
    cases: Sequence[Planned],
    work: Path = WORK,
    scheduler: str | None = None,
    solve: Callable[..., Row] = solve_case,
) -> pd.DataFrame:
    """Solves what is not solved yet; a row a case, in the list's order (dpcip/study/cases.py).

    solve: makes the row, as `solve_case` does for the solver's cases; rivals bring their own (baselines/blind.py).

    Killed at any point, the same call goes on from there. scheduler: address of a Dask scheduler, or that in the
    environment variable DPCIP_SCHEDULER; its workers have one thread each (`dask worker --nthreads 1`) and the same
    `work` folder on a shared disk. Without one everything is solved in this process. Raises InputError for an
    unusable case before anything is solved, and for a scheduler that does not answer.
    """
    for case in cases:
        case.check()
    lengths = [case.settings().iterations for case in cases]
    address = scheduler or os.environ.get(SCHEDULER)
    with _bar(sum(lengths)) as bar:
        rows = _on_cluster(cases, work.resolve(), address, bar, solve) if address else _here(cases, work, bar, solve)
    return pd.DataFrame(rows)


def save_reports(rows: pd.DataFrame, folder: Path, work: Path = WORK) -> None:
    """Writes folder/SOLVE.json for each row: the row, and the solve's report.json (settings, machine, versions).

    Files of other solves in the folder are removed. Scores are rounded: sums in another order would else show.
    """
    for stray in folder.glob("*.json"):
        if stray.stem not in set(rows["solve"]):
            stray.unlink()
    for row in rows.to_dict("records"):
        report = json.loads((work / "solves" / row["solve"] / "report.json").read_text(encoding="utf-8"))
        case = {name: float(f"{value:.10g}") if isinstance(value, float) else value for name, value in row.items()}
        write_json(folder / f"{row['solve']}.json", {"case": case, "report": report})


@contextmanager
def _bar(n_iterations: int) -> Iterator[tqdm]:
    """One bar for all solves, where somebody looks: on a terminal, or in the pipeline."""
    unseen = not os.environ.get(PROGRESS_FILE) and not sys.stderr.isatty()
    with (
        progress_stream() as stream,
        tqdm(total=n_iterations, desc="study", unit="it", file=stream, disable=unseen, mininterval=0.5) as bar,
    ):
        yield bar


def _here(cases: Sequence[Planned], work: Path, bar: tqdm, solve: Callable[..., Row]) -> list[Row]:
    rows = []
    for number, case in enumerate(cases, start=1):
        bar.set_description(f"study, solve {number} of {len(cases)}")
        steps = _Steps(bar)
        rows.append(solve(case, work, steps))
        steps.finish(case.settings().iterations)
    return rows


class _Steps:
    """Passes a solve's iterations on to the study's bar; those made before this call do not count for its pace."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar
        self.done = 0

    def __call__(self, iteration: int) -> None:
        if self.done == 0:
            self._shorten(iteration - 1)
            self.done = iteration - 1
        self.bar.update(iteration - self.done)
        self.done = iteration

    def finish(self, n_iterations: int) -> None:
        self._shorten(n_iterations - self.done)

    def _shorten(self, n_iterations: int) -> None:
        self.bar.total = (self.bar.total or 0) - n_iterations
        self.bar.refresh()


def _on_cluster(cases: Sequence[Planned], work: Path, address: str, bar: tqdm, solve: Callable[..., Row]) -> list[Row]:
    """One solve a worker. A worker that dies gives its solve to another, which goes on from the checkpoint."""
    from distributed import Client, KilledWorker  # a second to import, and seldom needed
    from distributed.comm.core import CommClosedError

    kept = f"what is solved is kept in {work / 'solves'}, and the same command goes on from there"
    with overheard("distributed"):
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"{address}: no Dask scheduler answers there; start one with 'dask scheduler'") from error
        try:
            _await_workers(client, address)
            return _gathered(client, cases, work, bar, solve)
        except KilledWorker as error:
            raise InputError(
                f"{address}: the workers of one solve died again and again (too little memory? see their logs); {kept}"
            ) from error
        except (CommClosedError, CancelledError, TimeoutError) as error:
            raise InputError(f"{address}: the scheduler does not answer any more; start it again: {kept}") from error
        finally:
            with suppress(Exception):  # a dead scheduler's
                client.close(timeout=2)


def _await_workers(client: Client, address: str) -> None:
    """Waits for the first worker, saying so. Raises InputError if none comes, or if one would solve several at once."""
    end = time.monotonic() + WORKER_SECONDS
    while not client.nthreads():
        if time.monotonic() > end:
            raise InputError(f"{address}: no worker has come; start some with 'dask worker {address} --nthreads 1'")
        if end - time.monotonic() > WORKER_SECONDS - 1:
            log.info(f"{address}: has no worker yet; waiting {WORKER_SECONDS} s for one")
        time.sleep(1)
    wide = [worker for worker, threads in client.nthreads().items() if threads > 1]
    if wide:
        raise InputError(f"{wide[0]}: this worker would solve several at a time; start it with --nthreads 1")


def _gathered(client: Client, cases: Sequence[Planned], work: Path, bar: tqdm, solve: Callable[..., Row]) -> list[Row]:
    """The rows of all cases, in the list's order, as the workers make them."""
    from distributed import as_completed

    alike: dict[Planned, list[int]] = {}  # listed twice: two workers would claim one solve's folder
    for number, case in enumerate(cases):
        alike.setdefault(case, []).append(number)
    futures = client.map(solve, list(alike), work=work, pure=False, retries=RETRIES)
    numbers_of = {future.key: numbers for future, numbers in zip(futures, alike.values(), strict=True)}
    rows: dict[int, Row] = {}
    for future in as_completed(futures, loop=client.loop):
        for number in numbers_of[future.key]:
            rows[number] = future.result()
            bar.update(cases[number].settings().iterations)
        bar.set_description(f"study, {len(rows)} of {len(cases)} solved")
    return [rows[number] for number in range(len(cases))]

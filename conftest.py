"""For every run of pytest, of tests/ and of the notebooks: how the work is shared among processes, and what is slow."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

if "PYTEST_XDIST_WORKER" in os.environ:  # a core each: two processes of one thread are quicker than one of two
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import dpcip  # noqa: F401, I001 - before torch, which reads once what it says of OpenMP's threads
import psutil
import pytest
from torch.optim.optimizer import register_optimizer_step_pre_hook

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
GIB_A_WORKER = 1.5  # of memory that the largest tests and notebooks take
_quick = False  # whether the test that runs is one of `make check`


def pytest_configure(config: pytest.Config) -> None:
    """Says how many threads where there is but one process: tests compare bits, whatever else the machine does."""
    if not config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", str(CORES))


def pytest_xdist_auto_num_workers() -> int:
    """Processes of `-n auto`: one a core, as far as the memory goes."""
    return max(1, min(CORES, int(psutil.virtual_memory().available / 2**30 / GIB_A_WORKER)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test without the mark `slow` neither solves nor trains nor starts another Python: it fails if it does."""
    global _quick
    _quick = item.path.parent.name in ("tests", "awkward") and item.get_closest_marker("slow") is None
    try:
        return (yield)
    finally:
        _quick = False


def _only_slow_tests(what: str) -> None:
    if _quick:
        pytest.fail(f"{what}: `make check` has no time for that, mark the test with @pytest.mark.slow")


def _watch_processes(event: str, details: tuple) -> None:
    where = {"subprocess.Popen": 1, "os.posix_spawn": 1, "os.system": 0}.get(event)
    if where is None:
        return
    words = details[where] if isinstance(details[where], list | tuple) else [details[where]]
    if any(part.split("/")[-1].startswith("python") for word in words for part in os.fsdecode(word).split()):
        _only_slow_tests("starts another Python")


# Every solve, training and blind deconvolution goes through an optimiser.
register_optimizer_step_pre_hook(lambda *_: _only_slow_tests("takes a step of an optimiser"))
sys.addaudithook(_watch_processes)

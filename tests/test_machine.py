"""What the machine is told: memory that is freed stays at hand."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch

from dpcip.utils import machine

CHURN = """
import resource, sys
import torch
from dpcip.utils.machine import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(1 << 24)  # 64 MiB, twice the largest block that glibc would keep by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(faults() for _ in range(30)))  # aligned blocks need a few rounds to find their place in the heap
"""


@pytest.mark.parametrize(
    ("name", "amx", "bf16", "capability", "fast"),
    [
        ("Intel(R) Xeon(R) Processor", True, True, "AVX512", True),
        ("Intel(R) Xeon(R) Processor", False, True, "AVX512", False),
        ("Intel(R) Xeon(R) Processor", True, True, "AVX2", False),
        ("AMD EPYC", False, True, "AVX512", True),
        ("AMD EPYC", False, True, "AVX2", False),  # ATEN_CPU_CAPABILITY=avx2
        ("AMD Ryzen", False, False, "AVX2", False),
    ],
)
def test_bfloat16_is_used_where_it_is_quicker(
    monkeypatch: pytest.MonkeyPatch, name: str, amx: bool, bf16: bool, capability: str, fast: bool
) -> None:
    monkeypatch.setattr(machine, "_cpu_name", lambda: name)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    held_back = not torch.ops.mkldnn._is_mkldnn_bf16_supported()  # by ONEDNN_MAX_CPU_ISA, or it has none
    assert machine.has_fast_bfloat16(torch.device("cpu")) is (fast and not held_back)


THREADS = """
import torch
from dpcip.utils.machine import share_cores
print(torch.get_num_threads())
torch.set_num_threads(3)
share_cores()
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("cores", "busy", "most", "threads"),
    [(2, 0, 2, 2), (2, 0.4, 2, 2), (2, 1, 2, 1), (2, 2, 2, 1), (16, 2, 8, 8), (16, 12.2, 8, 4), (1, 1, 1, 1)],
)
def test_a_thread_a_free_core(cores: int, busy: float, most: int, threads: int) -> None:
    assert machine.free_cores(cores, busy, most) == threads


@pytest.mark.slow
def test_beside_busy_programs_one_thread_unless_somebody_said_more() -> None:
    cores = os.cpu_count() or 1
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        shared, told = (
            subprocess.run([sys.executable, "-c", THREADS], env=env, capture_output=True, check=True, text=True).stdout
            for env in (environment, environment | {"OMP_NUM_THREADS": "2"})
        )
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert shared.split() == ["1", "3"] and told.split() == ["2", "3"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, check=True, text=True).stdout)
        for how in ("keep", "leave")
    }
    assert faults["keep"] < 100 < faults["leave"], faults


TOP = Path(__file__).resolve().parent.parent
OPENMP = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY")
ENTRIES = {
    "import": ["-c", "import dpcip, torch"],
    "command": ["-c", "from dpcip.cli.main import main; import torch"],
    "pipeline": ["-m", "dpcip.paper.pipeline"],
    "tests": ["-m", "pytest", "-s", "--collect-only", "-p", "no:cacheprovider", "tests/test_losses.py"],
}


def spin_count(command: list[str], **said: str) -> str | None:
    """What GNU's OpenMP says of itself when torch loads it."""
    environment = {name: value for name, value in os.environ.items() if name not in OPENMP}
    environment |= {"OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(TOP), **said}
    done = subprocess.run(
        [sys.executable, *command], cwd=TOP, env=environment, capture_output=True, text=True, check=False
    )
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    return found and found[1]


@pytest.mark.slow
@pytest.mark.skipif(not [*Path(torch.__file__).parent.glob("lib/libgomp*")], reason="torch brings no GNU OpenMP")
@pytest.mark.parametrize("entry", ENTRIES)
def test_idle_threads_sleep_early_whatever_is_started(entry: str) -> None:
    assert spin_count(ENTRIES[entry]) == "10000"


@pytest.mark.slow
@pytest.mark.skipif(not [*Path(torch.__file__).parent.glob("lib/libgomp*")], reason="torch brings no GNU OpenMP")
@pytest.mark.parametrize(
    ("name", "value", "expected"), [("GOMP_SPINCOUNT", "77", "77"), ("OMP_WAIT_POLICY", "PASSIVE", "0")]
)
def test_what_the_user_says_of_idle_threads_holds(name: str, value: str, expected: str) -> None:
    assert spin_count(ENTRIES["import"], **{name: value}) == expected


@pytest.mark.parametrize("path", sorted((TOP / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_import_dpcip_before_torch(path: Path) -> None:
    """In JupyterLab nobody has told OpenMP before: the notebook's own first import must."""
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    named = [
        name.split(".")[0]
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    ]
    assert next(name for name in named if name in ("dpcip", "torch")) == "dpcip"

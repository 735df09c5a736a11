"""What the machine is told: memory that is freed stays at hand."""

import subprocess
import sys

import pytest
import torch

from dpcip import machine

CHURN = """
import resource, sys
import torch
from dpcip.machine import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(1 << 24)  # 64 MiB, twice the largest block that glibc would keep by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(faults() for _ in range(30)))  # aligned blocks need a few rounds to find their place in the heap
"""


@pytest.mark.parametrize(
    ("name", "amx", "bf16", "fast"),
    [
        ("Intel(R) Xeon(R) Processor", True, True, True),
        ("Intel(R) Xeon(R) Processor", False, True, False),
        ("AMD EPYC", False, True, True),
        ("AMD Ryzen", False, False, False),
    ],
)
def test_bfloat16_is_used_where_it_is_quicker(
    monkeypatch: pytest.MonkeyPatch, name: str, amx: bool, bf16: bool, fast: bool
) -> None:
    monkeypatch.setattr(machine, "_cpu_name", lambda: name)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    assert machine.has_fast_bfloat16(torch.device("cpu")) is fast


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, check=True, text=True).stdout)
        for how in ("keep", "leave")
    }
    assert faults["keep"] < 100 < faults["leave"], faults

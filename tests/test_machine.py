"""What the machine is told: memory that is freed stays at hand."""

import subprocess
import sys

import pytest

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", CHURN, how], capture_output=True, check=True, text=True).stdout)
        for how in ("keep", "leave")
    }
    assert faults["keep"] < 100 < faults["leave"], faults

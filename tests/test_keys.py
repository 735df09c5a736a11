"""Keys: the same for the same meaning, another for anything that changes a number."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from dpcip.utils.keys import arithmetic, key

TOP = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Recipe:
    steps: int
    share: float = 0.5


def test_order_memory_layout_and_kind_of_array_do_not_count() -> None:
    values = np.arange(12.0).reshape(3, 4)
    base = key(a=values, b=Recipe(3))
    assert base == key(b=Recipe(3), a=np.asfortranarray(values)) == key(a=torch.from_numpy(values), b=Recipe(3, 0.5))


def test_everything_else_counts() -> None:
    values = np.arange(12.0).reshape(3, 4)
    turned, narrow, nudged = values.reshape(4, 3), values.astype(np.float32), values + 1e-15 * (values == 3)
    parts = [
        *({"a": array} for array in (values, turned, narrow, nudged, [values], [values, values])),
        *({"b": values}, {"a": values, "b": 1}, {"a": Recipe(3)}, {"a": Recipe(4)}, {"a": Recipe(3, 0.25)}),
        *({"a": None}, {"a": 1}, {"a": "1"}, {"a": (0, 1)}, {"a": (1, 0)}),
    ]
    assert len({key(**part) for part in parts}) == len(parts)


def test_arithmetic_says_device_and_type() -> None:
    cpu = torch.device("cpu")
    assert arithmetic(cpu, True) == "cpu bfloat16" and arithmetic(cpu, False) == "cpu float32"
    assert arithmetic(cpu) in ("cpu bfloat16", "cpu float32")


KEY_OF_A_SOLVE = """
from dpcip.study.cases import Case, photograph
from dpcip.solver.runner import fingerprint
photo = photograph(Case("table_14", factor=4))
print(fingerprint(photo.capture, photo.bank, Case("table_14").settings()))
"""


@pytest.mark.slow
def test_threads_and_place_of_the_process_do_not_count(tmp_path: Path) -> None:
    """A solve finished with one number of threads is found with another."""

    def run(threads: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(TOP), "OMP_NUM_THREADS": threads}
        place = tmp_path / threads
        place.mkdir()
        command = [sys.executable, "-c", KEY_OF_A_SOLVE]
        return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=True).stdout

    assert run("1") == run("3") != ""

"""The command line's options for reading a depth map: --depth-scale, --depth-invalid."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from dpcip.cli.finite_range import FiniteRange
from dpcip.data.depth_maps import LARGEST, Unit, at_largest, check_range, read_depth
from dpcip.optics.lens import Lens

log = logging.getLogger("dpcip")


@dataclass(frozen=True)
class DepthReading:
    """How a depth map is read: metres a number of the file (None: by its type), and the numbers that mean no depth."""

    scale: float | None = None
    invalid: tuple[float, ...] = ()

    def read(self, path: Path, unit: Unit, holes: bool = False) -> np.ndarray:
        """The map [H, W], as `read_depth`; the log tells of pixels at the largest level, which may mean no depth."""
        n_largest = 0 if LARGEST in self.invalid else at_largest(path)
        if n_largest:
            log.warning(
                f"{path}: {n_largest} of its pixels are {LARGEST:g}, the largest level; they count as far away "
                f"(--depth-invalid {LARGEST:g}, if they hold no depth)"
            )
        return read_depth(path, unit, self.scale, invalid=self.invalid, holes=holes)

    def read_within(
        self, path: Path, unit: Unit, lens: Lens, psi_range: tuple[float, float], holes: bool = False
    ) -> np.ndarray:
        """`read`; raises InputError also if nearly all of the map lies beyond the camera's range."""
        values = self.read(path, unit, holes)
        check_range(path, values, unit, lens, psi_range, self.scale)
        return values


def depth_options(command: Callable) -> Callable:
    """Adds the options to a command, which gets a `DepthReading` as `reading`."""

    @click.option(
        "--depth-scale",
        type=FiniteRange(0, min_open=True),
        help="Metres a number of DEPTH. Default: 0.001 for integers (millimetres), 1 for floats.",
    )
    @click.option("--depth-invalid", type=float, multiple=True, help="Number in DEPTH that means none; repeatable.")
    @functools.wraps(command)
    def with_depth(depth_scale: float | None, depth_invalid: tuple[float, ...], **arguments: object) -> object:
        return command(reading=DepthReading(depth_scale, depth_invalid), **arguments)

    return with_depth

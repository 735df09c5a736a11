"""A large photograph in overlapping tiles: where they lie, and how their results become one picture without seams."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from dpcip.data.images import MIN_SIDE_PX
from dpcip.utils.errors import InputError

BLEND_PX = 32  # over which one tile's result fades into the next one's
WEIGHT_STEPS = 4096  # weights are multiples of 1 / 4096: their products are exact in float32, and sums exactly 1


@dataclass(frozen=True)
class Span:
    """A tile's extent along one axis, and its weight at each of the `length` pixels of the axis (0 outside)."""

    start: int
    stop: int
    weight: np.ndarray

    @property
    def extent(self) -> slice:
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class Tile:
    """One tile: its row and column in the grid, and its spans along the photograph's two axes."""

    row: int
    column: int
    vertical: Span
    horizontal: Span

    @property
    def name(self) -> str:
        return f"tile_{self.row:02d}_{self.column:02d}"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.vertical.stop - self.vertical.start, self.horizontal.stop - self.horizontal.start

    def of(self, picture: np.ndarray) -> np.ndarray:
        """The part of [..., H, W] that the tile sees."""
        return picture[..., self.vertical.extent, self.horizontal.extent]

    @property
    def weight(self) -> np.ndarray:
        """Weight of each of the tile's pixels in the whole picture, float32 [h, w] in [0, 1]."""
        down, right = (span.weight[span.extent] for span in (self.vertical, self.horizontal))
        return (down[:, None] * right).astype(np.float32)


def overlap_px(n_taps: int) -> int:
    """Overlap of neighbours: a PSF's radius on each side, whose light comes from outside the tile, and the blend."""
    return 2 * (n_taps // 2) + BLEND_PX


def check_tile(tile_px: int, n_taps: int) -> None:
    """Raises InputError for tiles less than twice their overlap long."""
    least = 2 * overlap_px(n_taps)
    if tile_px < least:
        raise InputError(f"tile: {tile_px} px are too few; kernels of {n_taps} taps need tiles of {least} px")


def spans(length: int, tile_px: int, n_taps: int) -> list[Span]:
    """The fewest equal spans of at most `tile_px` that cover 0 to `length` and overlap by at least `overlap_px`.

    In the middle of each overlap a raised cosine takes the weight from one span to the next. Within a PSF's radius of
    its inner ends a span has no weight. None is too short for the generator. Raises InputError for tiles less than
    twice the overlap long.
    """
    check_tile(tile_px, n_taps)
    overlap = overlap_px(n_taps)
    count = max(1, math.ceil((length - overlap) / (tile_px - overlap)))
    size = math.ceil((length + (count - 1) * overlap) / count)
    size = max(size, min(length, MIN_SIDE_PX))
    starts = [round(i * (length - size) / max(count - 1, 1)) for i in range(count)]
    # reached[i]: share of the weight that has passed on to span i or a later one.
    middles = [(start + former + size) / 2 for former, start in zip(starts[:-1], starts[1:], strict=True)]
    reached = [np.ones(length), *(_rise(length, middle) for middle in middles), np.zeros(length)]
    return [
        Span(start, start + size, reached[i] - reached[i + 1]) for i, start in enumerate(starts)
    ]  # telescopes: the weights add up to 1 exactly


def _rise(length: int, middle: float) -> np.ndarray:
    """A raised cosine from 0 to 1 over BLEND_PX around `middle`, in steps of 1 / WEIGHT_STEPS: [length]."""
    position = ((np.arange(length) + 0.5 - middle) / BLEND_PX + 0.5).clip(0, 1)
    return np.round((1 - np.cos(np.pi * position)) / 2 * WEIGHT_STEPS) / WEIGHT_STEPS


def tiles(size: tuple[int, int], tile_px: int, n_taps: int) -> list[Tile]:
    """The tiles of a photograph of `size` (H, W), row by row; one if the photograph is no larger than a tile."""
    vertical, horizontal = (spans(length, tile_px, n_taps) for length in size)
    return [Tile(r, c, down, right) for r, down in enumerate(vertical) for c, right in enumerate(horizontal)]


def stitched(size: tuple[int, int], parts: Iterable[tuple[Tile, dict[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    """Maps of the whole picture, float32 [..., H, W], from each tile's maps of the same names, float32 [..., h, w].

    A weighted mean of the tiles, which changes smoothly where they overlap. One tile at a time is held in memory.
    """
    whole: dict[str, np.ndarray] = {}
    for tile, maps in parts:
        weight = tile.weight
        for name, values in maps.items():
            target = whole.setdefault(name, np.zeros((*values.shape[:-2], *size), np.float32))
            tile.of(target)[...] += weight * values
    return whole


def largest_tile_px(memory_gib: Callable[[int], float], available_gib: float, smallest_px: int) -> int:
    """The largest side, a multiple of 64 px, of which a tile's solve takes at most `available_gib`.

    memory_gib: what a square tile of that side takes. At least `smallest_px`, whatever it takes.
    """
    side = smallest_px
    while memory_gib(side + 64) <= available_gib:
        side += 64
    return side

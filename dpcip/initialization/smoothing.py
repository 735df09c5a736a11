"""Semi-global matching (Hirschmueller 2008): a piecewise smooth map of labels from a noisy cost volume."""

from __future__ import annotations

import numpy as np

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


def semi_global_cost(cost: np.ndarray, values: np.ndarray, slope: float, cap: float) -> np.ndarray:
    """Cost of each label with the neighbours' taken into account: [P, H, W] -> [P, H, W].

    A jump from one pixel to the next costs `slope` times the difference of the labels' `values`, at most `cap`. The
    best chain of labels that ends in a pixel is found along eight directions, and the eight costs are added.
    """
    jump = np.minimum(slope * np.abs(values[:, None] - values), cap).astype(np.float32)
    cost = cost.astype(np.float32)
    total = -(len(DIRECTIONS) - 1) * cost  # each direction counts the pixel's own cost once
    for down, right in DIRECTIONS:
        if down == 0:  # along the rows: the same with the axes exchanged
            total += _along(cost.swapaxes(1, 2), jump, right, 0).swapaxes(1, 2)
        else:
            total += _along(cost, jump, down, right)
    return total


def _along(cost: np.ndarray, jump: np.ndarray, down: int, right: int) -> np.ndarray:
    """Path costs in one direction, row by row from the side where it begins."""
    result = cost.copy()
    rows = range(cost.shape[1])[::down]
    for former, row in zip(rows[:-1], rows[1:], strict=True):
        before = np.roll(result[:, former], right, axis=1)
        if right:  # nobody comes in from outside the picture: the border's own neighbour stands in
            edge = 0 if right > 0 else -1
            before[:, edge] = result[:, former, edge]
        reached = (before[None] + jump[:, :, None]).min(axis=1)
        result[:, row] += reached - before.min(axis=0)  # the same for all labels: keeps the sums small
    return result


def best_value(cost: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Value of the cheapest label, refined by a parabola through its neighbours: [P, H, W], [P] -> [H, W]."""
    best = cost.argmin(axis=0)
    inner = np.clip(best, 1, len(values) - 2)
    below, at, above = (np.take_along_axis(cost, inner[None] + step, axis=0)[0] for step in (-1, 0, 1))
    curvature = below - 2 * at + above
    shift = np.where(curvature > 0, (below - above) / np.maximum(2 * curvature, 1e-12), 0).clip(-0.5, 0.5)
    return np.interp(np.where(best == inner, inner + shift, best), np.arange(len(values)), values)

"""When a solve has done its work, judged without ground truth: by its loss and by the noise of the capture."""

from __future__ import annotations

import math

CONVERGED_GAIN = 0.05  # relative gain in the loss over the window below which a solve has converged


def converged(losses: list[float], window: int | None) -> bool:
    """Whether the smallest loss of the last `window` iterations is hardly below that of all before."""
    if window is None or len(losses) < 2 * window:
        return False
    return min(losses[-window:]) > (1 - CONVERGED_GAIN) * min(losses[:-window])


def explained(fit_db: float, noise: float) -> bool:
    """Whether the residual of a data fit (dB) is no more than the capture's noise (full scale 1).

    Beyond that the generator would draw the noise (Morozov's discrepancy principle).
    """
    return fit_db > -20 * math.log10(noise)

"""What the paper reports, and what our numbers make of it: tables with both, and a verdict computed from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

# arXiv 2404.03906v1. Depth is the metric of the released code (dpcip/metrics.py: depth_as_released).
TABLE_1 = {"mono depth network [4]": 0.1639, "DPCIP": 0.0003}  # "RMSE [m]", scene WuManchu
TABLE_2_RIVAL = {  # PSNR (dB), SSIM of the supervised network [7]
    "City": (24.01, 0.65),
    "Headbutt": (28.54, 0.92),
    "Sitting": (26.12, 0.81),
    "WallSlam": (26.94, 0.87),
    "WuManchu": (23.67, 0.71),
}
TABLE_2 = {  # PSNR (dB), SSIM of DPCIP
    "City": (29.73, 0.91),
    "Headbutt": (31.28, 0.94),
    "Sitting": (30.04, 0.91),
    "WallSlam": (31.45, 0.93),
    "WuManchu": (30.86, 0.93),
}
TABLE_4 = {  # depth, PSNR (dB), SSIM; 15 images of 3 scenes
    "dip": (0.005, 30.15, 0.916),
    "pip": (0.006, 26.34, 0.82),
    "siren": (0.19, 25.85, 0.81),
}
AS_RELEASED_CEILING_M = 0.082  # no estimate can print more: every depth lands between 0.818 and 0.900
OTHER_SCENES = "not comparable (other scenes)"  # ours are not TAUAgent's


@dataclass(frozen=True)
class Metric:
    """A column of the paper. tolerance: how far apart two values may lie and still tell the same story."""

    name: str
    key: str  # of a study's row
    larger_is_better: bool
    tolerance: float
    relative: bool = False  # tolerance as a factor: 2 is half to double


PSNR = Metric("PSNR (dB)", "psnr_db", larger_is_better=True, tolerance=1.0)
SSIM = Metric("SSIM (as released)", "ssim_as_released", larger_is_better=True, tolerance=0.03)
DEPTH = Metric("depth (as released, 'm')", "depth_as_released", larger_is_better=False, tolerance=2.0, relative=True)


def verdict(metric: Metric, paper: float | None, ours: float, same_scenes: bool) -> str:
    """In words, how our value stands to the paper's.

    Within the tolerance: reproduced; beyond it better or worse than the paper. On other scenes than the paper's it
    says where the value lies, no more. A depth above what the released metric can print has no counterpart.
    """
    if paper is None:
        return "no value in the paper"
    if metric is DEPTH and paper > AS_RELEASED_CEILING_M:
        return f"not comparable: the released metric cannot print more than {AS_RELEASED_CEILING_M}"
    if _within(metric, paper, ours):
        return "reproduced" if same_scenes else f"{OTHER_SCENES}: same size"
    better = (ours > paper) == metric.larger_is_better
    if same_scenes:
        return "better than the paper" if better else "not reproduced: worse than the paper"
    return f"{OTHER_SCENES}: {'better' if better else 'worse'}"


def _within(metric: Metric, paper: float, ours: float) -> bool:
    if metric.relative:
        return ours > 0 and abs(math.log(ours / paper)) <= math.log(metric.tolerance)
    return abs(ours - paper) <= metric.tolerance


# What stands beside every comparison: sound depth errors over all pixels and in range, SSIM, what the released code
# would print for both, cost.
ALSO = (
    *("depth_rmse_m", "depth_rmse_in_range_m", "psi_mae", "depth_as_released", "ssim", "ssim_as_released"),
    "seconds",
)


def comparison(
    what: str, method: str, metric: Metric, paper: float | None, rows: pd.DataFrame, same_scenes: bool
) -> dict[str, Any]:
    """A line of a table: the paper's value, ours over the study's `rows` (mean, spread), difference and verdict.

    spread: standard deviation over frames and seeds, NaN of a single solve. Then means of the sound metrics and the
    seconds a solve, and of each solve the first letters of its report's name.
    """
    values = rows[metric.key]
    ours = float(values.mean())
    return {
        "what": what,
        "method": method,
        "metric": metric.name,
        "paper": paper,
        "ours": ours,
        "spread": float(values.std()),
        "difference": None if paper is None else ours - paper,
        "tolerance": f"x{metric.tolerance:g}" if metric.relative else f"{metric.tolerance:g}",
        "verdict": verdict(metric, paper, ours, same_scenes),
        **{name: float(rows[name].mean()) for name in ALSO},
        "device": " ".join(sorted(set(rows["device"]))),
        "solves": " ".join(sorted({name[:8] for name in rows["solve"]})),
    }


def order_verdict(paper: dict[str, float], ours: dict[str, float], larger_is_better: bool) -> str:
    """Whether values stand in the paper's order, best first; names that the paper lacks are left out.

    Equal values (two solves that ended in the same start) are no order: they are joined by "=".
    """
    common = [name for name in paper if name in ours]

    def order(values: dict[str, float]) -> list[str]:
        return sorted(common, key=lambda name: values[name], reverse=larger_is_better)

    found, expected = order(ours), order(paper)
    tied = [math.isclose(ours[a], ours[b], rel_tol=1e-9) for a, b in pairwise(found)]
    said = found[0] + "".join((" = " if same else ", ") + name for same, name in zip(tied, found[1:], strict=True))
    if found == expected and not any(tied):
        return f"reproduced: {said}"
    if found[0] == expected[0] and not any(tied[:1]):
        return f"in part: {found[0]} is best, then {said.removeprefix(f'{found[0]}, ')}"
    return f"not reproduced: {said} instead of {', '.join(expected)}"


def beats_verdict(ours: pd.Series, rival: pd.Series, larger_is_better: bool) -> str:
    """Whether ours is better than a rival's, photograph by photograph; both have the photographs as index."""
    gains = (ours - rival if larger_is_better else rival - ours).dropna()
    if gains.empty:
        return "not comparable: no photograph that both were given"
    won = int((gains > 0).sum())
    said = "reproduced" if won == len(gains) else "in part" if 2 * won > len(gains) else "not reproduced"
    return f"{said}: better on {won} of {len(gains)} photographs"

"""What the paper reports, and what our numbers make of it: tables with both, and a verdict computed from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd

from dpcip.evaluation.scores import ALSO
from dpcip.evaluation.tables import energy_table
from dpcip.optics.psf import PsfBank

# arXiv 2404.03906v1. Depth is the metric of the released code (dpcip/evaluation/metrics.py: depth_as_released).
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
TABLE_3 = {  # energy (%) of the psi = -4 PSF inside a centred box: R, G, B
    31: (94.72, 96.69, 98.49),
    23: (87.31, 94.30, 97.32),
    19: (77.20, 89.10, 96.25),
    15: (56.24, 78.81, 94.28),
}
TABLE_5 = {  # PSNR (dB), SSIM; 13 images of 3 scenes, all at one depth beyond the range
    "SelfDeblur": (19.6, 0.67),
    "DPCIP": (26.38, 0.834),
}
ENERGY_TOLERANCE = 0.3  # percentage points
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


PSNR_ALIGNED = Metric("PSNR, aligned (dB)", "psnr_aligned_db", larger_is_better=True, tolerance=1.0)
SSIM_ALIGNED = Metric("SSIM, aligned (as released)", "ssim_as_released_aligned", larger_is_better=True, tolerance=0.03)
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


def order_verdict(
    paper: dict[str, float], ours: dict[str, float], larger_is_better: bool, tolerance: float = 0.0
) -> str:
    """Whether values stand in the paper's order, best first; names that the paper lacks are left out.

    Values that differ by `tolerance` or less are no order: neighbours are joined by "=". Two solves that ended in the
    same start are equal.
    """
    common = [name for name in paper if name in ours]
    if len(common) < 2:
        return f"not comparable: fewer than two of {', '.join(paper)}"

    def order(values: dict[str, float]) -> list[str]:
        return sorted(common, key=lambda name: values[name], reverse=larger_is_better)

    found, expected = order(ours), order(paper)
    tied = [math.isclose(ours[a], ours[b], rel_tol=1e-9, abs_tol=tolerance) for a, b in pairwise(found)]
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


def energy_comparison(bank: PsfBank) -> pd.DataFrame:
    """Table 3 beside the bank's own PSF of psi = -4: a row a box and channel, in percent."""
    ours = energy_table(bank, -4, tuple(TABLE_3))
    rows = [
        {"box": box, "channel": channel, "paper": paper, "ours": round(float(percent), 2)}
        for (box, values), of_box in zip(TABLE_3.items(), ours.to_numpy(), strict=True)
        for channel, paper, percent in zip(ours.columns, values, of_box, strict=True)
    ]
    table = pd.DataFrame(rows)
    table["difference"] = (table["ours"] - table["paper"]).round(2)
    near = table["difference"].abs() <= ENERGY_TOLERANCE
    table["verdict"] = near.map({True: "reproduced", False: "not reproduced"})
    return table


def margin_verdict(paper: float, ours: pd.Series, rival: pd.Series, tolerance: float) -> str:
    """Whether ours leads the rival by as much as in the paper; both have the photographs as index.

    The spread is the standard deviation over the photographs.
    """
    lead = (ours - rival).dropna()
    mean, spread = float(lead.mean()), float(lead.std())
    if mean <= 0:
        said = "refuted: no lead"
    elif abs(mean - paper) <= tolerance:
        said = "reproduced"
    else:
        said = "in part: smaller lead" if mean < paper else "in part: larger lead"
    within = f"spread {spread:.2g}" if len(lead) > 1 else "one photograph"
    return f"{said}, {mean:.3g} ({within}) instead of {paper:.3g}"


def peak_verdict(curve: pd.Series) -> str:
    """Whether a score over kernel sizes (the index, rising) is best in the middle, as in the paper's Figure 4."""
    best = curve.idxmax()
    if best in (curve.index[0], curve.index[-1]):
        return f"not reproduced: best at {best}, an end of the range"
    return f"reproduced: best at {best}, inside the range"

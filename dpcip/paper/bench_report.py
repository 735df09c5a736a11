"""What a bench found: time to the paper's quality, quality at equal time, curves, and a table."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

QUALITIES = {"psnr_db": "PSNR (dB)", "ssim": "SSIM", "depth_rmse_in_range_m": "depth RMSE in range (m)"}
ROW_KEYS = ("iteration", "steps", "fit_db", "psi_mae_in_range", *QUALITIES)  # of each row of a run
Run = dict[str, Any]
Speed = dict[str, dict[str, float]]

EXPLANATION = (
    "Medians over cases (scene and seed); ratios below 1 are in favour of ours. "
    "time_ratio_vs_released and time_ratio_vs_optimised: seconds until `fast` is first as good as `paper` at its last "
    "iteration in PSNR, SSIM and depth RMSE, divided by the seconds of all of the paper's iterations, as released "
    "(direct convolution, float32) or optimised (FFT, bfloat16 where deemed quicker). The moment of the first "
    "reach is picked with the ground truth in hand; a user cannot know it. The paper levels off earlier than its last "
    "iteration, so that its whole time is more than it needs: time_ratio_first_reach divides by the seconds until the "
    "optimised paper itself is first as good as at its last iteration, picked alike. "
    "time_ratio_whole_solve_vs_released and _vs_optimised: the whole solve of `fast` by the whole solve of the paper, "
    "whatever their quality. The paper here is 2500 of its 5001 iterations, its learning rate not yet halved, in "
    "bfloat16 where deemed quicker; as released it is credited with the same quality. "
    "Equal time: what `fast` has when the optimised paper's whole solve ends; `fast` is over long before, and a case "
    "in which it has no result by then counts as lost."
)

CASES_CAPTION = (
    "Each case: `fast` against `paper`, seconds and qualities of both ends; `equal_time`: `fast` within the seconds "
    "of `paper`. The goal is the paper's last row; when it is reached is picked with the ground truth in "
    "hand (inf: never). summary.json explains the rest."
)


def seconds_of(run: Run, row: dict[str, float], speed: Speed) -> float:
    """Time of a run up to one of its rows, were nothing else on the machine: before, steps, after.

    Steps, not iterations: those that a rollback unmade took their time, too.
    """
    cost = speed[run["variant"]]
    return cost["seconds_before"] + row["steps"] * cost["seconds_per_iteration"] + cost["seconds_after"]


def as_good(row: dict[str, float], goal: dict[str, float]) -> bool:
    """Whether a row is no worse than the goal in image (PSNR, SSIM) and depth (RMSE in range)."""
    image = row["psnr_db"] >= goal["psnr_db"] and row["ssim"] >= goal["ssim"]
    return image and row["depth_rmse_in_range_m"] <= goal["depth_rmse_in_range_m"]


def seconds_to(run: Run, goal: dict[str, float], speed: Speed) -> float:
    """Time until a run is as good as the goal for the first time; infinite if it never is."""
    return next((seconds_of(run, row, speed) for row in run["rows"] if as_good(row, goal)), float("inf"))


def pairs(runs: list[Run], variant: str) -> list[tuple[Run, Run]]:
    """Each run of the paper with the run of `variant` on the same scene and seed."""
    by_case = {(run["variant"], run["scene"], run["seed"]): run for run in runs}
    papers = [run for run in runs if run["variant"] == "paper"]
    others = [(paper, by_case.get((variant, paper["scene"], paper["seed"]))) for paper in papers]
    return [(paper, other) for paper, other in others if other]


def within(run: Run, seconds: float, speed: Speed) -> dict[str, float] | None:
    """The last row of a run that is reached in so many seconds."""
    rows = [row for row in run["rows"] if seconds_of(run, row, speed) <= seconds]
    return rows[-1] if rows else None


def cases(runs: list[Run], speed: Speed) -> list[dict[str, Any]]:
    """A row a case of `paper` and `fast`: seconds, ends, gains. An infinite number is a goal that was never reached."""
    rows: list[dict[str, Any]] = []
    for paper, fast in pairs(runs, "fast"):
        goal, end = paper["rows"][-1], fast["rows"][-1]
        row: dict[str, Any] = {
            "scene": paper["scene"],
            "seed": paper["seed"],
            "fast_seconds_to_goal": seconds_to(fast, goal, speed),
            "fast_seconds": seconds_of(fast, end, speed),
            "paper_seconds_to_goal": seconds_to(paper, goal, speed),
            "paper_seconds": seconds_of(paper, goal, speed),
            "released_seconds": seconds_of({"variant": "released"}, goal, speed),
            **{f"paper_{key}": goal[key] for key in QUALITIES},
            **{f"fast_{key}": end[key] for key in QUALITIES},
            "fast_psnr_gain_db": end["psnr_db"] - goal["psnr_db"],
            "fast_ssim_gain": end["ssim"] - goal["ssim"],
            "fast_depth_rmse_ratio": end["depth_rmse_in_range_m"] / goal["depth_rmse_in_range_m"],
        }
        rows.append(row | _equal_time(fast, paper, speed))
    return rows


def _equal_time(fast: Run, paper: Run, speed: Speed) -> dict[str, float]:
    goal = paper["rows"][-1]
    reached = within(fast, seconds_of(paper, goal, speed), speed)
    if not reached:  # lost, not left out
        return {"equal_time_psnr_gain_db": -float("inf"), "equal_time_depth_rmse_ratio": float("inf")}
    return {
        "equal_time_psnr_gain_db": reached["psnr_db"] - goal["psnr_db"],
        "equal_time_depth_rmse_ratio": reached["depth_rmse_in_range_m"] / goal["depth_rmse_in_range_m"],
    }


def summary(
    runs: list[Run], speed: Speed, machine: dict[str, Any], scaling: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The figures that the project is held to: medians over scenes and seeds. Ratios below 1 are in our favour."""
    rows = cases(runs, speed)

    def ratio(above: str, below: str) -> float | None:
        return _median([row[above] / row[below] for row in rows])

    gains = [row["equal_time_psnr_gain_db"] for row in rows]
    worse = [row["equal_time_depth_rmse_ratio"] for row in rows]
    result: dict[str, Any] = {
        "explanation": EXPLANATION,
        "time_ratio_vs_released": ratio("fast_seconds_to_goal", "released_seconds"),
        "time_ratio_vs_optimised": ratio("fast_seconds_to_goal", "paper_seconds"),
        "time_ratio_first_reach": ratio("fast_seconds_to_goal", "paper_seconds_to_goal"),
        "time_ratio_whole_solve_vs_released": ratio("fast_seconds", "released_seconds"),
        "time_ratio_whole_solve_vs_optimised": ratio("fast_seconds", "paper_seconds"),
        "psnr_gain_equal_time_db": _median(gains),
        "depth_rmse_ratio_equal_time": _median(worse),
        "cases": rows,
        "cases_equal_time_lost": gains.count(-float("inf")),
        "cases_as_good_as_paper": sum(math.isfinite(row["fast_seconds_to_goal"]) for row in rows),
        "diverged": [f"{run['variant']} {run['scene']} {run['seed']}" for run in runs if run.get("diverged")],
        "paper_iterations": next((run["rows"][-1]["iteration"] for run in runs if run["variant"] == "paper"), None),
        "speed": speed,
        "machine": machine,
    }
    if scaling:
        result |= {"scaling": scaling, **_growth(scaling)}
    return result


def _growth(scaling: dict[str, Any]) -> dict[str, float | None]:
    """The figures of the scaling; None where a case failed."""
    large, middle, small, wide = (scaling[name] for name in ("512x1024", "512x512", "256x256", "141 taps"))

    def times_as_long(case: dict[str, float] | None) -> float | None:
        return case["seconds_per_iteration"] / small["seconds_per_iteration"] if case and small else None

    return {
        "peak_memory_gib_512x1024": large and large["peak_gib"],
        "time_141_taps_over_71": times_as_long(wide),
        "time_512x512_over_256x256": times_as_long(middle),  # pixels x log(pixels): 4.5
        "time_512x1024_over_256x256": times_as_long(large),  # 9.5
    }


def _median(values: list[float]) -> float | None:
    """None where there is nothing, or where the median case never got there."""
    middle = statistics.median(values) if values else float("inf")
    return middle if math.isfinite(middle) else None


def table(runs: list[Run], speed: Speed) -> pd.DataFrame:
    """A row a variant: medians of iterations, seconds and final scores; the cases that became as good as the paper."""
    rows = []
    for variant in dict.fromkeys(run["variant"] for run in runs):
        mine = [run for run in runs if run["variant"] == variant]
        ends = [run["rows"][-1] for run in mine]
        goals = [paper["rows"][-1] for paper, _ in pairs(runs, variant)]
        reached = [seconds_to(run, goal, speed) for (_, run), goal in zip(pairs(runs, variant), goals, strict=True)]
        rows.append(
            {
                "variant": variant,
                "cases": len(ends),
                "iterations": round(statistics.median(row["iteration"] for row in ends)),
                "seconds": round(statistics.median(seconds_of(run, run["rows"][-1], speed) for run in mine)),
                **{title: statistics.median(row[key] for row in ends) for key, title in QUALITIES.items()},
                "psi MAE in range (rad)": statistics.median(row["psi_mae_in_range"] for row in ends),
                "data fit (dB)": statistics.median(row["fit_db"] for row in ends),
                "as good as paper": f"{np.isfinite(reached).sum()} of {len(reached)}",
            }
        )
    return pd.DataFrame(rows)


def curves(runs: list[Run], speed: Speed) -> Figure:
    """Quality against time (logarithmic), a line a run, a colour a variant."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    axes = figure.subplots(1, len(QUALITIES))
    variants = list(dict.fromkeys(run["variant"] for run in runs))
    for ax, (key, title) in zip(axes, QUALITIES.items(), strict=True):
        for run in runs:
            seconds = [seconds_of(run, row, speed) for row in run["rows"]]
            colour = f"C{variants.index(run['variant'])}"
            values = [row[key] for row in run["rows"]]
            ax.plot(seconds, values, color=colour, lw=1, alpha=0.8)
            ax.plot(seconds[-1], values[-1], "o", color=colour, ms=4)
        ax.set(xscale="log", xlabel="seconds", title=title)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())  # labels between the decades would overlap
    for number, variant in enumerate(variants):
        axes[0].plot([], [], color=f"C{number}", label=variant)
    axes[0].legend(fontsize=8)
    return figure

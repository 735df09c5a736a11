"""What a bench found: time to the paper's quality, quality at equal time, curves, and a table."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

QUALITIES = {"psnr_db": "PSNR (dB)", "ssim": "SSIM", "depth_rmse_in_range_m": "depth RMSE in range (m)"}
Run = dict[str, Any]
Speed = dict[str, dict[str, float]]


def seconds_of(run: Run, row: dict[str, float], speed: Speed) -> float:
    """Time of a run up to one of its rows, were nothing else on the machine: before, iterations, after."""
    cost = speed[run["variant"]]
    return cost["seconds_before"] + row["iteration"] * cost["seconds_per_iteration"] + cost["seconds_after"]


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


def summary(runs: list[Run], speed: Speed, machine: dict[str, Any], scaling: Speed | None = None) -> dict[str, Any]:
    """The figures that the project is held to: medians over scenes and seeds. Ratios below 1 are in our favour."""
    matched = pairs(runs, "fast")
    to_paper = [seconds_to(fast, paper["rows"][-1], speed) for paper, fast in matched]
    last = [paper["rows"][-1] for paper, _ in matched]
    released = [row["iteration"] * speed["released"]["seconds_per_iteration"] for row in last]
    optimised = [row["iteration"] * speed["paper"]["seconds_per_iteration"] for row in last]
    gains, ratios = [], []
    for paper, thorough in pairs(runs, "thorough"):
        goal = paper["rows"][-1]
        reached = within(thorough, seconds_of(paper, goal, speed), speed)
        if reached:
            gains.append(reached["psnr_db"] - goal["psnr_db"])
            ratios.append(reached["depth_rmse_in_range_m"] / goal["depth_rmse_in_range_m"])
    result: dict[str, Any] = {
        "explanation": "time ratios: seconds that `fast` needs to be as good as `paper` at its last iteration in PSNR, "
        "SSIM and depth RMSE, divided by the paper's seconds as released (direct convolution, float32) or optimised "
        "(FFT, bfloat16) for all its iterations. Equal time: `thorough` within the optimised "
        "paper's seconds. Medians over cases.",
        "time_ratio_vs_released": _median([a / b for a, b in zip(to_paper, released, strict=True)]),
        "time_ratio_vs_optimised": _median([a / b for a, b in zip(to_paper, optimised, strict=True)]),
        "psnr_gain_equal_time_db": _median(gains),
        "depth_rmse_ratio_equal_time": _median(ratios),
        "cases": [f"{paper['scene']} seed {paper['seed']}" for paper, _ in matched],
        "cases_equal_time": len(gains),
        "cases_as_good_as_paper": int(np.isfinite(to_paper).sum()),
        "paper_iterations": last[0]["iteration"] if last else None,
        "speed": speed,
        "machine": machine,
    }
    if scaling:
        result["scaling"] = scaling
        result["peak_memory_gib_512x1024"] = scaling["512x1024"]["peak_gib"]
        result["time_141_taps_over_71"] = (
            scaling["141 taps"]["seconds_per_iteration"] / scaling["256x256"]["seconds_per_iteration"]
        )
    return result


def _median(values: list[float]) -> float | None:
    """None where there is nothing, or where the median case never got there."""
    middle = statistics.median(values) if values else float("inf")
    return middle if np.isfinite(middle) else None


def table(runs: list[Run], speed: Speed) -> pd.DataFrame:
    """A row a variant: medians of the final scores, seconds, and the cases that became as good as the paper."""
    rows = []
    for variant in dict.fromkeys(run["variant"] for run in runs):
        ends = [run["rows"][-1] for run in runs if run["variant"] == variant]
        goals = [paper["rows"][-1] for paper, _ in pairs(runs, variant)]
        reached = [seconds_to(run, goal, speed) for (_, run), goal in zip(pairs(runs, variant), goals, strict=True)]
        mine = next(run for run in runs if run["variant"] == variant)
        rows.append(
            {
                "variant": variant,
                "cases": len(ends),
                "iterations": ends[0]["iteration"],
                "seconds": round(seconds_of(mine, mine["rows"][-1], speed)),
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
    for number, variant in enumerate(variants):
        axes[0].plot([], [], color=f"C{number}", label=variant)
    axes[0].legend(fontsize=8)
    return figure

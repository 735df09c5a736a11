"""The paper's finding on noise put to the test: noise x generator x total variation, with nothing tuned on truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from dpcip.camera.noise import estimate_noise
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.photographs import Photograph
from dpcip.data.scenes import Scene
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import PRESETS, Settings, with_generator, with_iterations
from dpcip.solver.solution import Solution
from dpcip.study.scoring import leak_row, residual, solved

TV_WEIGHTS = (1.0, 0.3, 0.1)  # of psi's total variation, tried from the largest
SLACK = 1.05  # a residual up to so many times the allowed one still explains the capture
NOISY = 0.01  # of full scale: the finding is about levels from here on
WINDOW = 40  # iterations over which a solve without a start must gain, or it cools down and stops
COOLDOWN = 30


@dataclass(frozen=True)
class Recipe:
    """A column of the study: generator, preset, and whether psi's total variation is weighed."""

    name: str
    generator: str
    preset: str = "paper-short"
    smooth: bool = False

    def settings(self, iterations: int, noise: float, seed: int) -> Settings:
        """Ends when the residual is noise (Morozov) or the loss has levelled off, at the latest at `iterations`."""
        settings = with_iterations(with_generator(PRESETS[self.preset], self.generator), iterations)
        if self.preset == "paper-short":
            l2 = round(iterations * PRESETS[self.preset].l2_iterations / PRESETS[self.preset].iterations)
            settings = replace(
                settings,
                l2_iterations=l2,
                convergence_window=WINDOW,
                cooldown_iterations=min(COOLDOWN, iterations // 2),
            )
        return replace(settings, noise=noise, seed=seed)


RECIPES = (
    Recipe("DIP", "dip"),
    Recipe("DIP + TV", "dip", smooth=True),
    Recipe("PIP", "pip"),
    Recipe("PIP + TV", "pip", smooth=True),
    Recipe("fast (ours)", "dip", "fast"),
)


def largest_weight(
    solved: Callable[[float], Solution], noise: float, weights: Sequence[float] = TV_WEIGHTS
) -> tuple[float, Solution]:
    """The largest weight that still explains the capture, and its solve: no truth enters.

    Explained is a residual within 1.05 times the noise, or times what the same recipe reaches without any weight:
    few iterations leave more than the noise. If none does, the smallest weight is taken.
    """
    allowed = SLACK * max(noise, residual(solved(0.0)))
    for weight in sorted(weights, reverse=True):
        solution = solved(weight)
        if residual(solution) <= allowed:
            break
    return weight, solution


def noise_study(
    scene: Scene,
    fine: PsfBank,
    bank: PsfBank,
    levels: Sequence[float],
    iterations: int,
    fast_iterations: int,
    seed: int = 0,
    recipes: Sequence[Recipe] = RECIPES,
) -> tuple[pd.DataFrame, dict[tuple[float, str], tuple[Photograph, Solution]]]:
    """A row for each noise level and recipe, and each one's photograph and solve.

    levels: standard deviation of Gaussian noise, full scale 1, before rounding to 8 bits. The solver is told the noise
    that `estimate_noise` finds in the capture.
    """
    light = simulate(scene.sharp, scene.psi(bank.lens), fine)
    rows: list[dict[str, Any]] = []
    solves = {}
    for level in levels:
        photo = Photograph(scene, Sensor(read_noise=level).expose(light, seed), bank)
        noise = estimate_noise(photo.capture)
        for recipe in recipes:
            length = fast_iterations if recipe.preset == "fast" else iterations
            settings = recipe.settings(length, noise, seed)

            def smoothed(weight: float, photo: Photograph = photo, settings: Settings = settings) -> Solution:
                return solved(photo, replace(settings, psi_tv=weight))

            weight, solution = largest_weight(smoothed, noise) if recipe.smooth else (0.0, smoothed(0.0))
            rows.append(
                {
                    "noise_percent": 100 * level,
                    "recipe": recipe.name,
                    "tv_weight": weight,
                    "noise_estimated_percent": 100 * noise,
                    "residual_percent": 100 * residual(solution),
                    **leak_row(photo, solution),
                    "stopped_by": solution.report["stopped_by"],
                }
            )
            solves[level, recipe.name] = photo, solution
    return pd.DataFrame(rows), solves


CLAIMS = (  # what is claimed, of which column, the recipe said to be better (smaller), the other
    ("DIP leaks more texture into depth than PIP with TV", "leak", "PIP + TV", "DIP"),
    ("the same, in rad a pixel", "leak_rad_per_px", "PIP + TV", "DIP"),
    ("TV lessens DIP's leak", "leak_rad_per_px", "DIP + TV", "DIP"),
    ("PIP with TV has the better depth than DIP", "depth_rmse_m", "PIP + TV", "DIP"),
    ("PIP with TV has the better depth than DIP with TV", "depth_rmse_m", "PIP + TV", "DIP + TV"),
)


def finding(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's finding (section 4.2) as single claims, each with a verdict over the noise levels from 1 % on.

    A leak below zero is none: there the depth varies least where there is texture, and what varies is noise.
    """
    noisy = rows[rows["noise_percent"] >= 100 * NOISY]
    lines = []
    for claim, key, better, other in CLAIMS:
        values = noisy.pivot(index="noise_percent", columns="recipe", values=key)
        values = values.clip(lower=0)  # errors are positive, leaks need not be
        held = values[better] < values[other]
        said = "reproduced" if held.all() else "in part" if held.any() else "not reproduced"
        lines.append(
            {
                "claim": claim,
                "verdict": f"{said}: at {held.sum()} of {len(held)} noise levels",
                "measure": key,
                "better": better,
                "mean": values[better].mean(),
                "other": other,
                "mean of the other": values[other].mean(),
            }
        )
    return pd.DataFrame(lines)

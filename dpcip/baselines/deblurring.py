"""Table 5: what every method makes of the same photographs of scenes beyond the range, as rows that can be compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from dpcip.baselines.ceilings import ceilings
from dpcip.evaluation.alignment import aligned_metrics
from dpcip.evaluation.metrics import image_metrics
from dpcip.evaluation.scores import ALSO
from dpcip.study.cases import Case, photograph, solution_of


def with_alignment(cases: list[Case], rows: pd.DataFrame) -> pd.DataFrame:
    """A study's rows of the solver with the scores after alignment, and what psi it found.

    psi_mean, psi_std: mean and standard deviation over the pixels (rad); psi_distance: mean distance from the range's
    least psi, where everything beyond the range is clipped to.
    """
    added: list[dict[str, float]] = []
    for case, (_, row) in zip(cases, rows.iterrows(), strict=True):
        found, photo = solution_of(row), photograph(case)
        added.append(
            aligned_metrics(found.sharp, photo.scene.sharp)
            | {"psi_mean": float(found.psi.mean()), "psi_std": float(found.psi.std())}
            | {"psi_distance": float(np.abs(found.psi - photo.bank.psi_range[0]).mean())}
        )
    return pd.concat([rows, pd.DataFrame(added, index=rows.index)], axis=1)


def ceiling_rows(cases: list[Case]) -> dict[str, pd.DataFrame]:
    """Scores of the methods that are told the true PSF (ceilings.py), and of the capture as it is, by method."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        photo = photograph(case)
        for method, image in {"capture as it is": photo.capture, **ceilings(photo)}.items():
            scores = image_metrics(image, photo.scene.sharp) | aligned_metrics(image, photo.scene.sharp)
            row = {"place": case.place(), "frame": case.frame, **dict.fromkeys(ALSO, math.nan), **scores}
            rows.setdefault(method, []).append(row | {"device": "cpu", "solve": ""})
    return {method: pd.DataFrame(part) for method, part in rows.items()}

"""A trained rival on the photographs of a study: its estimate, and a row of scores beside the solver's."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpcip.baselines.rival import Rival
from dpcip.baselines.weights import read_card, read_weights
from dpcip.evaluation.metrics import depth_metrics, image_metrics
from dpcip.evaluation.scores import ALSO
from dpcip.study.cases import Case, photograph
from dpcip.utils.errors import InputError

LOOKS = 3  # the first estimate of a size is slower; the quickest is the network's time


def read_rivals(folder: Path) -> dict[str, tuple[Rival, dict[str, Any]]]:
    """The trained networks of a folder with their cards, by name.

    Raises InputError if there are none, or weights without a card, a card without weights.
    """
    names = sorted({path.stem for ending in ("json", "safetensors") for path in folder.glob(f"*.{ending}")})
    if not names:
        raise InputError(f"{folder}: holds no trained network; train it with `dvc repro {folder.name}`")
    return {name: (read_weights(folder / name), read_card(folder / name)) for name in names}


def rival_row(case: Case, network: Rival, card: dict[str, Any]) -> dict[str, Any]:
    """Scores of a network on a case's photograph, as in a study's row; NaN where it says nothing of the matter.

    seconds: of one estimate. solve: checksum of the weights (the card has it, too).
    """
    photo = photograph(case)
    seconds = []
    for _ in range(LOOKS):
        begun = time.perf_counter()
        found = network.estimate(photo.capture)
        seconds.append(time.perf_counter() - begun)
    if network.estimates == "sharp":
        scores = image_metrics(found, photo.scene.sharp)
    else:
        scores = depth_metrics(found, photo.psi_true, photo.bank.lens, photo.bank.psi_range, photo.scene.valid)
    capture = image_metrics(photo.capture, photo.scene.sharp)
    return {
        "place": case.place(),
        **asdict(case),
        **dict.fromkeys(ALSO, np.nan),
        **scores,
        **{f"capture_{name}": value for name, value in capture.items()},
        "seconds": min(seconds),
        "device": "cpu",
        "solve": card["sha256"],
    }


def rival_rows(cases: list[Case], rivals: dict[str, tuple[Rival, dict[str, Any]]]) -> dict[str, pd.DataFrame]:
    """Rows of every rival on the cases of scenes that it did not see, by what it learned from.

    Networks that left out one scene count as one rival, "other scenes": each case goes to the one that left out its
    scene. A case whose scene no such network left out has no row.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        for name, (network, card) in rivals.items():
            if card["left_out"] in (None, case.place()):
                kind = "other scenes" if card["left_out"] else name
                found.setdefault(kind, []).append(rival_row(case, network, card))
    return {kind: pd.DataFrame(rows) for kind, rows in found.items()}

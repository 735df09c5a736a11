"""A bank in, weights out: pictures, training, and how the network fares beside the zero-shot start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from dpcip.initialization.initialize import depth_prior
from dpcip.learnt.depth import LearntDepth
from dpcip.learnt.network import DepthNet
from dpcip.learnt.pictures import KINDS, Pictures
from dpcip.learnt.samples import LearntSample, Photographer, take_all
from dpcip.learnt.training import Recipe, train
from dpcip.optics.psf import PsfBank
from dpcip.utils.keys import arithmetic, key
from dpcip.utils.machine import describe, pick_device

N_HELD_OUT = 48  # pictures to judge on, with textures that training does not see
# Version of what a training computes for a bank: raise it when a change moves the numbers of tests/test_golden.py. It
# stands for the pictures, what is read of them, the network, its losses and steps.
ALGORITHM = 1
PAYS = 0.9  # of the zero-shot start's error: a network that errs more on pictures it did not see does not pay


def make(
    bank: PsfBank, recipe: Recipe, work: Path, progress: bool = True, pictures_seed: int | None = None
) -> tuple[LearntDepth, pd.DataFrame]:
    """Makes pictures and trains, or goes on where that was interrupted.

    work: a folder for pictures and checkpoint, some 0.7 MB a picture; it may be deleted afterwards. pictures_seed: of
    the pictures; default: the recipe's, which is that of network and batches. -> the network, with its card, and the
    table of `judged`.
    """
    known = {"algorithm": ALGORITHM, "psf": bank.psf.float(), "psi": bank.psi, "latent": bank.latent}
    home = work / key(**known)[:20]
    photographer, seed = Photographer(bank), recipe.seed if pictures_seed is None else pictures_seed
    with _bar(progress, N_HELD_OUT + recipe.n_pictures, "pictures") as bar:
        tell = _teller(bar)
        held = take_all(photographer, Pictures(seed, held_out=True), N_HELD_OUT, home / f"held_{seed}", tell)
        samples = take_all(photographer, Pictures(seed), recipe.n_pictures, home / f"pictures_{seed}", tell)
    where = key(**known, recipe=recipe, pictures_seed=seed, arithmetic=arithmetic(pick_device()))
    with _bar(progress, recipe.steps, "training") as bar:
        network, seconds = train(bank, samples, recipe, home / f"{where[:20]}.pt", _teller(bar))
    table = judged(network, bank, held)
    card = {
        "algorithm": ALGORITHM,
        "bank": bank.source,
        "pictures": recipe.n_pictures,
        "steps": recipe.steps,
        "seed": recipe.seed,
        "pictures_seed": seed,
        "training_seconds": round(seconds),
        "machine": describe(pick_device()),
        "psi_mae_rad": dict(zip(table["pictures"], table["learnt"].round(4), strict=True)),
        "zero_shot_psi_mae_rad": dict(zip(table["pictures"], table["zero-shot"].round(4), strict=True)),
    }
    return LearntDepth.of(network, bank, card), table


def _bar(progress: bool, total: int, words: str) -> tqdm:
    return tqdm(total=total, desc=words, disable=not progress, unit="step" if words == "training" else "picture")


def _teller(bar: tqdm) -> Callable[[int], None]:
    def tell(done: int) -> None:
        bar.update(1)

    return tell


def judged(network: DepthNet, bank: PsfBank, held: list[LearntSample]) -> pd.DataFrame:
    """Mean absolute error of psi (rad) on pictures that training did not see, by kind of scene.

    Columns: pictures; zero-shot, depth by likelihood alone; learnt; within, the share of pixels whose error is below
    the network's standard deviation.
    """
    rows = []
    whole = LearntDepth.of(network, bank, {})
    for sample in held:
        capture = sample.capture.float()
        prior, zero = whole.prior(capture, bank, sample.noise), depth_prior(capture, bank, sample.noise)
        error = (prior.psi - sample.psi).abs()
        rows.append(
            {
                "pictures": sample.kind,
                "zero-shot": float((zero.psi - sample.psi).abs().mean()),
                "learnt": float(error.mean()),
                "within": float((error < prior.psi_std).float().mean()),
            }
        )
    table = pd.DataFrame(rows)
    means = table.groupby("pictures").mean().loc[[kind for kind in KINDS if kind in set(table["pictures"])]]
    overall = pd.DataFrame([table.drop(columns="pictures").mean()], index=["all"])
    return pd.concat([means, overall]).rename_axis("pictures").reset_index()


def pays(table: pd.DataFrame) -> bool:
    """Whether the network errs clearly less than the zero-shot start on the pictures that it did not see."""
    last = table.set_index("pictures").loc["all"]
    return bool(np.isfinite(last["learnt"]) and last["learnt"] <= PAYS * last["zero-shot"])

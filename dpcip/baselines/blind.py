"""SelfDeblur on the photographs of a study: channel by channel, kept by content, resumed, and scored."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch

from dpcip.baselines.selfdeblur import ALGORITHM, Deblurring, Recipe
from dpcip.data.images import check_size
from dpcip.evaluation.alignment import aligned_metrics, kernel_similarity
from dpcip.evaluation.metrics import image_metrics
from dpcip.evaluation.scores import ALSO
from dpcip.solver.cache import WORK, home_of
from dpcip.study.cases import Case, photograph
from dpcip.utils.checkpoints import read_checkpoint, resuming, save_checkpoint
from dpcip.utils.errors import InputError
from dpcip.utils.files import claimed, replacing, write_json
from dpcip.utils.keys import arithmetic, key
from dpcip.utils.machine import describe, pick_device, return_freed_memory

CHECKPOINT_SECONDS = 20  # at most so much work is lost to a kill
ARRAYS = ("sharp", "kernels")
CHANNELS = "RGB"


@dataclass(frozen=True)
class Deblurred:
    """What SelfDeblur found: image float32 [C, H, W] in [0, 1], a kernel a channel [C, K, K], and the report."""

    sharp: np.ndarray
    kernels: np.ndarray
    report: dict[str, Any]


@dataclass(frozen=True)
class BlindCase:
    """A photograph of a study (its case's own recipe does not count) and how it is deblurred."""

    of: Case
    kernel_px: int = 19
    iterations: int = 5000
    seed: int = 0
    channels: str = CHANNELS  # those that are deblurred and scored, in this order

    def settings(self) -> Recipe:
        """The recipe of each channel. Raises InputError for an unusable kernel size."""
        return Recipe(self.kernel_px, self.iterations, self.seed)

    def check(self) -> None:
        """Raises InputError if recipe, camera or frame are not to be had."""
        self.settings()
        self.of.check()

    def place(self) -> str:
        """The scene that the frame belongs to."""
        return self.of.place()


def fingerprint(blurred: np.ndarray, recipe: Recipe) -> str:
    """Hash of everything that determines the numbers: photograph, recipe, arithmetic, version of the algorithm."""
    return key(algorithm=ALGORITHM, arithmetic=arithmetic(pick_device()), blurred=blurred, selfdeblur=recipe)


def deblur_cached(
    blurred: np.ndarray, recipe: Recipe, work: Path = WORK, on_step: Callable[[int], None] = lambda step: None
) -> Deblurred:
    """Each channel of a photograph [C, H, W] in [0, 1] deblurred on its own, or what was found before.

    Kept under its `fingerprint`; a run that was killed goes on from its checkpoint and ends with
    the same bits. All channels take a step in turn; on_step: told the number of steps of each. Two processes that ask
    for the same: raises InputError in the second one.
    """
    identity = fingerprint(blurred, recipe)
    home = home_of(identity, work)
    kept = _kept(home)
    if kept:
        return kept
    check_size(blurred.shape[1:], "the blurred photograph")
    with claimed(home):
        found = _deblur(blurred, recipe, identity, home / "checkpoint.pt", on_step)
        with replacing(home / "deblurred.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **{name: getattr(found, name) for name in ARRAYS})
        write_json(home / "report.json", found.report)
        (home / "checkpoint.pt").unlink(missing_ok=True)
    return_freed_memory()
    return found


def _kept(home: Path) -> Deblurred | None:
    with suppress(OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile):
        report = {**json.loads((home / "report.json").read_text(encoding="utf-8"))}
        with (home / "deblurred.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return Deblurred(report=report, **{name: archive[name] for name in ARRAYS})
    return None


def _deblur(
    blurred: np.ndarray, recipe: Recipe, identity: str, checkpoint: Path, on_step: Callable[[int], None]
) -> Deblurred:
    device = pick_device()
    channels = [Deblurring(torch.as_tensor(b, dtype=torch.float32), recipe, device) for b in blurred]
    seconds = _resume(channels, checkpoint)
    begun = saved = time.monotonic()
    while not channels[-1].done:
        for channel in channels:
            channel.step()
        on_step(channels[-1].iteration)
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            state = {"seconds": seconds + time.monotonic() - begun, "channels": [c.state_dict() for c in channels]}
            save_checkpoint(checkpoint, state)
            saved = time.monotonic()
    report = {
        "method": "SelfDeblur",
        "settings": asdict(recipe),
        "fingerprint": identity,
        "image_size": [blurred.shape[2], blurred.shape[1]],
        "machine": describe(device),
        "precision": "bfloat16" if channels[0].bfloat16 else "float32",
        "seconds": round(seconds + time.monotonic() - begun, 2),
    }
    sharp, kernels = (torch.stack([getattr(c, name) for c in channels]) for name in ("sharp", "kernel"))
    return Deblurred(sharp.cpu().numpy(), kernels.cpu().numpy(), report)


def _resume(channels: list[Deblurring], checkpoint: Path) -> float:
    """Loads the checkpoint, if there is one, into the channels; returns the seconds already spent."""
    state = read_checkpoint(checkpoint, channels[0].device)
    if state is None:
        return 0.0
    with resuming(checkpoint):
        for channel, kept in zip(channels, state["channels"], strict=True):
            channel.load_state_dict(kept)
        return float(state["seconds"])


def deblurred_of(row: Mapping[str, Any] | pd.Series, work: Path = WORK) -> Deblurred:
    """The solve behind a row. Raises InputError if it is no longer kept."""
    home = home_of(row["solve"], work)
    found = _kept(home)
    if found is None:
        raise InputError(f"{home}: the solve is not there or damaged; run the study again")
    return found


def blind_case(case: BlindCase, work: Path = WORK, on_step: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Deblurs a case, or reads it back, and scores it: its row, for `run_study`.

    Scores raw and aligned (evaluation/alignment.py), NaN for depths, of which it says nothing; kernel_similarity: mean
    over the channels, with the true PSFs of a scene beyond the range (those of the least psi).
    """
    photo = photograph(case.of)
    which = [CHANNELS.index(name) for name in case.channels]
    found = deblur_cached(photo.capture[which], case.settings(), work, on_step or (lambda step: None))
    sharp, true_kernels = photo.scene.sharp[which], photo.bank.psf[0, which].numpy()
    similarity = [kernel_similarity(k, true) for k, true in zip(found.kernels, true_kernels, strict=True)]
    machine = found.report["machine"]
    return {
        "place": case.place(),
        **{name: getattr(case.of, name) for name in ("frame", "dataset", "factor", "camera", "distance", "side_px")},
        "kernel_px": case.kernel_px,
        "seed": case.seed,
        "width": photo.capture.shape[2],
        "height": photo.capture.shape[1],
        "channels": case.channels,
        **dict.fromkeys(ALSO, math.nan),
        **image_metrics(found.sharp, sharp),
        **aligned_metrics(found.sharp, sharp),
        **{f"capture_{name}": value for name, value in image_metrics(photo.capture[which], sharp).items()},
        "kernel_similarity": float(np.mean(similarity)),
        "iterations": case.iterations,
        "seconds": found.report["seconds"],
        "device": machine["device"],
        "threads": machine["threads"],
        "solve": home_of(found.report["fingerprint"], work).name,
    }

"""The paper's own proposal: what the solver finds on photographs without truth serves as truth for a fast network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dpcip.learnt.pictures import SIDE_PX
from dpcip.learnt.samples import LearntSample
from dpcip.learnt.volumes import VolumeTables, network_planes
from dpcip.psf import PsfBank

SURE_SHARE = 0.7  # of a photograph's pixels, the surest, that serve as truth
KIND = "solved"


@dataclass(frozen=True)
class Solved:
    """A photograph and what a solve found. capture: [C, H, W] in [0, 1]; psi, psi_std: [H, W], rad; noise: of it."""

    capture: np.ndarray
    psi: np.ndarray
    psi_std: np.ndarray
    noise: float


def samples_of(solved: Solved, bank: PsfBank) -> list[LearntSample]:
    """The photograph in pieces of the size of made-up pictures; psi is NaN where the solve was among the least sure."""
    tables = VolumeTables(network_planes(bank), solved.noise)
    unsure = solved.psi_std > np.quantile(solved.psi_std, SURE_SHARE)
    truth = torch.from_numpy(np.where(unsure, np.nan, solved.psi).astype(np.float32))
    capture = torch.from_numpy(solved.capture).float()
    pieces = []
    for top in _begins(capture.shape[-2]):
        for left in _begins(capture.shape[-1]):
            window = (slice(top, top + SIDE_PX), slice(left, left + SIDE_PX))
            part = capture[:, *window].contiguous()
            pieces.append(LearntSample(tables.read(part), part.half(), truth[window], solved.noise, KIND))
    return pieces


def _begins(size: int) -> list[int]:
    """Where pieces begin, so that they cover the side with as little overlap as possible."""
    count = -(-size // SIDE_PX)
    return [round(begin) for begin in np.linspace(0, size - SIDE_PX, count)]


def mixed(made_up: list[LearntSample], solved: list[LearntSample], share: float) -> list[LearntSample]:
    """Both kinds, the solved ones repeated so that they are `share` of what is drawn."""
    wanted = share / (1 - share) * len(made_up)
    return made_up + solved * max(1, round(wanted / max(1, len(solved))))

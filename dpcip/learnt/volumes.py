"""What the network reads of a capture: how likely each plane is in each window, under several priors.

How alike a scene's colours are decides half of the likelihood's errors, and no one value fits every photograph: the
network sees the likelihood under several and judges by their shapes. Small windows see less of the other side of an
edge, large ones are surer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dpcip.initialization.likelihood import STRIDE_PX, WINDOW_PX, LikelihoodTables, half_planes
from dpcip.optics.psf import PsfBank

MOST_PLANES = 32  # that the network tells apart; larger banks are thinned
PRIORS = (  # side of the window (px) and correlation of the channels
    (WINDOW_PX, 0.5),
    (WINDOW_PX, 0.85),
    (WINDOW_PX, 0.98),
    (WINDOW_PX, 0.995),
    (16, 0.98),
)
PRIORS_OF_GREY = ((WINDOW_PX, 1.0), (16, 1.0))  # of one latent channel, whose views are fully correlated
HIGHEST_COST = 4e4  # float16 ends at 65504


def network_planes(bank: PsfBank) -> PsfBank:
    """The planes that the network tells apart: those of the start, or a large bank's own, thinned."""
    if 2 * len(bank.psi) - 1 <= MOST_PLANES:
        return half_planes(bank)
    keep = np.linspace(0, len(bank.psi) - 1, min(MOST_PLANES, len(bank.psi))).round().astype(int)
    return replace(bank, psf=bank.psf[torch.from_numpy(keep)], psi=bank.psi[keep])


@dataclass(frozen=True)
class Volumes:
    """What the network reads.

    costs: float16 [V, P, h, w], negative log-likelihood of each plane above the window's least, for each prior.
    evidence: float16 [V, h, w], the window's least cost under each prior above the least of those with its window.
    Windows stand around every fourth pixel: h = ceil(H / 4).
    """

    costs: Tensor
    evidence: Tensor


class VolumeTables:
    """The likelihood's tables of a bank under every prior, at one noise: made once, good for any number of captures."""

    def __init__(self, planes: PsfBank, noise: float) -> None:
        priors = priors_of(planes)
        self.windows = [window for window, _ in priors]
        self.tables = [
            LikelihoodTables.of(planes, noise, window, channel_correlation=correlation)
            for window, correlation in priors
        ]

    def read(self, capture: Tensor, noise: Tensor | None = None) -> Volumes:
        """[C, H, W] in [0, 1] -> what the network reads of it. noise: see `LikelihoodTables.score`."""
        costs = torch.stack([-table.score(capture, noise) for table in self.tables])
        least = costs.amin(dim=1)
        evidence = torch.empty_like(least)
        for window in set(self.windows):  # likelihoods of different windows cannot be compared
            same = torch.tensor([w == window for w in self.windows])
            evidence[same] = least[same] - least[same].amin(dim=0)
        return Volumes((costs - least[:, None]).clamp_max(HIGHEST_COST).half(), evidence.clamp_max(HIGHEST_COST).half())


def priors_of(bank: PsfBank) -> tuple[tuple[int, float], ...]:
    """Side of the window and correlation of the channels, for each volume of this bank."""
    return PRIORS if bank.n_latent > 1 else PRIORS_OF_GREY


def grid(size: tuple[int, int]) -> tuple[int, int]:
    """Windows down and across for a capture of `size`."""
    return -(-size[0] // STRIDE_PX), -(-size[1] // STRIDE_PX)

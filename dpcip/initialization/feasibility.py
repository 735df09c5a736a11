"""Rules out depths that need impossible light: an image deconvolved at a wrong depth leaves [0, 1] by far.

Where a window of the capture sees two depths at once (flags before a distant street), the likelihood may settle on
one that fits neither. Deconvolution there oscillates far beyond black and white. No scene is darker than black; light
above white there is, in highlights, so that it counts only for a photograph which keeps away from white.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, maximum_filter, sum_labels
from torch import Tensor

EXCESS = 0.03  # of full scale beyond black or white: more than noise and ringing at right depths do
SPREAD_PX = 13  # side of the neighbourhood whose depth is called in question
REACH_RAD = 1.25  # planes so close to the questioned one go with it
VETO = 10.0  # added to the cost of a plane: more than the smoothing would pay to have it
REMEDY = 0.5  # a veto stays if the excess in its region falls at least to this share
ROUNDS = 2


@dataclass(frozen=True)
class Attempt:
    """A depth and its image. psi_grid: [h, w], rad, of the windows; psi, psi_std: [H, W], rad; image: unclipped.

    rough: whether the image was only begun, from that of another attempt.
    """

    psi_grid: np.ndarray
    psi: Tensor
    psi_std: Tensor
    image: Tensor
    rough: bool = False

    def excess(self, within_white: bool) -> np.ndarray:
        """How far the image lies below 0, or above 1 if it must lie `within_white`; the worst channel: [H, W]."""
        allowed = self.image.clamp(0, 1) if within_white else self.image.clamp_min(0)
        return (self.image - allowed).abs().amax(dim=0).cpu().numpy()


def possible(
    costs: np.ndarray,
    planes: np.ndarray,
    stride_px: int,
    attempt: Callable[[np.ndarray, Attempt | None], Attempt],
    within_white: bool = True,
) -> Attempt:
    """The attempt at the costs, some planes ruled out where they needed impossible light.

    costs: [P, h, w] of the `planes` [P] (rad) in windows `stride_px` apart. Each region of excess gets its planes
    forbidden on trial; where the next best plane halves the excess the veto stays, elsewhere it is taken back.
    attempt: makes one from costs, and from an attempt at others where there is one.
    within_white: whether light above 1 is impossible, too.
    """
    found = attempt(costs, None)
    for _ in range(ROUNDS):
        excess = found.excess(within_white)
        regions, count = label(maximum_filter(excess > EXCESS, SPREAD_PX))
        if count == 0:
            break
        questioned = VETO * (np.abs(planes[:, None, None] - found.psi_grid) <= REACH_RAD)
        trial = attempt(costs + questioned * (regions > 0)[::stride_px, ::stride_px], found)
        before, after = (sum_labels(e, regions, range(1, count + 1)) for e in (excess, trial.excess(within_white)))
        remedied = np.append(False, after <= REMEDY * before)
        if not remedied.any():
            break
        costs = costs + questioned * remedied[regions][::stride_px, ::stride_px]
        found = trial if remedied[1:].all() else attempt(costs, found)
    return found

"""What a solve of a real photograph needs to be told, found in the photograph itself: noise, mismatch, learnt depth."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Literal

import numpy as np

from dpcip.camera.noise import estimate_noise, estimate_shot_noise
from dpcip.initialization.mismatch import estimate_mismatch
from dpcip.learnt.depth import LearntDepth, shipped, weights_for
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import PRESETS, Settings, uses_start, with_generator, with_iterations

# Learnt optics, from those that are given: what the makers of mask and lens may be wrong by.
PHASE_REACH_RAD, SCALE_REACH = 0.8, 0.08

Depth = Literal["auto", "likelihood", "learnt"]
log = logging.getLogger("dpcip")


def recipe(preset: str = "fast", generator: str = "dip", iterations: int | None = None, seed: int = 0) -> Settings:
    """The settings of a preset with another generator, number of iterations or seed."""
    settings = with_generator(dataclasses.replace(PRESETS[preset], seed=seed), generator)
    return with_iterations(settings, iterations or settings.iterations)


def prepared(
    light: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    *,
    noise: float | None = None,
    mismatch: float | None = None,
    learn_optics: bool = False,
    name: str = "capture",
) -> Settings:
    """The settings with what this photograph [C, H, W], linear in [0, 1], tells of its noise and of the PSFs.

    noise: its standard deviation, full scale 1; None: estimated, and its shot noise with it. mismatch: share of the
    texture that the PSFs do not explain; None: estimated. If that is more than its noise, a warning says so and calls
    the photograph `name`. learn_optics: ring phases and aperture are learnt near those of the bank's optics.
    """
    read, shot = (noise, 0.0) if noise else estimate_shot_noise(light) or (estimate_noise(light), 0.0)
    settings = dataclasses.replace(settings, noise=read, shot=shot)
    if learn_optics:
        settings = dataclasses.replace(settings, learn_phases_rad=PHASE_REACH_RAD, learn_scale=SCALE_REACH)
        return dataclasses.replace(settings, mismatch=mismatch or settings.mismatch)
    if settings.camera != "masked":
        return dataclasses.replace(settings, mismatch=mismatch or settings.mismatch)
    found = estimate_mismatch(light, bank, read, mismatch, shot)
    if found.model_error:
        told = -10 * math.log10(read**2 + shot * float(light.mean()))
        log.warning(
            f"{name}: {bank.source} explains it to {-20 * math.log10(found.model_error):.0f} dB only (its noise: "
            f"{told:.0f} dB), so image and depth follow it less closely (mismatch "
            f"{found.share:g}); if the PSFs ought to be better, check bank, tone curve (--gamma) and --white"
        )
    return dataclasses.replace(settings, mismatch=found.share, model_error=found.model_error)


def with_learnt_depth(
    settings: Settings, bank: PsfBank, depth: Depth = "auto", network: LearntDepth | None = None
) -> tuple[Settings, LearntDepth | None]:
    """The settings with learnt depth to begin with, where it is asked for or serves, and the network that gives it.

    network: trained for the bank; None: the one that comes with dpcip, if it is for this bank. That one was trained for
    optics that are right, or nearly so: "auto" leaves it out where the PSFs do not explain the photograph. Raises
    InputError where "learnt" is asked for and there is no network.
    """
    if depth == "likelihood":
        return settings, None
    doubtful = settings.model_error or settings.learn_phases_rad or settings.learn_scale
    if network is None and depth == "learnt":
        network = weights_for(bank)
    elif network is None and not doubtful:
        network = shipped(bank)
    if network and uses_start(settings):
        settings = dataclasses.replace(settings, depth="learnt")
    return settings, network

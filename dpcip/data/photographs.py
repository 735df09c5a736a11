"""Photographs of scenes, taken by the simulator: what a solver or network gets, and the truth it is scored with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.scenes import Scene
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.lens import Optics
from dpcip.optics.psf import PsfBank, psi_planes


@dataclass(frozen=True)
class Photograph:
    """A scene and its capture, float32 [3, H, W] in [0, 1].

    bank: what a solver takes for the camera, 15 planes of the published one, say; some other camera may have taken the
    capture. tone: with which image and truth are compared, as one looks at them; the default compares light.
    """

    scene: Scene
    capture: np.ndarray
    bank: PsfBank
    tone: ToneCurve = ToneCurve()

    @property
    def psi_true(self) -> np.ndarray:
        """True defocus, clipped to the camera's range: [H, W], rad."""
        return np.clip(self.scene.psi(self.bank.lens), *self.bank.psi_range)


def photograph_scene(scene: Scene, optics: Optics | None = None) -> Photograph:
    """The scene through a camera (None: the published one): PSFs 0.1 rad apart, no noise, 8 bits."""
    bank, fine = _banks(optics)
    return Photograph(scene, Sensor().expose(simulate(scene.sharp, scene.psi(bank.lens), fine), 0), bank)


@lru_cache(maxsize=2)
def _banks(optics: Optics | None) -> tuple[PsfBank, PsfBank]:
    """The solver's planes and the simulator's; the many fine ones take seconds to synthesise."""
    return PsfBank.synthesise(optics).integer_planes(), PsfBank.synthesise(optics, psi_planes(step=0.1))

"""A real photograph through cameras of different realism: an ideal sensor, a real one, and its file misread."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dpcip.camera.noise import estimate_noise
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.photographs import Photograph
from dpcip.data.scenes import Scene
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution
from dpcip.study.scoring import leak_row, solved

SRGB = ToneCurve("srgb")
REAL = Sensor(full_well_e=5000, read_noise=0.002, bayer=True, bits=12)  # a small pixel at low gain
CAMERAS = ("ideal", "12-bit raw", "8-bit sRGB", "8-bit sRGB, curve forgotten")


def as_light(scene: Scene) -> Scene:
    """The scene with its photograph's sRGB curve undone: `sharp` is light."""
    return replace(scene, sharp=SRGB.decode(scene.sharp))


def stored(light: np.ndarray, tone: ToneCurve, bits: int) -> np.ndarray:
    """Values of a file: light [C, H, W] in [0, 1] through the tone curve, rounded to so many bits."""
    levels = 2**bits - 1
    return (np.round(tone.encode(light) * levels) / levels).astype(np.float32)


def captures_of(light: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """What a solver is given of the coded light [3, H, W] by each of `CAMERAS`, in [0, 1].

    ideal: three full channels, no noise, 16 bits. 12-bit raw: shot noise of 5000 electrons, read noise of 0.2 %,
    mosaic and demosaicing. 8-bit sRGB: the same stored as a usual picture file, and its curve undone. Forgotten: the
    file's values taken for light.
    """
    raw = REAL.expose(light, seed)
    values = stored(raw, SRGB, 8)
    cameras = (Sensor(bits=16).expose(light), raw, SRGB.decode(values).astype(np.float32), values)
    return dict(zip(CAMERAS, cameras, strict=True))


def sensor_trials(
    scene: Scene, fine: PsfBank, bank: PsfBank, settings: Settings, seed: int
) -> list[tuple[dict[str, Any], np.ndarray, Solution]]:
    """Each camera's row, capture and solution of one scene, whose `sharp` is light.

    fine: the simulator's planes; bank: the solver's. The noise is estimated from each capture. Images are scored as
    one looks at them, with the sRGB curve.
    """
    results = []
    for name, capture in captures_of(simulate(scene.sharp, scene.psi(bank.lens), fine), seed).items():
        noise = estimate_noise(capture)
        photo = Photograph(scene, capture, bank, SRGB)
        solution = solved(photo, replace(settings, noise=noise))
        if name == CAMERAS[-1]:  # what it found are values of a file: as light they are scored as they look
            capture, solution = SRGB.decode(capture), replace(solution, sharp=SRGB.decode(solution.sharp))
            photo = replace(photo, capture=capture)
        row = {"scene": scene.name, "camera": name, "noise_estimated": noise, **leak_row(photo, solution)}
        results.append((row, capture, solution))
    return results

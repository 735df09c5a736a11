"""Cameras that differ a little from what the solver takes them for: focus, wavelength, mask, aperture, aberrations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dpcip.camera.noise import estimate_noise
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.photographs import Photograph
from dpcip.data.scenes import Scene
from dpcip.optics.aberrations import aberrated_bank
from dpcip.optics.lens import PSI_RANGE, Lens, Optics, RingMask, focus_from_known
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.solver.prepare import PHASE_REACH_RAD, SCALE_REACH
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution
from dpcip.study.scoring import row_of, solved

NOMINAL = Optics()
FOCUS_ERROR, APERTURE_ERROR, PHASE_ERROR_RAD, WAVELENGTH_ERROR_NM = 0.02, 0.03, 0.3, 10.0
KNOWN_SIDE_PX = 9  # of the patch whose distance is measured by hand


@dataclass(frozen=True)
class Fault:
    """A true camera. learnable: whether ring phases and scale, which a solve can learn, may describe the error."""

    name: str
    optics: Optics = field(default_factory=Optics)
    tilt_rad: float = 0.0
    coma_rad: float = 0.0
    learnable: bool = False

    def capture(self, scene: Scene) -> np.ndarray:
        """The scene through this camera: PSFs 0.1 rad apart over the scene's own psi, no noise, 8 bits."""
        psi = np.clip(self.optics.lens.psi_from_depth(scene.depth_m), *PSI_RANGE)
        planes = psi_planes(float(np.floor(psi.min())), float(np.floor(psi.max())) + 1, 0.1)
        if self.tilt_rad or self.coma_rad:
            bank = aberrated_bank(self.optics, planes, self.tilt_rad, self.coma_rad)
        else:
            bank = PsfBank.synthesise(self.optics, planes)
        return Sensor().expose(simulate(scene.sharp, psi, bank))


def _faults() -> tuple[Fault, ...]:
    lens, mask = NOMINAL.lens, NOMINAL.mask
    focus = replace(lens, focus_m=lens.focus_m * (1 + FOCUS_ERROR))
    aperture = replace(lens, aperture_radius_mm=lens.aperture_radius_mm * (1 + APERTURE_ERROR))
    phases = (mask.phases_rad[0], mask.phases_rad[1] + PHASE_ERROR_RAD, mask.phases_rad[2] - PHASE_ERROR_RAD)
    longer = tuple(w + WAVELENGTH_ERROR_NM for w in NOMINAL.wavelengths_nm)
    return (
        Fault("none", learnable=True),
        Fault("focus 2 % farther", replace(NOMINAL, lens=focus)),
        Fault("wavelengths +10 nm", replace(NOMINAL, wavelengths_nm=longer), learnable=True),
        Fault("ring phases +-0.3 rad", replace(NOMINAL, mask=RingMask(mask.edges, phases)), learnable=True),
        Fault(
            "aperture 3 % wider",
            replace(NOMINAL, lens=aperture, airy_px=NOMINAL.airy_px / (1 + APERTURE_ERROR)),
            learnable=True,
        ),
        Fault("tilt 1 rad", tilt_rad=1.0),
        Fault("coma 1 rad", coma_rad=1.0),
    )


FAULTS = _faults()


def learnt(solution: Solution) -> Optics:
    """The optics that a solve has learnt: ring phases and scale changed, all else nominal.

    A scale is taken for the aperture's: a wider one makes the diffraction pattern smaller, and psi steeper in 1/z.
    """
    found: Any = solution.report["optics"]
    scale = found["airy_px"] / NOMINAL.airy_px
    lens = replace(NOMINAL.lens, aperture_radius_mm=NOMINAL.lens.aperture_radius_mm / scale)
    return replace(
        NOMINAL,
        lens=lens,
        mask=RingMask(NOMINAL.mask.edges, tuple(found["phases_rad"])),
        airy_px=found["airy_px"],
    )


def refocused_by_one_distance(solution: Solution, scene: Scene, lens: Lens) -> Lens:
    """The lens whose focus suits one distance measured by hand: that of the patch where psi is most certain.

    Chosen by the solve's own uncertainty; of the scene the middle of that patch alone is used, as of a tape measure.
    """
    half = KNOWN_SIDE_PX // 2
    inner = solution.psi_std[half:-half, half:-half]
    row, column = (int(n) + half for n in np.unravel_index(inner.argmin(), inner.shape))
    patch = np.s_[row - half : row + half + 1, column - half : column + half + 1]
    psi = float(np.median(solution.psi[patch]))
    return focus_from_known(np.array([psi]), np.array([scene.depth_m[row, column]]), lens)


def fault_trials(fault: Fault, scene: Scene, bank: PsfBank, settings: Settings) -> list[dict[str, Any]]:
    """Lines of the table: solved as believed; with the focus found from one distance, or with learnt optics, if apt.

    bank: the nominal one, what the solver believes. settings: of the solve as believed.
    """
    photo = Photograph(scene, fault.capture(scene), bank)
    settings = replace(settings, noise=estimate_noise(photo.capture))
    believed = solved(photo, settings)
    lines = [_line(fault, "as believed", photo, believed, NOMINAL)]
    if fault.optics.lens.focus_m != NOMINAL.lens.focus_m:
        lens = refocused_by_one_distance(believed, scene, NOMINAL.lens)
        lines.append(_line(fault, "one known distance", photo, believed, replace(NOMINAL, lens=lens)))
    if fault.learnable:
        found = solved(photo, replace(settings, learn_phases_rad=PHASE_REACH_RAD, learn_scale=SCALE_REACH))
        lines.append(_line(fault, "learnt", photo, found, learnt(found)))
    return lines


def _line(fault: Fault, how: str, photo: Photograph, solution: Solution, optics: Optics) -> dict[str, Any]:
    """The errors, and what the solve took for the camera beside what it was."""
    true = fault.optics
    row = row_of(photo, solution, optics.lens)
    return {
        "error": fault.name,
        "solved": how,
        **{name: row[name] for name in ("psnr_db", "ssim", "depth_rmse_m", "psi_mae", "data_fit_db")},
        "ring 2 (rad)": optics.mask.phases_rad[1],
        "true ring 2": true.mask.phases_rad[1],
        "ring 3 (rad)": optics.mask.phases_rad[2],
        "true ring 3": true.mask.phases_rad[2],
        "airy (px)": optics.airy_px,
        "true airy": true.airy_px,
        "focus (m)": optics.lens.focus_m,
        "true focus": true.lens.focus_m,
        "seconds": row["seconds"],
        "solve": row["solve"],
    }

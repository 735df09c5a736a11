"""A camera from photographs of known scenes: the PSFs measured, a ring mask fitted to them, and the bank to use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dpcip.calibration.mask_fit import MaskFit, fit_mask
from dpcip.calibration.profiles import Chart, Level, RadialBasis, measure
from dpcip.optics.lens import Optics
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError

ROUNDING = 1 / 255 / np.sqrt(12)  # root mean square error of rounding to 8 bits
TOLERATED_SHARE = 0.5  # of the error that is there anyway: what a mask may add to it and still explain the capture


@dataclass(frozen=True)
class Calibration:
    """What the photographs say about a camera: the measured levels, the ring mask fitted to them, the bank to use.

    excess: root mean square of what the fitted mask's PSFs add to the error of the measured ones, of full scale, in
    the worst channel. bank: the fitted mask's if `explained`, else the measured planes.
    """

    levels: list[Level]
    basis: RadialBasis
    fit: MaskFit
    excess: float
    explained: bool
    bank: PsfBank


def calibrate(
    charts: list[Chart], optics: Optics, n_rings: int, planes: np.ndarray, size: int, fit_focus: bool
) -> Calibration:
    """Measures the PSFs, fits a mask of `n_rings`, and makes the bank: planes `planes` (psi, rad), `size` taps.

    optics, fit_focus: as `fit_mask` takes them. The mask's bank is used if its PSFs add less to the error
    than rounding to 8 bits, or than half of what the measured ones leave. Raises InputError if a level is beyond the
    planes, if the charts do not tell a PSF, or if there is one distance and no mask explains it.
    """
    basis = RadialBasis(size)
    for chart in charts:
        if len(chart.coded) != len(optics.wavelengths_nm):
            raise InputError(f"{chart.name}: has {len(chart.coded)} channels, the optics {len(optics.wavelengths_nm)}")
    levels = measure(charts, basis)
    for level in levels:
        if not planes[0] - 0.05 <= level.psi <= planes[-1] + 0.05:
            raise InputError(
                f"{charts[0].name}: a region at psi = {level.psi:.1f} lies beyond the bank's planes, {planes[0]:g} to "
                f"{planes[-1]:g}; check the depth's unit and the optics, or give a wider --psi"
            )
    fit = fit_mask(levels, basis, optics, n_rings, fit_focus)
    excess, explained = _judge(levels, fit)
    if explained:
        bank = PsfBank.synthesise(fit.optics, planes, size)
    elif len(levels) > 1:
        bank = _measured_bank(levels, basis, optics)
    else:
        raise InputError(
            f"{charts[0].name}: no mask of {n_rings} rings explains the capture ({255 * excess:.2f} grey levels off) "
            "and one distance makes no bank; try another --rings, check the tone curves (--gamma, --sharp-gamma) and "
            "the registration, or photograph more distances"
        )
    return Calibration(levels, basis, fit, excess, explained, bank)


def _judge(levels: list[Level], fit: MaskFit) -> tuple[float, bool]:
    """The worst excess error over levels and channels, and whether all are tolerable."""
    measured = np.stack([level.rmse for level in levels])
    fitted = np.array(
        [
            [channel.rmse(p) for channel, p in zip(level.data, profiles, strict=True)]
            for level, profiles in zip(levels, fit.profiles, strict=True)
        ]
    )
    excess = np.sqrt(np.maximum(fitted**2 - measured**2, 0))
    return float(excess.max()), bool((excess <= np.maximum(ROUNDING, TOLERATED_SHARE * measured)).all())


def _measured_bank(levels: list[Level], basis: RadialBasis, optics: Optics) -> PsfBank:
    kernels = basis.kernel(np.stack([level.profiles for level in levels]))
    psi = np.array([level.psi for level in levels])
    return PsfBank(torch.tensor(kernels, dtype=torch.float32), psi, optics.lens, "measured bank")

"""PSFs of a camera whose pupil is not round-symmetric: a tilt, which shifts the picture, and coma."""

from __future__ import annotations

import numpy as np
import torch

from dpcip.optics.lens import Optics
from dpcip.optics.psf import PsfBank

PUPIL_POINTS = 200  # across the aperture
SUBSAMPLES = 3  # a pixel averages the intensity over its area: 3 x 3 points


def aberrated_psf(
    optics: Optics, psi: float, wavelength_nm: float, size: int, tilt_rad: float, coma_rad: float
) -> np.ndarray:
    """PSF of one plane and wavelength: float64 [size, size], sum 1, as `psf.synthesise_psf` but in two dimensions.

    The pupil's phase gets `tilt x + coma (3 rho^2 - 2) x` (rad at the reference wavelength, x across the aperture from
    -1 to 1; Zernike's terms without their norms). Amplitude `sum P(x, y) exp(-j pi (u x + v y) / (airy_px ratio))`,
    as a product of three matrices. A tilt of pi moves the picture by airy_px.
    """
    ratio = wavelength_nm / optics.lens.reference_wavelength_nm
    step = 2 / PUPIL_POINTS
    pupil_x = -1 + step * (np.arange(PUPIL_POINTS) + 0.5)
    rho = np.hypot(pupil_x[:, None], pupil_x)
    phase = (tilt_rad + coma_rad * (3 * rho**2 - 2)) * pupil_x / ratio
    rim = np.clip((1 - rho) / step + 0.5, 0, 1)  # share of each cell inside the aperture
    pupil = rim * optics.pupil(np.minimum(rho, 1), psi, wavelength_nm) * np.exp(1j * phase)
    half = size // 2
    offset = (np.arange(SUBSAMPLES) - (SUBSAMPLES - 1) / 2) / SUBSAMPLES
    position_px = (np.arange(-half, half + 1)[:, None] + offset).ravel()
    wave = np.exp(-1j * np.pi * np.outer(position_px, pupil_x) / (optics.airy_px * ratio))
    fine = np.abs(wave @ pupil @ wave.T) ** 2
    psf = fine.reshape(size, SUBSAMPLES, size, SUBSAMPLES).mean(axis=(1, 3))
    return psf / psf.sum()


def aberrated_bank(optics: Optics, psi: np.ndarray, tilt_rad: float, coma_rad: float, size: int = 71) -> PsfBank:
    """The bank of `optics` on planes `psi` [P], with a tilt and coma."""
    kernels = [[aberrated_psf(optics, p, w, size, tilt_rad, coma_rad) for w in optics.wavelengths_nm] for p in psi]
    return PsfBank(torch.tensor(np.array(kernels), dtype=torch.float32), psi, optics.lens, "aberrated bank")

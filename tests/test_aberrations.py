"""PSFs in two dimensions: without aberrations the radial ones, a tilt moves them, coma makes them lopsided."""

from __future__ import annotations

import numpy as np
import pytest

from dpcip.optics.aberrations import aberrated_bank, aberrated_psf
from dpcip.optics.lens import Optics
from dpcip.optics.psf import synthesise_psf

OPTICS = Optics()
PIXEL = np.arange(-20, 21)


def centroid(psf: np.ndarray) -> tuple[float, float]:
    return float(psf.sum(axis=1) @ PIXEL), float(psf.sum(axis=0) @ PIXEL)


@pytest.mark.parametrize(("psi", "wavelength_nm"), [(-4.0, 600.0), (0.0, 455.0), (6.0, 535.0)])
def test_without_aberrations_it_is_the_radial_psf(psi: float, wavelength_nm: float) -> None:
    radial = synthesise_psf(OPTICS, psi, wavelength_nm, 41)
    found = aberrated_psf(OPTICS, psi, wavelength_nm, 41, 0.0, 0.0)
    assert np.abs(found - radial).max() < 0.02 * radial.max()
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("wavelength_nm", OPTICS.wavelengths_nm)
def test_a_tilt_of_pi_moves_every_colour_by_one_airy_unit(wavelength_nm: float) -> None:
    straight, tilted = (aberrated_psf(OPTICS, 1.0, wavelength_nm, 41, tilt, 0.0) for tilt in (0.0, np.pi))
    moved = np.subtract(centroid(tilted), centroid(straight))
    assert abs(moved[0]) < 0.02
    assert abs(abs(moved[1]) - OPTICS.airy_px) < 0.1


def test_coma_is_lopsided_along_one_axis() -> None:
    psf = aberrated_psf(OPTICS, 2.0, 535.0, 41, 0.0, 2.0)
    assert np.abs(psf - psf[::-1]).max() < 1e-9
    assert np.abs(psf - psf[:, ::-1]).max() > 0.1 * psf.max()


def test_bank_is_valid_and_in_order() -> None:
    bank = aberrated_bank(OPTICS, np.array([0.0, 3.0]), 0.0, 1.0, size=21)
    assert bank.psf.shape == (2, 3, 21, 21)
    assert np.allclose(bank.psf[1, 2], aberrated_psf(OPTICS, 3.0, 455.0, 21, 0.0, 1.0), atol=1e-6)

"""The light of each ring of a mask at the image plane: what the mask's phases only have to add up."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import j0

from dpcip.optics.lens import Optics

_gauss_legendre = lru_cache(np.polynomial.legendre.leggauss)


def ring_nodes(edges: np.ndarray, n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes `rho` and weights of the rings between `edges` [n_rings + 1]: [n_rings, n_nodes] each."""
    node, weight = _gauss_legendre(n_nodes)
    inner, width = np.asarray(edges)[:-1, None], np.diff(edges)[:, None]
    return inner + (node + 1) / 2 * width, weight / 2 * width


def n_nodes_for(psi: np.ndarray, frequency: np.ndarray) -> int:
    """Nodes a ring that the quadrature needs (as `synthesise_psf`): one for each oscillation, and a margin."""
    return 40 + int(0.6 * (np.abs(psi).max() + frequency.max()))


def radial_frequency(optics: Optics, wavelength_nm: float, radius_px: np.ndarray) -> np.ndarray:
    """Argument of J0 at the pupil's rim for image radii `radius_px`: `pi r / (airy_px lambda / lambda_ref)`."""
    return np.pi * radius_px / (optics.airy_px * wavelength_nm / optics.lens.reference_wavelength_nm)


def ring_amplitudes(optics: Optics, psi: np.ndarray, wavelength_nm: float, radius_px: np.ndarray) -> np.ndarray:
    """Amplitude that each ring alone would cast with the mask's phases left out: complex [n_rings, P, n_radii].

    `A_k(r) = int_(ring k) exp(j psi rho^2 lambda_ref / lambda) J0(rho f(r)) rho d rho` at each of `psi` [P] (rad) and
    `radius_px` [n_radii], f of `radial_frequency`. The intensity of the whole mask is
    `|sum_k exp(j phi_k lambda_ref / lambda) A_k(r)|^2`, which `synthesise_psf` averages over pixels.
    """
    ratio = optics.lens.reference_wavelength_nm / wavelength_nm
    frequency = radial_frequency(optics, wavelength_nm, radius_px)
    rho, weight = ring_nodes(np.array(optics.mask.edges), n_nodes_for(psi * ratio, frequency))
    light = np.exp(1j * ratio * psi[:, None, None] * rho**2) * (rho * weight)  # [P, n_rings, n_nodes]
    kernel = j0(rho[:, :, None] * frequency)  # [n_rings, n_nodes, n_radii]
    real_parts = np.concatenate([light.real, light.imag]).transpose(1, 0, 2) @ kernel  # real products are faster
    return real_parts[:, : len(psi)] + 1j * real_parts[:, len(psi) :]

"""The optics: eq. 1 against the camera's known depths, the mask and the pupil."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dpcip.optics.lens import Lens, Optics, RingMask, read_optics
from dpcip.optics.psf import synthesise_psf
from dpcip.utils.errors import InputError


@pytest.mark.parametrize(
    ("psi", "depth_m"), [(-4, 1.503), (-2, 1.126), (0, 0.900), (2, 0.750), (5, 0.599), (10, 0.449)]
)
def test_published_camera_depths(psi: float, depth_m: float) -> None:
    assert Lens().depth_from_psi(psi) == pytest.approx(depth_m, abs=6e-4)


def test_one_radian_is_0_1114_dioptres() -> None:
    assert Lens().dioptres_per_psi == pytest.approx(0.111443, abs=1e-6)


@given(psi=st.floats(-9, 50), focus_m=st.floats(0.1, 1.0), radius_mm=st.floats(1.14, 20))
def test_depth_and_psi_invert_each_other(psi: float, focus_m: float, radius_mm: float) -> None:
    lens = Lens(radius_mm, 455.0, focus_m)
    assert lens.psi_from_depth(lens.depth_from_psi(psi)) == pytest.approx(psi, abs=1e-6 * radius_mm**2 / focus_m)


def test_arrays_and_tensors_convert_alike() -> None:
    psi = np.linspace(-4, 10, 7)
    assert np.allclose(Lens().depth_from_psi(torch.from_numpy(psi)).numpy(), Lens().depth_from_psi(psi), rtol=1e-12)


def test_nearer_is_larger_psi() -> None:
    assert Lens().psi_from_depth(0.5) > 0 > Lens().psi_from_depth(1.2)


def test_mask_phase_by_ring() -> None:
    rho = np.array([0.0, 0.54, 0.55, 0.79, 0.80, 1.0])
    assert RingMask().phase_rad(rho).tolist() == [0, 0, 6.0, 6.0, 12.3, 12.3]


def test_pupil_phase_grows_as_wavelength_shrinks() -> None:
    rho = np.array([0.3, 0.6])
    red, blue = (np.angle(Optics().pupil(rho, 0.4, w)) for w in (910.0, 455.0))
    assert np.allclose(np.exp(1j * blue), np.exp(2j * red))


def test_pupil_is_dark_outside() -> None:
    assert Optics().pupil(np.array([1.0001]), 3.0, 455.0) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lens(aperture_radius_mm=0),
        lambda: Lens(focus_m=float("nan")),
        lambda: RingMask((0, 0.5, 1), (0,)),
        lambda: RingMask((0, 0.7, 0.5, 1), (0, 1, 2)),
        lambda: RingMask((0, float("nan"), 1), (0, 1)),
        lambda: RingMask((0, 1), (float("inf"),)),
        lambda: Optics(wavelengths_nm=(600, -1)),
        lambda: Optics(airy_px=0),
    ],
)
def test_impossible_optics_are_refused(make) -> None:
    with pytest.raises(InputError):
        make()


def test_optics_file(tmp_path: Path) -> None:
    file = tmp_path / "optics.yaml"
    file.write_text("lens: {focus_m: 0.7}\nmask: {edges: [0, 1], phases_rad: [0]}\nwavelengths_nm: [550]\n")
    optics = read_optics(file)
    assert (optics.lens.focus_m, optics.mask.phases_rad, optics.wavelengths_nm) == (0.7, (0,), (550,))
    assert optics.lens.aperture_radius_mm == Lens().aperture_radius_mm
    file.write_text("lens: {focus: 0.7}\n")
    with pytest.raises(InputError, match="focus"):
        read_optics(file)


def test_focal_length_is_what_geometric_optics_makes_of_the_psfs() -> None:
    """Far out of focus, without a mask, a point is a disc: focal length times aperture radius times 1/m of defocus."""
    optics = Optics(mask=RingMask((0.0, 1.0), (0.0,)))
    psi, size = 30.0, 151
    kernel = synthesise_psf(optics, psi, optics.lens.reference_wavelength_nm, size)
    radius_px = np.hypot(*np.mgrid[:size, :size] - size // 2)
    order = np.argsort(radius_px, axis=None)
    half_px = radius_px.ravel()[order][np.searchsorted(np.cumsum(kernel.ravel()[order]), 0.5)]
    disc_px = optics.focal_px * optics.lens.aperture_radius_mm * 1e-3 * psi * optics.lens.dioptres_per_psi
    assert half_px * np.sqrt(2) == pytest.approx(disc_px, rel=0.03)

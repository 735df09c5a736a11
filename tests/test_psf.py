"""PSF synthesis against the paper's Table 3 and a second implementation; the bank's files and checks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpcip.optics import psf as psf_module
from dpcip.optics.lens import Lens, Optics, RingMask
from dpcip.optics.psf import PsfBank, psi_planes, synthesise_psf
from dpcip.utils.errors import InputError

TABLE_3 = {31: (94.72, 96.69, 98.49), 23: (87.31, 94.30, 97.32), 19: (77.20, 89.10, 96.25), 15: (56.24, 78.81, 94.28)}


@pytest.mark.parametrize("box", TABLE_3)
def test_energy_matches_the_papers_table_3(bank: PsfBank, box: int) -> None:
    assert 100 * bank.energy(box)[0] == pytest.approx(TABLE_3[box], abs=0.3)


def psf_by_2d_fft(optics: Optics, psi: float, wavelength_nm: float, size: int) -> np.ndarray:
    """The same PSF from a sampled two-dimensional pupil and one FFT."""
    n, scale = 4096, wavelength_nm / optics.lens.reference_wavelength_nm
    spacing = 2 * optics.airy_px * scale * psf_module.SUBSAMPLES / n  # so that an FFT sample is 1/5 pixel
    axis = (np.arange(n) - n // 2) * spacing
    amplitude = np.fft.fftshift(
        np.fft.fft2(np.fft.ifftshift(optics.pupil(np.hypot(axis[:, None], axis), psi, wavelength_nm)))
    )
    half = size * psf_module.SUBSAMPLES // 2
    window = slice(n // 2 - half, n // 2 + half + 1)
    fine = np.abs(amplitude[window, window]) ** 2
    psf = fine.reshape(size, psf_module.SUBSAMPLES, size, psf_module.SUBSAMPLES).mean(axis=(1, 3))
    return psf / psf.sum()


@pytest.mark.parametrize(("psi", "wavelength_nm"), [(-4.0, 600.0), (0.0, 455.0), (7.3, 535.0)])
def test_radial_quadrature_agrees_with_2d_fft(psi: float, wavelength_nm: float) -> None:
    radial, sampled = (f(Optics(), psi, wavelength_nm, 71) for f in (synthesise_psf, psf_by_2d_fft))
    assert np.abs(radial - sampled).max() < 5e-3 * radial.max()


@pytest.mark.parametrize("size", [71, 141])
def test_quadrature_has_converged(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    coarse = synthesise_psf(Optics(), 10.0, 455.0, size)
    leggauss = np.polynomial.legendre.leggauss
    monkeypatch.setattr(np.polynomial.legendre, "leggauss", lambda n: leggauss(2 * n))
    assert np.abs(synthesise_psf(Optics(), 10.0, 455.0, size) - coarse).max() < 1e-9


def test_clear_aperture_in_focus_is_the_airy_disc() -> None:
    optics = Optics(mask=RingMask((0, 1), (0,)), airy_px=20.0, wavelengths_nm=(455.0,))
    psf = synthesise_psf(optics, 0.0, 455.0, 101)
    first_dark_ring_px = np.argmax(np.diff(psf[50, 50:]) > 0)  # where intensity stops falling
    assert first_dark_ring_px == pytest.approx(1.22 * 20, abs=0.6)


@settings(max_examples=15, deadline=None)
@given(
    psi=st.floats(-8, 12),
    wavelength_nm=st.floats(400, 700),
    half=st.integers(3, 20),
    phases=st.lists(st.floats(-20, 20), min_size=1, max_size=5),
)
def test_any_mask_gives_a_positive_unit_symmetric_psf(psi, wavelength_nm, half, phases) -> None:
    optics = Optics(mask=RingMask(tuple(np.linspace(0, 1, len(phases) + 1)), tuple(phases)))
    psf = synthesise_psf(optics, psi, wavelength_nm, 2 * half + 1)
    assert psf.min() >= 0
    assert psf.sum() == pytest.approx(1)
    assert np.allclose(psf, psf.T) and np.allclose(psf, psf[::-1])


def test_sharpest_planes_spread_over_colours(fine_bank: PsfBank) -> None:
    sharpest = fine_bank.psi[fine_bank.psf.amax(dim=(2, 3)).argmax(dim=0).numpy()]
    assert sharpest == pytest.approx([6, 3.5, 0], abs=1.2)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
def test_bank_survives_a_round_trip(tmp_path: Path, odd_bank: PsfBank, suffix: str) -> None:
    bank = PsfBank(odd_bank.psf, odd_bank.psi, Lens(0.04, 500.0, 0.003))  # a microscope's
    bank.save(tmp_path / f"bank{suffix}")
    loaded = PsfBank.load(tmp_path / f"bank{suffix}")
    assert torch.allclose(loaded.psf, bank.psf)
    assert loaded.psi.tolist() == bank.psi.tolist()
    assert loaded.lens == bank.lens


def test_mat_layout_is_the_released_one(tmp_path: Path, bank: PsfBank) -> None:
    from scipy.io import loadmat

    bank.save(tmp_path / "data.mat")
    struct = loadmat(tmp_path / "data.mat")["data"][0][0]
    assert struct.dtype.names[:10] == (
        *("radius", "ref_wl", "focus_point", "Psi", "min_dist", "psf_kernels"),
        *("map_interval", "num_psi_classes", "downsample_factor", "dn_fs"),
    )
    assert struct[5].shape == (3, 71, 71, 15)  # what the released code indexes by position
    assert struct[3][0].tolist() == list(range(-4, 11))


def test_mat_in_metres_reads_as_the_same_lens(tmp_path: Path, bank: PsfBank) -> None:
    from scipy.io import savemat

    fields = {"radius": 1.14e-3, "ref_wl": 455e-9, "focus_point": 0.9, "Psi": bank.psi[None]}
    savemat(tmp_path / "si.mat", {"data": {**fields, "psf_kernels": bank.psf.numpy().transpose(1, 2, 3, 0)}})
    lens = PsfBank.load(tmp_path / "si.mat").lens
    assert [*vars(lens).values()] == pytest.approx([1.14, 455, 0.9])


def test_no_file_is_no_bank() -> None:
    for path in (Path("."), Path("nothing.npz")):
        with pytest.raises(InputError, match="no such file; make a bank"):
            PsfBank.load(path)


def test_saved_npz_holds_the_documented_arrays(tmp_path: Path, bank: PsfBank) -> None:
    bank.save(tmp_path / "bank.npz")
    with np.load(tmp_path / "bank.npz") as archive:
        assert archive["psf"].shape == (15, 3, 71, 71) and archive["psf"].dtype == np.float32
        assert archive["psi"].shape == (15,)
    assert [p.name for p in tmp_path.iterdir()] == ["bank.npz"]  # no temporary file is left


def test_integer_planes_of_the_fine_bank(fine_bank: PsfBank, bank: PsfBank, odd_bank: PsfBank) -> None:
    coarse = fine_bank.integer_planes()
    assert coarse.psi.tolist() == list(range(-4, 11))
    assert torch.allclose(coarse.psf, bank.psf)
    for psi in ([-3.0, -1.5, 0.0, 4.0], [-2.0, 0.0, 2.0, 4.0], [0.0, 1.0, 2.0, 2.5]):  # no whole cover: keep it all
        uneven = PsfBank(odd_bank.psf, np.array(psi))
        assert uneven.integer_planes() is uneven
    half_planes = PsfBank(odd_bank.psf, np.array([0.25, 0.75, 1.0, 1.75]))
    assert half_planes.integer_planes() is half_planes


def _with(bank: PsfBank, change) -> PsfBank:
    psf = bank.psf.clone()
    change(psf)
    return PsfBank(psf, bank.psi)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda psf: psf[0].mul_(1.01), "divide each kernel by its sum"),
        (lambda psf: psf[0, 0, 0, 0].fill_(float("nan")), "NaN"),
        (lambda psf: psf[0, 0, 0, 0].fill_(-1e-3), "negative"),
    ],
)
def test_damaged_kernels_are_refused(odd_bank: PsfBank, change, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        _with(odd_bank, change)


@pytest.mark.parametrize(
    ("psf", "psi", "complaint"),
    [
        (torch.ones(2, 3, 5), [0, 1], "store it as"),
        (torch.ones(2, 3, 4, 4) / 16, [0, 1], "odd number of taps"),
        (torch.ones(2, 3, 3, 3) / 9, [0, 1, 2], "one psi a plane"),
        (torch.ones(2, 3, 3, 3) / 9, [1, 0], "strictly increasing"),
        (torch.ones(1, 3, 3, 3) / 9, [0], "at least two"),
        (torch.ones(2, 3, 3, 3).to(torch.int32), [0, 1], "float32"),
        (torch.ones(2, 3, 3, 3) / 9, [-12, 1], "beyond infinity"),
    ],
)
def test_impossible_banks_are_refused(psf: torch.Tensor, psi: list[float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        PsfBank(psf, np.array(psi, dtype=float))


def test_planes_include_both_ends() -> None:
    assert psi_planes(-4, 10, 0.1)[[0, -1]].tolist() == [-4, 10] and len(psi_planes(-4, 10, 0.1)) == 141
    for wrong in ((1, 0, 1), (0, 1, 0), (0, 1, 2), (0, float("nan"), 1)):
        with pytest.raises(InputError):
            psi_planes(*wrong)

"""Cameras unlike the published one: several channels of one latent image, uneven planes, small asymmetric kernels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from margins import assert_clears
from skimage import data

from dpcip.camera.models import InterpolatedDCM, MaskedDCM
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.evaluation.metrics import depth_metrics
from dpcip.optics.dual_pixel import DIOPTRES, denser, dual_pixel_bank
from dpcip.optics.psf import PsfBank
from dpcip.solver.runner import solve
from dpcip.solver.settings import PRESETS, with_iterations
from dpcip.solver.stepper import Stepper
from dpcip.utils.errors import InputError


@pytest.fixture(scope="module")
def dual_pixel() -> PsfBank:
    """Two views of one grey image; planes uneven in dioptres."""
    return dual_pixel_bank()


@pytest.fixture(scope="module")
def mixed() -> PsfBank:
    """Three observed channels of two latent ones, in an order of their own."""
    psf = torch.rand(3, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return PsfBank(psf / psf.sum(dim=(2, 3), keepdim=True), np.array([-2.0, 0.5, 1.0]), latent=(1, 0, 1))


def cameras(bank: PsfBank, size: tuple[int, int]) -> list[torch.nn.Module]:
    return [InterpolatedDCM(bank, size), InterpolatedDCM(bank, size, "direct"), MaskedDCM(bank, size)]


def test_each_channel_sees_its_latent_one(mixed: PsfBank) -> None:
    delta = torch.zeros(2, 11, 12, dtype=torch.float64)
    delta[1, 5, 6] = 1
    for camera in cameras(mixed, (11, 12)):
        image = camera(delta, torch.full((11, 12), 0.5, dtype=torch.float64))
        for channel in (0, 2):
            assert torch.allclose(image[channel, 3:8, 4:9], mixed.psf[1, channel], atol=1e-12)
        assert image[1].abs().max() < 1e-12


def test_cameras_agree_with_the_simulator(mixed: PsfBank) -> None:
    sharp = torch.rand(2, 14, 17, dtype=torch.float64)
    psi = torch.where(torch.arange(17) < 9, -2.0, 1.0).expand(14, 17).double()
    simulated = torch.as_tensor(simulate(sharp.numpy(), psi.numpy(), mixed))
    assert torch.allclose(MaskedDCM(mixed, (14, 17))(sharp, psi), simulated, atol=1e-9)
    fft, direct, _ = (camera(sharp, psi) for camera in cameras(mixed, (14, 17)))
    assert torch.allclose(fft, direct, atol=1e-9)


def test_adjoint_and_gradients(mixed: PsfBank) -> None:
    sharp = torch.rand(2, 8, 9, dtype=torch.float64, requires_grad=True)
    psi = (3 * torch.rand(8, 9, dtype=torch.float64) - 2).requires_grad_()
    for camera in cameras(mixed, (8, 9)):
        assert torch.autograd.gradcheck(camera, (sharp, psi))


def test_round_trip_and_planes_in_dioptres(dual_pixel: PsfBank, tmp_path: Path) -> None:
    dual_pixel.save(tmp_path / "bank.npz")
    assert PsfBank.load(tmp_path / "bank.npz").latent == (0, 0)
    order = np.array([3, 0, 1, 2, 6, 5, 4])
    with (tmp_path / "d.npz").open("wb") as file:
        psf, dioptres = dual_pixel.psf.numpy()[order], DIOPTRES[order]
        np.savez(file, psf=psf, dioptres=dioptres, latent=[0, 0], focus_m=0.95)
    read = PsfBank.load(tmp_path / "d.npz")
    assert np.allclose(read.psi, dual_pixel.psi)
    assert torch.equal(read.psf, dual_pixel.psf)
    assert np.allclose(read.lens.depth_from_psi(read.psi), 1 / DIOPTRES)
    with pytest.raises(InputError, match="latent channels"):
        dual_pixel.save(tmp_path / "bank.mat")


@pytest.mark.parametrize("latent", [(0,), (0, 2), (-1, 0), (1, 1), (0, 0, 0)])
def test_latent_channels_must_be_numbered_from_0(dual_pixel: PsfBank, latent: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="latent"):
        replace(dual_pixel, latent=latent)


@pytest.mark.slow
def test_dual_pixel_photograph_is_solved(dual_pixel: PsfBank) -> None:
    """End to end on a bank that is neither RGB nor symmetric, with an even slope of depth from left to right."""
    sharp = data.camera()[200:296, 180:340][None] / 255.0
    psi = np.broadcast_to(np.linspace(dual_pixel.psi[1], dual_pixel.psi[5], 160), (96, 160))
    capture = Sensor().expose(simulate(sharp, psi, denser(dual_pixel, 10)))
    found = solve(capture, dual_pixel, with_iterations(PRESETS["fast"], 1), progress=False)
    assert found.sharp.shape == (1, 96, 160)
    assert found.coded.shape == (2, 96, 160)
    assert_clears("dual pixel: the start explains the views (dB)", found.report["data_fit_db"], above=30, spread=1)
    flat = np.full_like(psi, np.median(psi))
    scores = [depth_metrics(p, psi, dual_pixel.lens, dual_pixel.psi_range)["psi_mae"] for p in (found.psi, flat)]
    assert_clears("dual pixel: depth error by a flat map's", scores[0] / scores[1], below=0.3, spread=0.02)


@pytest.mark.slow
def test_generator_draws_the_latent_channels(mixed: PsfBank) -> None:
    capture = torch.rand(3, 40, 40)
    stepper = Stepper(capture, mixed, replace(PRESETS["paper"], iterations=12), torch.device("cpu"))
    while not stepper.done:
        stepper.step()
    assert stepper.finished().sharp.shape == (2, 40, 40)
    fallen = stepper.losses[-1] / stepper.losses[0]
    assert_clears("two latent channels: last loss by the first", fallen, below=1, spread=0.02)

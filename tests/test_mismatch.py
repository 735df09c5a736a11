"""What a bank does not explain of a capture is found, and then believed less; right banks are believed as before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from margins import assert_clears
from scipy.ndimage import affine_transform, gaussian_filter

from dpcip.camera.noise import ROUNDING, estimate_noise
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import rendered
from dpcip.data.photographs import photograph_scene
from dpcip.initialization.initialize import find_start
from dpcip.initialization.likelihood import MISMATCH
from dpcip.initialization.mismatch import MOST_PX, RIGHT, _most_textured, estimate_mismatch
from dpcip.optics.dual_pixel import denser, dual_pixel_bank
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import PRESETS, Settings
from dpcip.solver.stepper import Stepper
from dpcip.utils.errors import InputError

SIDE_PX = 128


@dataclass(frozen=True)
class Taken:
    """A capture [C, S, S] and the truth behind it: sharp [L, S, S], psi [S, S], rad."""

    capture: np.ndarray
    sharp: np.ndarray
    psi: np.ndarray

    def errors(self, bank: PsfBank, share: float, model_error: float) -> tuple[float, float]:
        """Root mean square of the start's image against the truth, and its mean error of psi (rad)."""
        noise = estimate_noise(self.capture)
        start = find_start(torch.as_tensor(self.capture), _single(bank), noise, share, model_error)
        image = float(np.sqrt(np.mean((start.sharp.numpy() - self.sharp)[:, 8:-8, 8:-8] ** 2)))
        return image, float(np.abs(start.psi.numpy() - self.psi).mean())


def _single(bank: PsfBank) -> PsfBank:
    return replace(bank, psf=bank.psf.float())


def _larger(bank: PsfBank, factor: float, sigma_px: float) -> PsfBank:
    """The bank with kernels that much larger, and blurred."""
    kernels = bank.psf.double().numpy()
    centre = (kernels.shape[-1] - 1) / 2
    shift = centre - centre / factor
    grown = [[affine_transform(k, [1 / factor] * 2, shift, order=1) for k in plane] for plane in kernels]
    blurred = gaussian_filter(np.array(grown), sigma_px, axes=(2, 3))
    return replace(bank, psf=torch.as_tensor(blurred / blurred.sum(axis=(2, 3), keepdims=True)), optics=None)


@cache
def _scene_larger(factor: float, sigma_px: float) -> Taken:
    """Photographed through kernels that much larger than those of `dual_pixel_bank`, and blurred."""
    return _two_views(_larger(dual_pixel_bank(), factor, sigma_px))


def _two_views(camera: PsfBank, objects: bool = True) -> Taken:
    """A textured slanted wall, two objects before it or none, photographed by a dual pixel's two views."""
    sharp = next(s for s in rendered() if s.name == "street_07").read().middle(SIDE_PX, SIDE_PX).sharp.mean(axis=0)
    low, high = camera.psi_range
    psi = np.tile(np.linspace(low + 0.2, high - 2, SIDE_PX), (SIDE_PX, 1))
    if objects:
        psi[20:60, 10:50] = high - 0.7
        psi[70:120, 60:110] = low + 1.5
    sharp = np.ascontiguousarray(sharp[None].astype(np.float32))
    light = simulate(sharp, psi, denser(camera, 8))
    return Taken(Sensor(read_noise=0.002, bits=12).expose(light, seed=0), sharp, psi)


@pytest.fixture(scope="module")
def two_views() -> PsfBank:
    """The bank that is believed."""
    return dual_pixel_bank()


@pytest.mark.parametrize("linear", [False, True])
def test_right_optics_are_believed(linear: bool) -> None:
    scene = next(s for s in rendered() if s.name == "table_07").read().middle(SIDE_PX, SIDE_PX)
    if linear:
        scene = replace(scene, sharp=(scene.sharp**2.2).astype(np.float32))
    photograph = photograph_scene(scene)
    sensor = Sensor(read_noise=0.005, bits=12) if linear else Sensor()
    capture = sensor.expose(photograph.capture, seed=1)
    found = estimate_mismatch(capture.astype(np.float32), photograph.bank, estimate_noise(capture))
    assert (found.share, found.model_error) == (MISMATCH, 0.0)


def test_two_views_of_right_optics_are_believed(two_views: PsfBank) -> None:
    capture = _two_views(two_views, objects=False).capture
    assert estimate_mismatch(capture, two_views, estimate_noise(capture)).model_error == 0


@pytest.mark.parametrize(("factor", "sigma_px"), [(1.17, 0.7), (1.3, 1.0)])
def test_wrong_optics_are_believed_less(two_views: PsfBank, factor: float, sigma_px: float) -> None:
    """Kernels larger than believed, and blurred: image and depth of the start gain by what is found."""
    taken = _scene_larger(factor, sigma_px)
    found = estimate_mismatch(taken.capture, two_views, estimate_noise(taken.capture))
    assert found.share > MISMATCH and found.model_error > 0.003 and found.residual > RIGHT
    trusting = taken.errors(two_views, MISMATCH, 0)
    doubting = taken.errors(two_views, found.share, found.model_error)
    image, depth = (after / before for after, before in zip(doubting, trusting, strict=True))
    assert_clears(f"kernels {factor} times as large: image's error, share of it", image, below=0.95, spread=0.02)
    assert_clears(f"kernels {factor} times as large: psi's error, share of it", depth, below=0.8, spread=0.06)


def test_depth_edges_taken_for_wrong_optics_do_no_harm(two_views: PsfBank) -> None:
    """Objects' edges everywhere: the residual cannot be told from that of wrong optics, and to doubt helps, too."""
    taken = _two_views(two_views)
    found = estimate_mismatch(taken.capture, two_views, estimate_noise(taken.capture))
    trusting = taken.errors(two_views, MISMATCH, 0)
    image, depth = taken.errors(two_views, found.share, found.model_error)
    assert_clears("exact kernels, edges: image's error, share of it", image / trusting[0], below=1, spread=0.1)
    assert_clears("exact kernels, edges: psi's error, share of it", depth / trusting[1], below=1.1, spread=0.1)


def test_as_many_colours_as_channels_keep_the_share(bank: PsfBank) -> None:
    """Three unknowns for three observations: only the model's error is taken from the residual."""
    scene = next(s for s in rendered() if s.name == "table_07").read().middle(SIDE_PX, SIDE_PX)
    capture = photograph_scene(scene).capture.astype(np.float32)
    found = estimate_mismatch(capture, _larger(photograph_scene(scene).bank, 1.6, 1.0), ROUNDING)
    assert found.share == MISMATCH and found.model_error > 1 / 255


def test_a_share_that_is_told_is_kept(two_views: PsfBank) -> None:
    taken = _scene_larger(1.17, 0.7)
    found = estimate_mismatch(taken.capture, two_views, estimate_noise(taken.capture), share=0.07)
    assert found.share == 0.07 and found.model_error > 0


def test_the_most_textured_part_of_a_large_capture() -> None:
    capture = np.full((2, 700, 1100), 0.5, np.float32)
    capture[:, 150:400, 500:900] += np.random.default_rng(0).normal(0, 0.1, (2, 250, 400)).astype(np.float32)
    part = _most_textured(capture)
    assert part.shape == (2, MOST_PX, MOST_PX)
    assert np.square(part - 0.5).sum() == pytest.approx(np.square(capture - 0.5).sum(), rel=1e-3)
    assert np.array_equal(_most_textured(capture[:, :90, :80]), capture[:, :90, :80])


def test_the_solver_is_told(two_views: PsfBank) -> None:
    """The numbers of the settings are those that the start is made with, and the residual that ends a solve."""
    taken = _scene_larger(1.17, 0.7)
    settings = replace(PRESETS["fast"], noise=0.003, mismatch=0.2, model_error=0.02)
    stepper = Stepper(torch.as_tensor(taken.capture), two_views, settings, torch.device("cpu"))
    expected = find_start(torch.as_tensor(taken.capture), _single(two_views), 0.003, 0.2, 0.02)
    assert torch.allclose(stepper.first_estimate().psi, expected.psi, atol=1e-3)
    assert torch.allclose(stepper.first_estimate().sharp, expected.sharp, atol=1e-3)
    assert stepper._misfit == 0.02
    noisy = Stepper(torch.as_tensor(taken.capture), two_views, replace(settings, noise=0.05), torch.device("cpu"))
    assert noisy._misfit == 0.05


@pytest.mark.parametrize("wrong", [{"mismatch": 0.0}, {"mismatch": 1.0}, {"model_error": -0.1}, {"model_error": 1.0}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="mismatch is"):
        Settings(**wrong)

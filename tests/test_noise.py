"""The noise estimate, against noise of known size on rendered captures."""

import numpy as np
import pytest
import torch

from dpcip.camera.models import MaskedDCM
from dpcip.camera.noise import ROUNDING, at_least, estimate_noise, estimate_shot_noise, noise_level, typical
from dpcip.camera.sensor import Sensor
from dpcip.initialization.likelihood import LikelihoodTables, depth_likelihood
from dpcip.optics.psf import PsfBank
from dpcip.restoration.deconvolution import deconvolve
from dpcip.study.cases import Case, photograph


@pytest.fixture(scope="module", params=["table_14", "street_14"])
def capture(request: pytest.FixtureRequest) -> np.ndarray:
    return photograph(Case(request.param, factor=4)).capture


@pytest.fixture(scope="module", params=["table_14", "street_14"])
def large(request: pytest.FixtureRequest) -> np.ndarray:
    """Large enough for a line through its blocks."""
    return photograph(Case(request.param, factor=2)).capture


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.04])
def test_noise_is_found_within_a_tenth(capture: np.ndarray, noise: float) -> None:
    noisy = capture + np.random.default_rng(0).normal(0, noise, capture.shape)
    assert estimate_noise(np.clip(noisy, 0, 1)) == pytest.approx(noise, rel=0.12)


def test_texture_is_not_taken_for_noise(capture: np.ndarray) -> None:
    assert estimate_noise(capture) < 2 * ROUNDING


def test_black_and_white_say_nothing() -> None:
    assert estimate_noise(np.zeros((3, 64, 64))) == ROUNDING
    grey = np.random.default_rng(0).normal(0.5, 0.02, (1, 48, 96))
    grey[:, :, 48:] = 1
    assert estimate_noise(grey) == pytest.approx(0.02, rel=0.12)


def test_too_small_for_a_block() -> None:
    assert estimate_noise(np.full((3, 8, 8), 0.5)) == ROUNDING


@pytest.mark.parametrize("noise", [0.006, 0.02])
def test_noise_behind_a_mosaic_is_that_of_the_measured_pixels(capture: np.ndarray, noise: float) -> None:
    demosaiced = Sensor(read_noise=noise, bayer=True, bits=12).expose(capture)
    assert estimate_noise(demosaiced) == pytest.approx(noise, rel=0.35)


@pytest.mark.parametrize("full_well_e, read", [(1000, 0.004), (5000, 0.002), (2000, 0.0)])
def test_shot_noise_is_told_from_read_noise(large: np.ndarray, full_well_e: float, read: float) -> None:
    light = large**2.2  # where there is more dark than bright, as in a raw file
    found = estimate_shot_noise(Sensor(full_well_e, read, bits=12).expose(light))
    assert found is not None
    assert found[1] == pytest.approx(1 / full_well_e, rel=0.2)
    assert found[0] == pytest.approx(max(read, ROUNDING), abs=0.0025)


def test_noise_alike_everywhere_is_no_shot_noise(large: np.ndarray) -> None:
    found = estimate_shot_noise(Sensor(read_noise=0.02, bits=12).expose(large))
    assert found is not None
    assert found[0] == pytest.approx(0.02, rel=0.15) and found[1] < 0.3 * 0.02**2


def test_behind_a_mosaic_shot_noise_is_that_of_the_measured_pixels(large: np.ndarray) -> None:
    found = estimate_shot_noise(Sensor(1000, 0.002, bayer=True, bits=12).expose(large**2.2))
    assert found is not None and found[1] == pytest.approx(1 / 1000, rel=0.5)


def test_without_noise_there_is_nothing_to_tell(large: np.ndarray) -> None:
    assert estimate_shot_noise(large) is None
    assert estimate_shot_noise(np.full((3, 8, 8), 0.5)) is None


def test_noise_of_each_pixel_follows_from_its_light() -> None:
    capture = torch.full((1, 40, 40), 0.25)
    capture[:, :, 20:] = 1.0
    level = noise_level(capture, 0.01, 4e-4)
    assert isinstance(level, torch.Tensor)
    assert level[0, 5, 5].item() == pytest.approx((1e-4 + 1e-4) ** 0.5, rel=1e-3)
    assert level[0, 5, 35].item() == pytest.approx((1e-4 + 4e-4) ** 0.5, rel=1e-3)
    assert typical(level) == pytest.approx((1e-4 + 2.5e-4) ** 0.5, rel=0.02)
    assert at_least(level, 1.0).min() == 1 and noise_level(capture, 0.01) == 0.01 == at_least(0.01, 0.001)


def test_a_map_of_one_number_counts_as_that_number(bank: PsfBank) -> None:
    capture = torch.from_numpy(photograph(Case("table_14", factor=4)).capture[:, :64, :72])
    level = torch.full_like(capture, 0.01)
    planes = bank.integer_planes()
    one, mapped = (depth_likelihood(capture, planes, noise) for noise in (0.01, level))
    assert torch.allclose(one, mapped, atol=0.02 * float(one.std()))
    camera = MaskedDCM(planes, (64, 72)).at(torch.full((64, 72), 2.0))
    images = [deconvolve(camera, capture, capture, noise, 2) for noise in (0.01, level)]
    assert torch.allclose(*images, atol=1e-4)


def test_a_window_of_more_noise_counts_as_one_of_less_contrast(bank: PsfBank) -> None:
    """Twice the noise and twice the contrast are the same evidence, for the tables of one noise."""
    capture = torch.from_numpy(photograph(Case("table_14", factor=4)).capture[:, :64, :72])
    tables = LikelihoodTables.of(bank.integer_planes(), 0.01)
    twice = tables.score(2 * capture, torch.full_like(capture, 0.02))
    once = tables.score(capture)
    assert torch.allclose(twice, once, rtol=1e-4, atol=0.02)
    assert not torch.allclose(tables.score(2 * capture), once, rtol=1e-4, atol=0.02)

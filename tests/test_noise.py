"""The noise estimate, against noise of known size on rendered captures."""

import numpy as np
import pytest

from dpcip.camera.noise import ROUNDING, estimate_noise
from dpcip.camera.sensor import Sensor
from dpcip.study.cases import Case, photograph


@pytest.fixture(scope="module", params=["table_14", "street_14"])
def capture(request: pytest.FixtureRequest) -> np.ndarray:
    return photograph(Case(request.param, factor=4)).capture


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

"""The sensor: noise of the right size, a mosaic of the right pattern, the right number of levels."""

import numpy as np
import pytest

from dpcip.camera.sensor import Sensor
from dpcip.utils.errors import InputError

GREY = np.full((3, 120, 130), 0.4)


def test_default_is_eight_bits_without_noise() -> None:
    light = np.random.default_rng(0).random((3, 30, 31))
    digital = Sensor().expose(light)
    assert digital.dtype == np.float32
    assert np.abs(digital - light).max() <= 0.5 / 255 + 1e-6
    assert np.allclose(digital * 255, np.round(digital * 255), atol=1e-4)


def test_shot_and_read_noise_have_their_variance() -> None:
    noisy = Sensor(full_well_e=1000, read_noise=0.02, bits=16).expose(GREY)
    assert noisy.mean() == pytest.approx(0.4, abs=1e-3)
    assert noisy.std() == pytest.approx(np.sqrt(0.4 / 1000 + 0.02**2), rel=0.02)


def test_seed_decides_the_noise() -> None:
    sensor = Sensor(full_well_e=500, read_noise=0.01)
    first, again, other = (sensor.expose(GREY, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_bayer_keeps_flat_colours_and_blurs_detail() -> None:
    colour = np.array([0.2, 0.5, 0.8])[:, None, None] * np.ones((3, 40, 42))
    assert np.allclose(Sensor(bayer=True, bits=12).expose(colour), colour, atol=1e-3)
    checks = np.indices((40, 42)).sum(axis=0) % 2 * np.ones((3, 1, 1))
    assert np.abs(Sensor(bayer=True).expose(checks) - checks).mean() > 0.1


def test_bayer_samples_red_at_even_rows_and_columns() -> None:
    red = np.zeros((3, 40, 42))
    red[0, 0::2, 0::2] = 1  # red light just where red is measured
    assert Sensor(bayer=True).expose(red)[0].min() == 1
    red = np.roll(red, 1, axis=2)
    assert Sensor(bayer=True).expose(red)[0].max() == 0


@pytest.mark.parametrize("wrong", [{"full_well_e": 0}, {"read_noise": -0.1}, {"bits": 0}, {"bits": 17}])
def test_impossible_sensors_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Sensor(**wrong)

"""Texture in the depth: found where it is, not where the true depth has edges, and nothing in a flat map."""

from __future__ import annotations

import numpy as np
import pytest

from dpcip.evaluation.texture_copy import slope, smooth_parts, texture_leak

TRUE = np.full((60, 80), 2.0)
VALID = np.ones(TRUE.shape, dtype=bool)


@pytest.fixture
def texture() -> np.ndarray:
    return np.random.default_rng(0).random((3, *TRUE.shape))


def test_depth_that_draws_the_texture_leaks_wholly(texture: np.ndarray) -> None:
    grey = texture.mean(axis=0)
    found = texture_leak(TRUE - 0.3 * grey, TRUE, texture, VALID)
    assert found["leak"] == pytest.approx(1)
    where = smooth_parts(TRUE, VALID)
    assert found["leak_rad_per_px"] == pytest.approx(0.3 * slope(grey)[where].std())


def test_flat_and_unrelated_depths_leak_nothing(texture: np.ndarray) -> None:
    assert texture_leak(TRUE + 1, TRUE, texture, VALID) == {"leak": 0.0, "leak_rad_per_px": 0.0}
    unrelated = np.random.default_rng(1).random(TRUE.shape)
    assert abs(texture_leak(unrelated, TRUE, texture, VALID)["leak"]) < 0.06  # 3744 pixels, neighbours share samples


def test_depth_edges_and_unmeasured_pixels_do_not_count(texture: np.ndarray) -> None:
    true = TRUE.copy()
    true[:, 40:] = 5
    valid = VALID.copy()
    valid[30, 20] = False
    where = smooth_parts(true, valid)
    assert not where[:, 36:44].any()
    assert where[10:20, 45:70].all()
    assert not where[26:35, 16:25].any()
    assert not where[:4].any() and not where[:, -4:].any()
    leak = texture_leak(true, true, texture, valid)["leak_rad_per_px"]
    assert leak == 0


def test_a_slope_of_the_true_depth_is_smooth() -> None:
    assert smooth_parts(np.broadcast_to(np.linspace(0, 10, 80), TRUE.shape), VALID)[20:40, 20:60].all()


def test_nothing_smooth_is_nan(texture: np.ndarray) -> None:
    busy = 10 * np.random.default_rng(2).random(TRUE.shape)
    assert np.isnan(texture_leak(busy, busy, texture, VALID)["leak"])

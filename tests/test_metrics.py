"""The scores, and the released code's own beside them."""

import numpy as np
import pytest

from dpcip.evaluation.metrics import confidence_metrics, depth_metrics, image_metrics
from dpcip.optics.lens import Lens


def test_psnr_and_ssim_of_known_images() -> None:
    truth = np.full((3, 32, 32), 0.5)
    scores = image_metrics(truth + 0.1, truth)
    assert scores["psnr_db"] == pytest.approx(20)
    assert scores["ssim"] == pytest.approx((2 * 0.5 * 0.6 + 1e-4) / (0.25 + 0.36 + 1e-4))


def test_released_ssim_flatters() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((3, 40, 40))
    scores = image_metrics(np.clip(truth + 0.1 * rng.standard_normal(truth.shape), 0, 1), truth)
    assert scores["ssim_as_released"] > scores["ssim"]


def test_depth_errors_in_metres() -> None:
    lens = Lens()
    truth_m = np.array([[0.5, 0.8], [1.0, 1.2]])
    estimate_m = truth_m + np.array([[0.03, -0.03], [0.0, 0.06]])
    scores = depth_metrics(lens.psi_from_depth(estimate_m), lens.psi_from_depth(truth_m))
    assert scores["depth_rmse_m"] == pytest.approx(np.sqrt((0.0009 * 2 + 0.0036) / 4))
    assert scores["depth_mae_m"] == pytest.approx(0.03)
    assert scores["share_in_range"] == 1


def test_pixels_out_of_range_count_apart() -> None:
    psi_true = np.array([[-8.0, -4.0, 0.0, 12.0]])
    scores = depth_metrics(np.array([[-4.0, -3.0, 0.5, 10.0]]), psi_true)
    assert scores["share_in_range"] == 0.25
    assert scores["psi_mae_in_range"] == pytest.approx(0.5)
    assert scores["psi_mae"] == pytest.approx(1.5 / 4)


def test_unmeasured_pixels_do_not_count() -> None:
    psi, valid = np.array([[0.0, 5.0]]), np.array([[True, False]])
    assert depth_metrics(psi, np.zeros((1, 2)), valid=valid)["depth_rmse_m"] == 0


def test_nothing_in_range_gives_nan_not_zero() -> None:
    assert np.isnan(depth_metrics(np.zeros((2, 2)), np.full((2, 2), -9.0))["depth_rmse_in_range_m"])


def test_released_depth_metric_cannot_exceed_0_082() -> None:
    """FACTS: psi scaled to [0, 1] lands in 0.818 to 0.900 m whatever it is."""
    scores = depth_metrics(np.full((4, 4), 10.0), np.full((4, 4), -4.0))
    assert scores["depth_as_released"] == pytest.approx(0.9 - 1 / (0.111443 + 1 / 0.9), abs=1e-6)
    assert scores["depth_as_released"] < 0.0821 and scores["depth_rmse_m"] > 1


def test_released_depth_metric_is_39_times_too_small_at_the_far_plane() -> None:
    scores = depth_metrics(np.full((4, 4), -3.99), np.full((4, 4), -4.0))
    assert scores["depth_mae_m"] / scores["depth_as_released"] == pytest.approx(39, abs=0.5)


def test_confidence_of_a_perfect_a_random_and_a_reversed_ranking() -> None:
    error = np.random.default_rng(0).random((40, 50))
    truth = np.zeros((40, 50))
    perfect, reversed_, constant = (
        confidence_metrics(error, std, truth) for std in (error, 2 - error, np.full_like(error, 0.25))
    )
    assert perfect["ause"] == pytest.approx(0, abs=1e-9) and perfect["psi_mae_confident_half"] == pytest.approx(
        np.sort(error.ravel())[:1000].mean()
    )
    assert reversed_["ause"] > 1.5 * reversed_["ause_random"] > 0.5
    assert constant["share_beyond_3_std"] == pytest.approx((error > 0.75).mean())
    assert perfect["share_beyond_3_std"] == 0

"""Alignment: a shift is found and not held against an estimate, everything else is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as spline_shift

from dpcip.evaluation.alignment import REACH_PX, aligned, aligned_metrics, best_shift, cropped, kernel_similarity
from dpcip.evaluation.metrics import image_metrics
from dpcip.utils.errors import InputError

IMAGE = gaussian_filter(np.random.default_rng(0).random((48, 52)), 1.5)
IMAGE = (IMAGE - IMAGE.min()) / np.ptp(IMAGE)
QUARTERS = st.integers(-4 * (REACH_PX - 1), 4 * (REACH_PX - 1)).map(lambda n: n / 4)


@settings(max_examples=10, deadline=None)
@given(QUARTERS, QUARTERS)
def test_any_shift_in_reach_is_found(rows: float, columns: float) -> None:
    wide = np.pad(IMAGE, 2 * REACH_PX, mode="reflect")
    moved = spline_shift(wide, (rows, columns))[2 * REACH_PX : -2 * REACH_PX, 2 * REACH_PX : -2 * REACH_PX]
    assert best_shift(moved, IMAGE) == (-rows, -columns)


def test_channels_are_moved_one_by_one() -> None:
    truth = np.stack([IMAGE, IMAGE.T[:48, :48].repeat(2, axis=1)[:, :52], IMAGE[::-1]])
    estimate = np.stack([np.roll(c, n, axis=(0, 1)) for c, n in zip(truth, ((4, -3), (0, 0), (-9, 2)), strict=True)])
    moved, kept = aligned(estimate, truth)
    assert np.array_equal(moved, kept) and kept.shape == (3, 48 - 2 * REACH_PX, 52 - 2 * REACH_PX)


def test_what_is_no_shift_still_counts() -> None:
    truth = IMAGE[None]
    blurred = gaussian_filter(IMAGE, 2)[None]
    scores = aligned_metrics(blurred, truth)
    same_crop = image_metrics(cropped(blurred), cropped(truth))
    assert scores["psnr_aligned_db"] >= same_crop["psnr_db"] and scores["psnr_aligned_db"] < 40
    assert set(scores) == {"psnr_aligned_db", "ssim_aligned", "ssim_as_released_aligned"}


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(InputError, match="too small"):
        best_shift(np.zeros((20, 64)), np.zeros((20, 64)))


def test_kernels_are_alike_wherever_and_however_large() -> None:
    kernel = np.zeros((9, 9))
    kernel[2:5, 3] = 1, 2, 3
    assert kernel_similarity(kernel, kernel) == pytest.approx(1)
    assert kernel_similarity(np.roll(kernel, (3, -2), (0, 1)) / 6, kernel) == pytest.approx(1)
    assert kernel_similarity(np.pad(kernel, 4), kernel) == pytest.approx(1)
    assert kernel_similarity(kernel.T, kernel) < 0.7

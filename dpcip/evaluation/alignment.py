"""Scores of a blind method: image and kernel may be shifted against the truth, and that is not held against it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import shift as spline_shift
from scipy.signal import correlate

from dpcip.evaluation.metrics import image_metrics
from dpcip.utils.errors import InputError

REACH_PX = 10  # SelfDeblur's own evaluation tries shifts up to so many pixels each way
STEPS = 4  # in a pixel


def best_shift(estimate: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """By how many rows and columns to move `estimate` [H, W] so that it fits `truth` best (least squared error).

    Whole pixels up to 10 each way first, all of them; then quarters of a pixel around the best. The error is taken
    where every shift has an estimate: without the outer 10 pixels. Raises InputError for images smaller than that.
    """
    if min(truth.shape) <= 2 * REACH_PX:
        raise InputError(f"alignment: images of {truth.shape[1]}x{truth.shape[0]} pixels are too small; give over 20")
    reach = range(-REACH_PX, REACH_PX + 1)
    coarse = min(((row, column) for row in reach for column in reach), key=lambda s: _error(estimate, truth, s))
    offsets = np.arange(1 - STEPS, STEPS) / STEPS
    around = [(coarse[0] + row, coarse[1] + column) for row in offsets for column in offsets]
    return min((s for s in around if max(map(abs, s)) <= REACH_PX), key=lambda s: _error(estimate, truth, s))


def _error(estimate: np.ndarray, truth: np.ndarray, shift: tuple[float, float]) -> float:
    return float(np.mean((cropped(moved(estimate, shift)) - cropped(truth)) ** 2))


def moved(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """The image [H, W] moved by so many rows and columns: cubic splines, the border repeated."""
    if all(float(part).is_integer() for part in shift):
        return np.roll(image, tuple(int(part) for part in shift), axis=(0, 1))  # what comes round is cropped
    return spline_shift(image, shift, order=3, mode="nearest")


def cropped(image: np.ndarray) -> np.ndarray:
    """[..., H, W] without the outer 10 pixels."""
    return image[..., REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]


def aligned(estimate: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate and truth [C, H, W] without their outer 10 pixels, each channel moved to where it fits best.

    Channels are moved one by one, as a method that deblurs them one by one may shift each elsewhere.
    """
    parts = [moved(e, best_shift(e, t)) for e, t in zip(estimate, truth, strict=True)]
    return cropped(np.clip(np.stack(parts), 0, 1)), cropped(truth)


def aligned_metrics(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """PSNR (dB) and both SSIMs of `image_metrics` after alignment: keys psnr_aligned_db, ssim_aligned and so on."""
    scores = image_metrics(*aligned(estimate, truth))
    return {
        "psnr_aligned_db": scores["psnr_db"],
        "ssim_aligned": scores["ssim"],
        "ssim_as_released_aligned": scores["ssim_as_released"],
    }


def registered_metrics(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """PSNR and SSIM of an estimate [C, H, W] of a real scene, of which the truth is another exposure.

    Each channel is moved to where it fits best and given the gain and offset that fit best, from estimate to truth;
    the outer 10 pixels are left out. Full scale is the truth's 99.9th percentile. What a capture scores in the same
    way is what an estimate is to be held against.
    Keys psnr_registered_db, ssim_registered. Raises InputError for images of 20 pixels or less, and for a truth of one
    colour.
    """
    if any(np.ptp(cropped(channel)) == 0 for channel in truth):
        raise InputError("alignment: the truth is of one colour; there is nothing to register")
    truth = truth / max(float(np.percentile(truth, 99.9)), 1e-9)
    placed = [moved(e, best_shift(_fitted(e, t), t)) for e, t in zip(estimate, truth, strict=True)]
    pairs = [(cropped(e), cropped(t)) for e, t in zip(placed, truth, strict=True)]
    scores = image_metrics(np.stack([_fitted(e, t) for e, t in pairs]), np.stack([t for _, t in pairs]))
    return {"psnr_registered_db": scores["psnr_db"], "ssim_registered": scores["ssim"]}


def _fitted(estimate: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The estimate with the gain and offset that fit it to the truth best (least squared error)."""
    gain = np.polyfit(estimate.ravel(), truth.ravel(), 1)[0] if np.ptp(estimate) else 0.0
    return max(gain, 0.0) * (estimate - estimate.mean()) + truth.mean()  # a negative is no likeness


def kernel_similarity(found: np.ndarray, truth: np.ndarray) -> float:
    """Largest normalised cross-correlation of two kernels over all shifts, at most 1 (Hu and Yang 2012).

    Means are not subtracted: kernels are not negative, and of any size.
    """
    products = correlate(found.astype(np.float64), truth.astype(np.float64), mode="full")
    return float(products.max() / (np.linalg.norm(found) * np.linalg.norm(truth)))

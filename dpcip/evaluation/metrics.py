"""Scores against the ground truth: sound ones, and the released code's own for comparison with the paper."""

from __future__ import annotations

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dpcip.optics.lens import PSI_RANGE, Lens

EDGE_PSI = 1e-3  # rad; a psi this close to the range's end counts as clipped


def image_metrics(estimate: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Scores of an image [C, H, W] in [0, 1] against the truth.

    psnr_db and ssim: data range 1, Gaussian window (sigma 1.5), population covariance (Wang et al. 2004).
    ssim_as_released: what the released code prints, data range 2 and a uniform 7x7 window; usually flatters.
    """
    estimate, truth = estimate.astype(np.float64), truth.astype(np.float64)
    return {
        "psnr_db": float(peak_signal_noise_ratio(truth, estimate, data_range=1.0)),
        "ssim": float(
            structural_similarity(
                truth,
                estimate,
                data_range=1.0,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        ),
        "ssim_as_released": float(structural_similarity(truth, estimate, data_range=2.0, channel_axis=0)),
    }


def depth_as_released(psi: np.ndarray, psi_true: np.ndarray, lens: Lens, psi_range: tuple[float, float]) -> float:
    """The error in "metres" that the released code prints (`utils/psf_utils.py`).

    It is a mean absolute error, with psi scaled to [0, 1] before it enters eq. 1, which expects radians. For the
    published camera all depths then lie between 0.818 and 0.900 m: the value cannot exceed 0.082 whatever the estimate.
    """
    psi_min, psi_max = psi_range
    scaled, scaled_true = ((p - psi_min) / (psi_max - psi_min) for p in (psi, psi_true))
    return float(np.mean(np.abs(lens.depth_from_psi(scaled) - lens.depth_from_psi(scaled_true))))


def depth_metrics(
    psi: np.ndarray,
    psi_true: np.ndarray,
    lens: Lens | None = None,
    psi_range: tuple[float, float] = PSI_RANGE,
    valid: np.ndarray | None = None,
) -> dict[str, float]:
    """Scores of a defocus map [H, W] against the true one, in metres and in psi.

    The truth is clipped to the camera's `psi_range`, as the capture cannot tell more. `valid` marks the pixels whose
    truth was measured; others are left out. Names ending in _in_range count only pixels whose true psi lies inside
    the range; they are NaN if there are none.
    """
    lens = lens or Lens()
    valid = np.ones(psi.shape, dtype=bool) if valid is None else valid
    in_range = valid & (psi_true > psi_range[0] + EDGE_PSI) & (psi_true < psi_range[1] - EDGE_PSI)
    clipped = np.clip(psi_true, *psi_range)
    error_m = np.abs(lens.depth_from_psi(psi.astype(np.float64)) - lens.depth_from_psi(clipped))
    error_psi = np.abs(psi - clipped)
    return {
        "depth_rmse_m": _root_mean_square(error_m[valid]),
        "depth_rmse_in_range_m": _root_mean_square(error_m[in_range]),
        "depth_mae_m": _mean(error_m[valid]),
        "depth_mae_in_range_m": _mean(error_m[in_range]),
        "psi_mae": _mean(error_psi[valid]),
        "psi_mae_in_range": _mean(error_psi[in_range]),
        "share_in_range": float(in_range.sum() / valid.sum()),
        "depth_as_released": depth_as_released(psi[valid], clipped[valid], lens, psi_range),
    }


def sparsification(error: np.ndarray, uncertainty: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Mean error of the most certain `shares` of the pixels, relative to that of all: 1 at share 1.

    The curve falls towards small shares if `uncertainty` knows where the errors are.
    """
    ordered = np.cumsum(error.ravel()[np.argsort(uncertainty, axis=None, kind="stable")])
    counts = np.maximum((shares * error.size).astype(int), 1)
    return ordered[counts - 1] / counts / max(error.mean(), 1e-12)


def confidence_metrics(
    psi: np.ndarray, psi_std: np.ndarray, psi_true: np.ndarray, psi_range: tuple[float, float] = PSI_RANGE
) -> dict[str, float]:
    """How well psi_std [H, W] foretells the errors of psi [H, W].

    psi_mae_confident_half: mean error of the more certain half, rad. ause: area between the sparsification curve and
    that of the errors themselves (Ilg et al. 2018), in units of the mean error; 0 is perfect, a random order's is
    ause_random. share_beyond_3_std: pixels whose error is more than three times psi_std.
    """
    error = np.abs(psi - np.clip(psi_true, *psi_range))
    shares = np.linspace(0.05, 1, 20)
    best, found = (sparsification(error, ranking, shares) for ranking in (error, psi_std))
    return {
        "psi_mae_confident_half": float(sparsification(error, psi_std, np.array([0.5]))[0] * error.mean()),
        "ause": float(np.mean(found - best)),
        "ause_random": float(np.mean(1 - best)),
        "share_beyond_3_std": float(np.mean(error > 3 * psi_std)),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")

"""All scores of an estimate whose scene is known, in one row."""

from __future__ import annotations

import numpy as np

from dpcip.data.scenes import Scene
from dpcip.evaluation.metrics import confidence_metrics, depth_metrics, image_metrics
from dpcip.optics.lens import Lens

# What stands beside every comparison: sound depth errors over all pixels and in range, SSIM, what the released code
# would print for both, cost.
ALSO = (
    *("depth_rmse_m", "depth_rmse_in_range_m", "psi_mae", "depth_as_released", "ssim", "ssim_as_released"),
    "seconds",
)


def scores(
    sharp: np.ndarray, psi: np.ndarray, psi_std: np.ndarray, scene: Scene, lens: Lens, psi_range: tuple[float, float]
) -> dict[str, float]:
    """The scores of `dpcip evaluate`: image, depth and its uncertainty (metrics.py).

    sharp: [L, H, W] in [0, 1]; psi, psi_std: [H, W], rad. The true psi is clipped to the range that the camera tells;
    pixels whose depth was not measured count for the image alone.
    """
    truth, valid = np.clip(scene.psi(lens), *psi_range), scene.valid
    return {
        **image_metrics(sharp, scene.sharp),
        **depth_metrics(psi, truth, lens, psi_range, valid),
        **confidence_metrics(psi[valid], psi_std[valid], truth[valid], psi_range),
    }

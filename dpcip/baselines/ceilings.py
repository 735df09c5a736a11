"""Ceilings of deblurring: methods that are told the true PSF, and the setting that scores best. No rival may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from skimage.restoration import richardson_lucy, wiener

from dpcip.camera.models import MaskedDCM
from dpcip.data.photographs import Photograph
from dpcip.evaluation.metrics import image_metrics
from dpcip.restoration.deconvolution import deconvolve

BALANCES = (1e-4, 1e-3, 1e-2, 1e-1)  # of Wiener: weight of smoothness against the data
STEPS = (10, 30, 100)  # of Richardson and Lucy
ROUNDS = 3  # of deconvolution, each from the last one's image; a solve has as many, from its start to its end

Restore = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ceilings(photo: Photograph) -> dict[str, np.ndarray]:
    """Images [C, H, W] in [0, 1] restored from the photograph of a scene wholly beyond the range, by method.

    Wiener and Richardson-Lucy are scikit-image's, channel by channel; of their settings that with the best PSNR is
    taken. The third is the solver's last step (dpcip/restoration/deconvolution.py) at the true psi.
    """
    wieners: Iterable[Restore] = [lambda y, k, b=b: wiener(y, k, b) for b in BALANCES]  # type: ignore[misc]
    lucys: Iterable[Restore] = [lambda y, k, n=n: richardson_lucy(y, k, num_iter=n) for n in STEPS]  # type: ignore[misc]
    return {
        "Wiener, true PSF": _best(photo, wieners),
        "Richardson-Lucy, true PSF": _best(photo, lucys),
        "dpcip.deconvolution, true psi": _deconvolved(photo),
    }


def _best(photo: Photograph, settings: Iterable[Restore]) -> np.ndarray:
    kernels = photo.bank.psf[0].numpy().astype(np.float64)  # of the least psi, where everything is clipped
    tried = [np.stack([_framed(r, y, k) for y, k in zip(photo.capture, kernels, strict=True)]) for r in settings]
    return max(tried, key=lambda image: image_metrics(image, photo.scene.sharp)["psnr_db"])


def _framed(restore: Restore, blurred: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Restored with the border pixels repeated outwards: both methods know nothing beyond the picture."""
    margin = len(kernel)
    wide = np.pad(blurred.astype(np.float64), margin, mode="edge")
    return np.clip(restore(wide, kernel)[margin:-margin, margin:-margin], 0, 1)


def _deconvolved(photo: Photograph) -> np.ndarray:
    capture = torch.from_numpy(photo.capture)
    psi = torch.from_numpy(photo.psi_true).float()
    camera = MaskedDCM(photo.bank, (psi.shape[0], psi.shape[1])).at(psi)
    image = capture
    for _ in range(ROUNDS):
        image = deconvolve(camera, capture, image)
    return image.clamp(0, 1).numpy()

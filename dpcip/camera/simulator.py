"""The simulator: the capture of a scene whose depth is known. It makes data and is never in the loss."""

from __future__ import annotations

import numpy as np
import torch

from dpcip.camera.models import Blur
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError


def simulate(sharp: np.ndarray, psi: np.ndarray, bank: PsfBank) -> np.ndarray:
    """The capture of a scene, before noise and rounding: float64 [C, H, W].

    sharp: [L, H, W] in [0, 1]; psi: [H, W] in rad, clipped to the bank's range. Each layer of equal psi is cut out,
    replicate-padded and blurred with its own PSF; the sum is divided by the equally blurred masks, so that brightness
    is kept where layers meet. With planes 0.1 apart it reproduces the one capture that the authors published, down to
    the rounding to 8 bits (tests/test_models.py). Not differentiable in psi: it makes data, it is never in the loss.
    """
    if sharp.ndim != 3 or sharp.shape[0] != bank.n_latent:
        raise InputError(
            f"sharp image has shape {sharp.shape}, the PSF bank sees {bank.n_latent} channels; they must agree"
        )
    if sharp.shape[1:] != psi.shape:
        raise InputError(
            f"sharp image is {sharp.shape[2]}x{sharp.shape[1]} pixels, depth map {psi.shape[1]}x{psi.shape[0]}; "
            "they must be the same"
        )
    index = nearest_plane(psi, bank.psi)
    image = torch.from_numpy(sharp.astype(np.float64))
    light = torch.zeros(bank.n_channels, *psi.shape, dtype=image.dtype)
    coverage = torch.zeros_like(light)
    for plane in np.unique(index):
        mask = torch.from_numpy(index == plane).to(image.dtype).expand_as(image)
        blur = Blur(bank.psf[plane : plane + 1].double(), psi.shape, latent=bank.latent)
        light += blur(image * mask)[0]
        coverage += blur(mask)[0]
    return (light / coverage.clamp_min(1e-12)).clamp(0, 1).numpy()


def nearest_plane(psi: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Index of the plane closest to each psi; the first or last plane beyond the ends."""
    return np.searchsorted((planes[1:] + planes[:-1]) / 2, psi)

"""A camera of quite another kind: a dual-pixel sensor, two views of one grey image, out of focus to opposite sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank

DIOPTRES = np.array([0.7, 0.85, 1.0, 1.2, 1.45, 1.8, 2.1])  # of the planes, uneven on purpose
FOCUS_M = 0.95
TAPS = 23
RADIUS_PX = 8  # of the blur disc, for each dioptre from the focus


def half_disc(side: int, radius_px: float, sign: int) -> np.ndarray:
    """The left (sign -1) or right (1) half of a disc, a little smoothed: [side, side], sum 1."""
    y, x = np.mgrid[:side, :side] - side // 2
    disc = (np.hypot(x, y) <= max(radius_px, 0.7)) & (sign * x >= 0)
    kernel = gaussian_filter(disc.astype(float), 0.5)
    return kernel / kernel.sum()


def dual_pixel_bank() -> PsfBank:
    """Two observed channels of one latent image; in front of the focus the half discs change sides.

    Seven planes, uneven in dioptres, 23 taps, float64. A drawing board's camera: discs, no diffraction.
    """
    lens = Lens(focus_m=FOCUS_M)
    blur_px = RADIUS_PX * (DIOPTRES - 1 / lens.focus_m)
    kernels = [[half_disc(TAPS, abs(b), s * (1 if b > 0 else -1)) for s in (-1, 1)] for b in blur_px]
    return PsfBank(torch.tensor(np.array(kernels)), lens.psi_from_dioptres(DIOPTRES), lens, "dual pixel", (0, 0))


def denser(bank: PsfBank, n_steps: int) -> PsfBank:
    """The bank with `n_steps` planes for each of its intervals, interpolated as by the DCM: for a simulator."""
    position = np.linspace(0, len(bank.psi) - 1, n_steps * (len(bank.psi) - 1) + 1)
    below = np.minimum(position.astype(int), len(bank.psi) - 2)
    share = torch.as_tensor(position - below, dtype=bank.psf.dtype)[:, None, None, None]
    kernels = (1 - share) * bank.psf[below] + share * bank.psf[below + 1]
    return replace(bank, psf=kernels, psi=np.interp(position, np.arange(len(bank.psi)), bank.psi))

"""The dual-pixel camera: half discs that mirror each other and change sides at the focus; denser planes in between."""

from __future__ import annotations

import numpy as np
import torch

from dpcip.optics.dual_pixel import DIOPTRES, FOCUS_M, RADIUS_PX, denser, dual_pixel_bank


def test_views_mirror_each_other_and_change_sides() -> None:
    bank = dual_pixel_bank()
    column = torch.arange(bank.size, dtype=torch.float64) - bank.size // 2
    side = (bank.psf.sum(dim=2) * column).sum(dim=-1)  # centroid of each kernel, px
    assert torch.allclose(bank.psf[:, 0], bank.psf[:, 1].flip(-1))
    for plane, dioptres in enumerate(DIOPTRES):
        if abs(dioptres - 1 / FOCUS_M) * RADIUS_PX < 1:  # in focus: a single pixel has no sides
            continue
        beyond = dioptres < 1 / FOCUS_M
        assert (side[plane, 0] > 0) == beyond and (side[plane, 1] < 0) == beyond


def test_planes_in_dioptres() -> None:
    bank = dual_pixel_bank()
    assert np.allclose(1 / bank.lens.depth_from_psi(bank.psi), DIOPTRES)
    assert bank.n_latent == 1 and bank.n_channels == 2


def test_denser_bank_keeps_the_planes_and_mixes_neighbours() -> None:
    bank = dual_pixel_bank()
    dense = denser(bank, 4)
    assert len(dense.psi) == 25 and dense.latent == bank.latent
    assert torch.allclose(dense.psf[::4], bank.psf) and np.allclose(dense.psi[::4], bank.psi)
    assert torch.allclose(dense.psf[5], 0.75 * bank.psf[1] + 0.25 * bank.psf[2])
    assert np.isclose(dense.psi[5], 0.75 * bank.psi[1] + 0.25 * bank.psi[2])

"""Depths that need impossible light are ruled out where that helps, and only there."""

import dataclasses

import numpy as np
import pytest
import torch
from margins import assert_clears

from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import rendered
from dpcip.evaluation.metrics import image_metrics
from dpcip.initialization import feasibility as veto
from dpcip.initialization import initialize as start
from dpcip.initialization.feasibility import Attempt, possible
from dpcip.initialization.initialize import find_start
from dpcip.optics.psf import PsfBank

PLANES = np.array([0.0, 2.0, 4.0])
STRIDE_PX = 4


def cheapest(excess_of_plane: np.ndarray) -> tuple[list[np.ndarray], object]:
    """An attempt that takes each window's cheapest plane, which leaves [0, 1] by `excess_of_plane` [P, h, w]."""
    seen: list[np.ndarray] = []

    def attempt(costs: np.ndarray, _: Attempt | None) -> Attempt:
        label = costs.argmin(axis=0)
        seen.append(label)
        excess = np.take_along_axis(excess_of_plane, label[None], axis=0)[0]
        pixels = torch.as_tensor(np.kron(excess, np.ones((STRIDE_PX, STRIDE_PX))))
        psi = torch.as_tensor(np.kron(PLANES[label], np.ones((STRIDE_PX, STRIDE_PX))))
        return Attempt(PLANES[label], psi, torch.zeros_like(psi), 1 + pixels.expand(3, *pixels.shape))

    return seen, attempt


def test_a_veto_stays_only_where_it_helps() -> None:
    """Left the next plane is free of excess, right it is worse, in the middle there is none to begin with."""
    costs = np.broadcast_to(np.array([0.0, 1.0, 2.0])[:, None, None], (3, 8, 24))
    excess = np.zeros((3, 8, 24))
    excess[0, :, :6], excess[0, :, 18:], excess[1:, :, 18:] = 0.2, 0.2, 0.4
    seen, attempt = cheapest(excess)
    psi = possible(costs, PLANES, STRIDE_PX, attempt).psi_grid
    assert (psi[:, :6] == 2).all() and (psi[:, 8:] == 0).all()
    assert (seen[1][:, 18:] == 1).all()  # it was tried on the right, too


def test_nothing_is_tried_without_excess() -> None:
    seen, attempt = cheapest(np.full((3, 8, 8), 0.01))
    possible(np.zeros((3, 8, 8)), PLANES, STRIDE_PX, attempt)
    assert len(seen) == 1


@pytest.mark.parametrize("darkest", [-0.2, 0.1])
def test_excess_counts_both_ends_or_darkness_alone(darkest: float) -> None:
    image = torch.full((3, 4, 4), 0.5)
    image[1, 0, 0], image[2, 1, 1] = darkest, 1.3
    attempt = Attempt(np.zeros((1, 1)), image[0], image[0], image)
    for within_white in (True, False):
        excess = attempt.excess(within_white)
        assert excess[0, 0] == pytest.approx(max(-darkest, 0))
        assert excess[1, 1] == pytest.approx(0.3 if within_white else 0)
        assert excess[2:].max() == 0


@pytest.mark.slow
def test_highlights_above_white_do_not_rule_out_their_depth(
    bank: PsfBank, fine_bank: PsfBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A garden exposed too long: its highlights are brighter than white, and blurred partly below it."""
    shot = next(shot for shot in rendered() if shot.name == "garden_14").read()
    window = slice(64, 192), slice(192, 320)
    sharp, psi = 1.4 * shot.sharp[:, *window], shot.psi(fine_bank.lens)[window].clip(-4, 10)
    capture = torch.as_tensor(Sensor().expose(simulate(sharp, psi, fine_bank), 0)).float().clamp(0, 1)
    single = dataclasses.replace(bank, psf=bank.psf.float())
    errors = []
    for white in (start.WHITE, 2.0):  # 2: a bright image is held against its depth whatever the capture
        monkeypatch.setattr(start, "WHITE", white)
        with torch.no_grad():
            errors.append(np.abs(find_start(capture, single).psi.numpy() - psi).mean())
    ratio = errors[0] / errors[1]
    assert_clears("highlights: depth error by that of the rule without exception", ratio, below=1, spread=0.03)


@pytest.mark.parametrize(("n_faulty", "within_white"), [(1, True), (3, False)])
def test_a_faulty_pixel_is_no_highlight(
    bank: PsfBank, monkeypatch: pytest.MonkeyPatch, n_faulty: int, within_white: bool
) -> None:
    """Of 96x96 pixels one may be stuck at white in all channels; three are light that came near white."""
    capture = 0.5 + 0.1 * torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    capture[:, 50, 20 : 20 + n_faulty] = 1
    told, really = [], start.possible

    def listen(*arguments: object) -> Attempt:
        told.append(arguments[-1])
        return really(*arguments)

    monkeypatch.setattr(start, "possible", listen)
    find_start(capture, dataclasses.replace(bank, psf=bank.psf.float()))
    assert told == [within_white]


@pytest.mark.slow
def test_flags_before_a_distant_street(bank: PsfBank, fine_bank: PsfBank, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their windows see the flags and the sky: the likelihood alone takes the sky's depth for both."""
    shot = next(shot for shot in rendered() if shot.name == "street_14").read()
    window = slice(0, 96), slice(160, 288)
    sharp, psi = shot.sharp[:, *window], shot.psi(fine_bank.lens)[window].clip(-4, 10)
    capture = torch.as_tensor(Sensor().expose(simulate(sharp, psi, fine_bank), 0)).float()
    single = dataclasses.replace(bank, psf=bank.psf.float())
    squared_errors, psnr_db = [], []
    for rounds in (veto.ROUNDS, 0):
        monkeypatch.setattr(veto, "ROUNDS", rounds)
        with torch.no_grad():
            found = find_start(capture, single)
        squared_errors.append(np.square(found.psi.numpy() - psi).mean())
        psnr_db.append(image_metrics(found.sharp.numpy(), sharp)["psnr_db"])
    ratio = squared_errors[0] / squared_errors[1]
    assert_clears("flags: squared depth error by that without a veto", ratio, below=0.9, spread=0.03)
    gain_db = psnr_db[0] - psnr_db[1]
    assert_clears("flags: the image's gain by the veto (dB)", gain_db, above=-0.2, spread=0.1)

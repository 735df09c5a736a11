"""Learnt depth: what it reads, what it learns from, and that its weights know their bank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from margins import assert_clears

from dpcip.camera.noise import ROUNDING
from dpcip.camera.sensor import Sensor
from dpcip.data.datasets import rendered
from dpcip.data.photographs import photograph_scene
from dpcip.initialization.initialize import depth_prior
from dpcip.initialization.likelihood import depth_likelihood
from dpcip.learnt.depth import LearntDepth, shipped, weights_for
from dpcip.learnt.network import RANGE, in_units
from dpcip.learnt.pictures import KINDS, SIDE_PX, Pictures
from dpcip.learnt.published import FILE, RECIPE
from dpcip.learnt.samples import LearntSample, Photographer, in_latent_channels, take_all
from dpcip.learnt.training import Recipe, draw_batch, loss_of, symmetries, train, untrained
from dpcip.learnt.volumes import HIGHEST_COST, MOST_PLANES, PRIORS, VolumeTables, network_planes
from dpcip.optics.dual_pixel import dual_pixel_bank
from dpcip.optics.lens import Optics
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.utils.errors import InputError

SHORT = Recipe(n_pictures=2, steps=4, batch=2)


@pytest.fixture(scope="module")
def bank() -> PsfBank:
    """Few planes and taps, so that a photograph takes no time."""
    return PsfBank.synthesise(psi=psi_planes(-2, 4, 2), size=23)


@pytest.fixture(scope="module")
def samples(bank: PsfBank) -> list[LearntSample]:
    photographer = Photographer(bank)
    return [photographer.take(Pictures(), number) for number in range(2)]


def test_pictures_depend_on_their_number_alone() -> None:
    pictures, again = Pictures(), Pictures()
    _ = again[5]
    for number, kind in enumerate(KINDS):
        one, other = pictures[number], again[number]
        assert one.kind == kind and np.array_equal(one.sharp, other.sharp)
        assert np.array_equal(one.nearness, other.nearness)
        assert one.sharp.shape == (3, SIDE_PX, SIDE_PX) and one.nearness.shape == (SIDE_PX, SIDE_PX)
        for values in (one.sharp, one.nearness):
            assert values.dtype == np.float32 and values.min() >= 0 and values.max() <= 1
    assert not np.array_equal(Pictures(held_out=True)[0].sharp, pictures[0].sharp)


def test_volumes_are_the_likelihoods(bank: PsfBank) -> None:
    capture = torch.rand(3, 37, 52, generator=torch.Generator().manual_seed(0))
    planes = network_planes(bank)
    volumes = VolumeTables(planes, ROUNDING).read(capture)
    usual = PRIORS.index((24, 0.98))
    costs = -depth_likelihood(capture, planes)
    expected = (costs - costs.amin(dim=0)).clamp_max(HIGHEST_COST)
    assert volumes.costs.shape == (len(PRIORS), len(planes.psi), 10, 13)
    assert torch.allclose(volumes.costs[usual].float(), expected, rtol=2e-3, atol=0.05)
    assert (volumes.evidence >= 0).all() and (volumes.evidence[:4].amin(dim=0) == 0).all()


@pytest.mark.parametrize("n_planes", [2, 16, 17, 40])
def test_number_of_planes_is_bounded(bank: PsfBank, n_planes: int) -> None:
    psf = bank.psf[:1].expand(n_planes, -1, -1, -1)
    planes = network_planes(PsfBank(psf, np.linspace(-2, 4, n_planes), bank.lens))
    assert len(planes.psi) == (2 * n_planes - 1 if n_planes <= 16 else min(n_planes, MOST_PLANES))
    assert (np.diff(planes.psi) > 0).all() and (planes.psi[0], planes.psi[-1]) == (-2, 4)


def test_mirrored_photographs_only_where_the_psfs_are() -> None:
    assert symmetries(PsfBank.synthesise(psi=np.array([0.0, 4.0]), size=23)) == (True, True, True)
    assert symmetries(dual_pixel_bank()) == (True, False, False)


def test_batches_are_turned_whole(samples: list[LearntSample]) -> None:
    costs, evidence, capture, psi = draw_batch(samples, SHORT, 3, (True, True, True))
    again = draw_batch(samples, SHORT, 3, (True, True, True))
    assert all(torch.equal(a, b) for a, b in zip((costs, evidence, capture, psi), again, strict=True))
    for number in range(SHORT.batch):
        matches = []
        for sample in samples:
            for turn in range(8):
                turned = sample.psi.rot90(turn % 4)
                turned = turned.flip(0) if turn > 3 else turned
                if torch.equal(turned, psi[number]):
                    picture = sample.capture.float().rot90(turn % 4, (1, 2))
                    matches.append(torch.equal(picture.flip(1) if turn > 3 else picture, capture[number]))
        assert any(matches)


def test_units_are_the_banks_range(bank: PsfBank) -> None:
    assert in_units(torch.tensor([-2.0, 1.0, 4.0]), bank).tolist() == [0, RANGE / 2, RANGE]


def test_network_begins_as_the_likelihood(bank: PsfBank, samples: list[LearntSample]) -> None:
    """Untrained, its scores follow the volumes' mean, and a pixel's psi lies between those of the windows around it."""
    network, volumes = untrained(bank), samples[0].volumes
    with torch.no_grad():
        guess = network(volumes.costs.float()[None], volumes.evidence.float()[None], samples[0].capture.float()[None])
    assert guess.psi.shape == guess.log_scale.shape == (1, SIDE_PX, SIDE_PX)
    assert 0 <= guess.psi.min() and guess.psi.max() <= RANGE
    mean = volumes.costs.float().clamp(max=40).mean(dim=0)
    spread = (mean.amax(dim=0) - mean.amin(dim=0)) > 20  # windows that tell planes apart
    assert (guess.scores[0].argmax(dim=0) == mean.argmin(dim=0))[spread].float().mean() > 0.9
    loss = loss_of(guess, in_units(samples[0].psi, bank)[None], network.planes)
    assert torch.isfinite(loss)


@pytest.mark.slow
def test_training_goes_on_where_it_was_stopped(bank: PsfBank, samples: list[LearntSample], tmp_path: Path) -> None:
    whole, _ = train(bank, samples, SHORT, tmp_path / "whole.pt")

    def stop(step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bank, samples, SHORT, tmp_path / "part.pt", on_step=stop)
    resumed, _ = train(bank, samples, SHORT, tmp_path / "part.pt")
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-6), name


def test_samples_are_kept(bank: PsfBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographer, pictures = Photographer(bank), Pictures(held_out=True)
    first = take_all(photographer, pictures, 2, tmp_path)
    monkeypatch.setattr(photographer, "take", lambda *_: pytest.fail("taken again"))
    again = take_all(photographer, pictures, 2, tmp_path)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.volumes.costs, other.volumes.costs) and one.kind == other.kind
        assert one.psi.min() >= bank.psi[0] - 1e-6 and one.psi.max() <= bank.psi[-1] + 1e-6


@pytest.mark.parametrize(("n_latent", "expected"), [(1, [0.5]), (2, [0.0, 0.5]), (3, [0.0, 0.5, 1.0])])
def test_pictures_have_as_many_channels_as_the_camera_sees(n_latent: int, expected: list[float]) -> None:
    sharp = np.array([0.0, 0.5, 1.0])[:, None, None] * np.ones((3, 4, 4))
    assert in_latent_channels(sharp, n_latent)[:, 0, 0].tolist() == expected


def test_weights_know_their_bank(bank: PsfBank, samples: list[LearntSample], tmp_path: Path) -> None:
    network = untrained(bank)
    path = tmp_path / "weights.safetensors"
    LearntDepth.of(network, bank, {"seconds": 1}).save(path)
    kept = LearntDepth.load(path)
    assert kept.card["seconds"] == 1 and len(kept.sha256) == 64 and path.stat().st_size < 6e6
    other = PsfBank.synthesise(Optics(airy_px=1.02 * Optics().airy_px), psi_planes(-2, 4, 2), 23)
    assert kept.fits(bank) and not kept.fits(other) and not kept.fits(dual_pixel_bank())
    capture = samples[0].capture.float()[:, :37, :50]
    prior = kept.prior(capture, bank)
    assert prior.psi.shape == prior.psi_std.shape == (37, 50) and (prior.psi_std > 0).all()
    assert bank.psi[0] <= prior.psi.min() and prior.psi.max() <= bank.psi[-1]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        LearntDepth.load(path)
    with pytest.raises(InputError, match="no such file"):
        LearntDepth.load(tmp_path / "none.safetensors")


def test_a_bank_without_weights_is_refused(bank: PsfBank) -> None:
    assert shipped(bank) is None
    with pytest.raises(InputError, match="train"):
        weights_for(bank)


def test_what_comes_with_dpcip(tmp_path: Path) -> None:
    """Weights for the published camera: known again from a file of its PSFs, and better in linear light with noise."""
    camera = PsfBank.synthesise()
    network = shipped(camera)
    assert network is not None and network.card["pictures"] == RECIPE.n_pictures
    assert FILE.stat().st_size < 6e6
    camera.save(tmp_path / "bank.npz")
    assert weights_for(PsfBank.load(tmp_path / "bank.npz")).sha256 == network.sha256
    scene = next(s for s in rendered() if s.name == "room_07").read().middle(192, 192)
    photograph = photograph_scene(replace(scene, sharp=(scene.sharp**2.2).astype(np.float32)))
    capture = torch.as_tensor(Sensor(read_noise=0.003, bits=12).expose(photograph.capture, seed=0))
    camera = replace(camera, psf=camera.psf.float())
    learnt, alone = (
        float((prior(capture, camera, 0.003).psi - torch.as_tensor(photograph.psi_true)).abs().mean())
        for prior in (network.prior, depth_prior)
    )
    assert_clears("room, linear light: psi's error by that of likelihood alone", learnt / alone, below=0.8, spread=0.05)

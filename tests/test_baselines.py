"""The supervised rivals: their layers, what they learn from, training that can be interrupted, weights on disk."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from margins import assert_clears

from dpcip.baselines.depth_fcn import FIRST_PSI, N_CLASSES, DepthFcn
from dpcip.baselines.edof_net import EdofNet
from dpcip.baselines.evaluate import read_rivals, rival_rows
from dpcip.baselines.rival import Rival, Sample
from dpcip.baselines.train import Frames, Plan, blind_error, plans, run
from dpcip.baselines.train import tested as unseen_errors
from dpcip.baselines.training import NETWORKS, Recipe, draw_batch, fingerprint, train
from dpcip.baselines.training_data import SIDE_PX, composed
from dpcip.baselines.weights import read_card, read_weights, write_weights
from dpcip.camera import models as camera
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import Shot
from dpcip.data.scenes import Scene
from dpcip.evaluation.metrics import image_metrics
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.paper.pipeline import train as train_stage
from dpcip.study.cases import Case
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json

SMALL = {"depth_fcn": Recipe("depth_fcn", 12, 48, batch=2), "edof_net": Recipe("edof_net", 12, 24, batch=2)}


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(composed(4, 0, 4))


@pytest.mark.parametrize(("network", "n_weights"), [(DepthFcn(), 1_826_860), (EdofNet(), 48_387)])
def test_output_is_of_the_photographs_size(network: Rival, n_weights: int) -> None:
    out = network(torch.rand(2, 3, 50, 71))
    assert out.shape == (2, N_CLASSES if isinstance(network, DepthFcn) else 3, 50, 71)
    assert sum(p.numel() for p in network.parameters()) == n_weights


def test_expected_class_is_psi() -> None:
    scores = torch.full((1, N_CLASSES, 1, 2), -50.0)
    scores[0, 15, 0, 0], scores[0, 1, 0, 1] = 50, 50
    assert torch.equal(DepthFcn.expected_psi(scores)[0, 0], torch.tensor([10.0, -4.0]))
    assert FIRST_PSI == -5


def test_depth_network_sees_colours_about_zero_and_stays_in_range() -> None:
    network, seen = DepthFcn(), list[torch.Tensor]()
    network.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    network(torch.full((2, 3, 32, 32), 0.75))
    assert torch.equal(seen[0], torch.full((2, 3, 32, 32), 0.5))
    farthest = torch.full((1, N_CLASSES, 4, 4), -50.0)
    farthest[:, 0] = 50  # psi -5, which the camera does not have
    network.forward = lambda capture: farthest  # type: ignore[method-assign]
    assert (network.estimate(np.zeros((3, 4, 4))) == -4).all()


def test_edof_network_adds_to_the_photograph_what_16_pixels_around_tell() -> None:
    network = EdofNet().eval()
    capture = torch.rand(1, 3, 41, 41, requires_grad=True)
    network(capture)[0, :, 20, 20].sum().backward()
    assert capture.grad is not None
    (reached,) = capture.grad.abs().sum(dim=(0, 1, 2)).nonzero(as_tuple=True)
    assert (reached.min(), reached.max()) == (4, 36)  # 1 + (2 + 3 + 4 + 3 + 2) + 1
    for parameter in network.residual[-1].parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(network(capture), capture)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_overfits_four_pictures(name: str) -> None:
    """What the loss, the layers and the gradients have to be able to do; no more than that."""
    four = [Sample(*(a[..., :64, :64] for a in (s.capture, s.sharp, s.psi))) for s in composed(4, 1, 3)]
    capture, sharp, psi = (
        torch.from_numpy(np.stack([getattr(s, k) for s in four])) for k in ("capture", "sharp", "psi")
    )
    torch.manual_seed(0)
    network = NETWORKS[name]()
    adam = torch.optim.Adam(network.parameters(), lr=3e-3)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 300)
    first = network.loss(capture, sharp, psi, 1.0).item()
    for _ in range(300):
        loss = network.loss(capture, sharp, psi, 1.0)
        adam.zero_grad()
        loss.backward()
        adam.step()
        rates.step()
    bound, spread = {"depth_fcn": (0.02, 0.005), "edof_net": (0.3, 0.05)}[name]
    assert_clears(f"{name} overfits: last loss by the first", loss.item() / first, below=bound, spread=spread)


def test_both_losses_of_the_depth_network_fall_towards_the_truth() -> None:
    psi = torch.tensor([[[3.0, -4.0]]])
    right = torch.full((1, N_CLASSES, 1, 2), -9.0)
    right[0, 8, 0, 0], right[0, 1, 0, 1] = 9, 9
    network = DepthFcn()
    network.forward = lambda capture: right  # type: ignore[method-assign]
    good = [network.loss(psi, psi, psi, progress).item() for progress in (0.0, 0.9)]
    network.forward = lambda capture: right.roll(1, 1)  # type: ignore[method-assign]
    bad = [network.loss(psi, psi, psi, progress).item() for progress in (0.0, 0.9)]
    assert max(good) < 1e-3 and bad[0] > 10 and bad[1] == pytest.approx(1, abs=1e-2)


@pytest.mark.slow
def test_composed_pictures_are_photographs_of_the_simulator(samples: list[Sample]) -> None:
    bank = PsfBank.synthesise(psi=psi_planes(step=0.1))
    for sample in samples[:2]:
        light = simulate(sample.sharp, sample.psi.astype(np.float64), bank)
        assert image_metrics(sample.capture, Sensor().expose(light))["psnr_db"] > 45
        assert image_metrics(sample.capture, sample.sharp)["psnr_db"] < 35


def test_composed_pictures_are_all_different_and_the_held_out_ones_are_others(samples: list[Sample]) -> None:
    again, held = list(composed(2, 0, 4)), next(composed(1, 0, 4, held_out=True))
    assert np.array_equal(again[1].capture, samples[1].capture) and np.array_equal(again[1].psi, samples[1].psi)
    assert not np.array_equal(again[0].psi, again[1].psi) and not np.array_equal(held.psi, again[0].psi)
    (flat,) = composed(1, 0, 1)
    assert np.ptp(flat.psi) == 0 and flat.sharp.shape == (3, SIDE_PX, SIDE_PX)


def test_patches_keep_image_and_depth_together() -> None:
    psi = np.random.default_rng(0).uniform(0.2, 0.6, (40, 60)).astype(np.float32)
    sample = Sample(np.stack([psi] * 3), np.stack([psi] * 3), psi)
    recipe = replace(SMALL["depth_fcn"], crop_px=16, batch=32)
    capture, sharp, patch = draw_batch([sample], recipe, 5)
    gain = sharp / patch[:, None]
    assert gain.flatten(2).std(dim=2).max() < 1e-5 and gain.min() >= 0.7 - 1e-4 and gain.max() <= 1.1 + 1e-4
    assert 0.5 < (capture - sharp).std() / (3 / 255) < 1.5
    assert torch.equal(draw_batch([sample], recipe, 5)[0], capture)
    assert not torch.equal(draw_batch([sample], recipe, 6)[0], capture)


class Killed(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_interrupted_training_ends_as_if_never_stopped(
    name: str, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpcip.baselines.training.CHECKPOINT_SECONDS", 0)
    whole = train(SMALL[name], samples, samples[:1], tmp_path / "whole")

    def stop(step: int) -> None:
        if step == 7:
            raise Killed

    with pytest.raises(Killed):
        train(SMALL[name], samples, samples[:1], tmp_path / "parts", stop)
    steps: list[int] = []
    resumed = train(SMALL[name], samples, samples[:1], tmp_path / "parts", steps.append)
    assert steps[0] == 7 and resumed.curve == whole.curve and resumed.best_step == whole.best_step
    for a, b in zip(whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_damaged_checkpoint_of_a_training_is_told(samples: list[Sample], tmp_path: Path) -> None:
    train(SMALL["edof_net"], samples, samples[:1], tmp_path)
    (checkpoint,) = tmp_path.glob("*.pt")
    whole = torch.load(checkpoint, weights_only=True)
    for part in ("network", "curve"):
        torch.save({name: value for name, value in whole.items() if name != part}, checkpoint)
        with pytest.raises(InputError, match=rf"{checkpoint.name}: is of another version of the code; delete it"):
            train(SMALL["edof_net"], samples, samples[:1], tmp_path)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    with pytest.raises(InputError, match=rf"{checkpoint.name}: the checkpoint cannot be read; delete it"):
        train(SMALL["edof_net"], samples, samples[:1], tmp_path)


@pytest.mark.slow
def test_best_step_is_that_of_the_smallest_validation_error(samples: list[Sample], tmp_path: Path) -> None:
    done = train(replace(SMALL["edof_net"], learning_rate=0.05), samples, samples[:1], tmp_path)
    assert done.best_step == min(done.curve, key=lambda row: row["validation"])["step"]
    errors = [row["validation"] for row in done.curve]
    assert done.network.error(samples[0]) == pytest.approx(min(errors)) and len(errors) == 12


@pytest.mark.slow
def test_no_training_sees_its_left_out_scene_or_its_validation_frames() -> None:
    def shot(place: str, number: int) -> Shot:
        value = np.full((3, 32, 32), ("abc".index(place) * 4 + number) / 12, dtype=np.float32)
        scene = Scene(f"{place}{number}", value, np.full((32, 32), 1.0), np.ones((32, 32), dtype=bool))
        return Shot(place, scene.name, lambda: scene)

    pictures = Frames("rendered")
    pictures.shots = {place: [shot(place, n) for n in range(4)] for place in "abc"}
    made = list(plans("depth_fcn", pictures, 0, 2))
    assert [plan.left_out for plan in made] == ["a", "b", "c", None] and made[-1].name == "composed"
    for plan in made[:-1]:
        seen = {sample.sharp.tobytes() for sample in plan.samples}
        held = {sample.sharp.tobytes() for sample in plan.validation}
        never = {sample.sharp.tobytes() for sample in pictures.samples(plan.left_out)}
        assert len(seen) == 12 and len(held) == 4 and not (seen & held or seen & never or held & never)
    pictures.shots = {"a": pictures.shots["a"]}
    assert [plan.name for plan in plans("depth_fcn", pictures, 0, 2)] == ["composed"]
    pictures.shots = {place: [shot(place, 0)] for place in "ab"}
    with pytest.raises(InputError, match="no scene but 'a' has two frames"):
        next(plans("depth_fcn", pictures, 0, 2))


def test_held_out_pictures_are_of_other_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    grey = np.full((3, 200, 200), 0.5, dtype=np.float32)
    monkeypatch.setattr("dpcip.baselines.training_data._picture", lambda name: (taken.append(name), grey)[1])
    next(composed(1, 0, 2))
    learned = set(taken)
    taken.clear()
    next(composed(1, 0, 2, held_out=True))
    assert len(learned) == 11 and len(set(taken)) == 3 and not learned & set(taken)


def test_test_error_is_that_of_the_left_out_scene() -> None:
    def sample(psi: float) -> Sample:
        picture = np.full((3, 32, 32), 0.5, dtype=np.float32)
        return Sample(picture, picture, np.full((32, 32), psi, dtype=np.float32))

    pictures = Frames("rendered")
    pictures._read = {"table": [sample(4.0)], "room": [sample(-4.0)]}
    network = DepthFcn()
    network.estimate = lambda capture: np.ones((32, 32), dtype=np.float32)  # type: ignore[method-assign]
    learned = Plan("without_table", "", [sample(-1.0), sample(-1.0), sample(9.0)], [sample(1.0)], left_out="table")
    assert unseen_errors(network, learned, pictures) == {"table": {"error": 3.0, "blind_error": 5.0}}
    bright = Sample(np.full((3, 8, 8), 0.75), np.full((3, 8, 8), 0.5), np.zeros((8, 8)))
    assert blind_error(EdofNet(), learned, [bright]) == pytest.approx(0.25)


def test_fingerprint_changes_with_all_that_is_learned_from(samples: list[Sample]) -> None:
    one = SMALL["edof_net"]
    changed = replace(samples[0], psi=samples[0].psi + 1), replace(samples[0], sharp=samples[0].sharp / 2)
    names = [
        fingerprint(recipe, [first], [last])
        for recipe in (one, replace(one, seed=1))
        for first, last in itertools.product((samples[0], *changed), repeat=2)
    ]
    assert len(set(names)) == 18 and fingerprint(one, [samples[0]], [samples[0]]) == names[0]
    assert fingerprint(one, samples[:1], samples[1:]) != fingerprint(one, samples, [])


def test_fingerprint_is_of_what_was_photographed(samples: list[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """A grey level that another processor rounds the other way is no other training; another simulator is."""
    one, turned = SMALL["edof_net"], replace(samples[0], capture=samples[0].capture + 1 / 255)
    before = fingerprint(one, [samples[0]], [])
    assert fingerprint(one, [turned], []) == before
    monkeypatch.setattr(camera, "ALGORITHM", camera.ALGORITHM + 1)
    assert fingerprint(one, [samples[0]], []) != before


@pytest.mark.slow
def test_stage_writes_weights_and_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {
        **{"scale": "small", "seed": 0, "dataset": "motorcycle"},
        "baselines": {"small": {"composed": 2, "edof_net": {"steps": 2, "crop_px": 24, "batch": 2}}},
    }
    # A photograph of the motorcycle takes a minute.
    monkeypatch.setattr(Frames, "samples", lambda self, place: list(composed(1, 9, 2)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "former.safetensors").write_bytes(b"of a plan that is no more")
    run("edof_net", params, tmp_path / "out", tmp_path / "work")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("README.md", "composed.json", "composed.safetensors", "textures.json", "textures.safetensors")
    ]
    assert "| textures" in (tmp_path / "out" / "README.md").read_text()
    card = read_card(tmp_path / "out" / "composed")
    assert card["left_out"] is None and card["samples"] == 2 and len(card["curve"]) == 2
    assert card["test"]["motorcycle"]["blind_error"] > 0 and card["machine"]["torch"] == torch.__version__
    # Kept weights are scored anew; a curve that is not the training's, or other data, have it trained anew.
    for forged in ({"test": {}}, {"validation": 0.0}, {"curve": [{**row, "validation": 0.0} for row in card["curve"]]}):
        write_json(tmp_path / "out" / "composed.json", {**card, **forged})
        run("edof_net", params, tmp_path / "out", tmp_path / "work")
        assert read_card(tmp_path / "out" / "composed") == card
    monkeypatch.setattr(Frames, "samples", lambda self, place: list(composed(1, 8, 2)))
    run("edof_net", params, tmp_path / "out", tmp_path / "work")
    assert read_card(tmp_path / "out" / "composed")["test"] != card["test"]


def test_unknown_network_is_refused() -> None:
    with pytest.raises(InputError, match="network 'gan' is unknown"):
        train_stage("gan")


@pytest.mark.slow
def test_weights_survive_the_disk(samples: list[Sample], tmp_path: Path) -> None:
    network = train(SMALL["depth_fcn"], samples, samples[:1], tmp_path).network
    write_weights(tmp_path / "net", network, {"network": "depth_fcn", "left_out": None})
    read = read_weights(tmp_path / "net")
    assert np.abs(read.estimate(samples[0].capture) - network.estimate(samples[0].capture)).max() < 0.05


def test_training_that_comes_out_the_same_leaves_no_trace(tmp_path: Path) -> None:
    """By the committed weights, trained by whatever wrote them: written anew on another day they stay as they are."""
    names = ("composed.safetensors", "composed.json")
    committed = Path(__file__).resolve().parent.parent / "results" / "baselines" / "edof_net"
    for name in names:
        shutil.copy(committed / name, tmp_path)
    before = [(tmp_path / name).read_bytes() for name in names]
    age = (tmp_path / names[0]).stat().st_mtime_ns
    card = {**read_card(tmp_path / "composed"), "seconds": 1e6, "machine": {}}
    written = write_weights(tmp_path / "composed", read_weights(tmp_path / "composed"), card)
    assert [(tmp_path / name).read_bytes() for name in names] == before
    assert (tmp_path / names[0]).stat().st_mtime_ns == age and written["seconds"] < 1e6
    write_weights(tmp_path / "composed", EdofNet(), card)
    assert read_card(tmp_path / "composed")["seconds"] == 1e6, "other weights, another card"


def test_faulty_weights_are_told(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "net"
    with pytest.raises(InputError, match=r"net.json: is missing"):
        read_weights(path)
    with pytest.raises(InputError, match="holds no trained network"):
        read_rivals(tmp_path / "none")
    (tmp_path / "net.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"net.json: is missing"):
        read_rivals(tmp_path)
    write_weights(path, EdofNet(), {"network": "edof_net"})
    whole = path.with_suffix(".safetensors").read_bytes()
    path.with_suffix(".safetensors").write_bytes(whole[:-1])
    with pytest.raises(InputError, match="not what its card describes"):
        read_weights(path)
    write_weights(path, EdofNet(), {"network": "depth_fcn"})
    with pytest.raises(InputError, match="does not hold the weights of depth_fcn"):
        read_weights(path)
    path.with_suffix(".json").write_text(json.dumps({**read_card(path), "network": "gan"}))
    with pytest.raises(InputError, match="'gan' is unknown"):
        read_weights(path)


def test_each_photograph_is_scored_by_networks_that_have_not_seen_its_scene(tmp_path: Path) -> None:
    for name, left_out in (("without_table", "table"), ("without_room", "room"), ("composed", None)):
        write_weights(tmp_path / name, DepthFcn(), {"network": "depth_fcn", "left_out": left_out})
    rows = rival_rows([Case("table_14", factor=8)], read_rivals(tmp_path))
    assert {kind: list(part["place"]) for kind, part in rows.items()} == {
        "composed": ["table"],
        "other scenes": ["table"],
    }
    line = rows["other scenes"].iloc[0]
    assert line["solve"] == read_card(tmp_path / "without_table")["sha256"]
    assert line["depth_rmse_m"] > 0 and np.isnan(line["ssim"]) and 0 < line["seconds"]

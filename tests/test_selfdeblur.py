"""SelfDeblur: its parts after the public code, its schedule, what it recovers, and that nothing is deblurred twice."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from margins import assert_clears
from scipy.signal import convolve2d

from dpcip.baselines import blind, selfdeblur
from dpcip.baselines.blind import BlindCase, blind_case, deblur_cached, deblurred_of
from dpcip.baselines.ceilings import ceilings
from dpcip.baselines.deblurring import ceiling_rows, with_alignment
from dpcip.baselines.motion import motion_kernel, motion_pair
from dpcip.baselines.non_local import NonLocal
from dpcip.baselines.selfdeblur import Deblurring, Networks, Recipe, blur
from dpcip.evaluation.alignment import kernel_similarity
from dpcip.evaluation.scores import ALSO
from dpcip.paper.tables import PSNR_ALIGNED, comparison
from dpcip.study.cases import Case, photograph
from dpcip.study.runs import run_study, save_reports
from dpcip.utils.errors import InputError

FAR = Case("table_14", factor=4, distance="far", side_px=64)
CPU = torch.device("cpu")


def small(iterations: int = 10, seed: int = 0) -> Deblurring:
    return Deblurring(torch.from_numpy(motion_pair(33, 5).blurred[0]), Recipe(5, iterations, seed), CPU)


def test_non_local_block_begins_as_nothing_and_is_the_formula() -> None:
    block, x = NonLocal(8), torch.rand(2, 8, 6, 5)
    assert torch.equal(block(x), x)
    torch.nn.init.ones_(block.norm.weight)
    theta = block.theta(x).flatten(2)
    phi, g = (torch.nn.functional.max_pool2d(layer(x), 2).flatten(2) for layer in (block.phi, block.g))
    pairs = torch.einsum("nap,nam->npm", theta, phi) / phi.shape[-1]  # every pixel with every other
    found = torch.einsum("npm,nam->nap", pairs, g).unflatten(2, (6, 5))
    assert torch.allclose(block(x), x + block.norm(block.out(found)), atol=1e-5)
    assert block(x[..., :1]).shape == (2, 8, 6, 1)


def test_blur_is_a_convolution_and_valid() -> None:
    image, kernel = torch.rand(1, 20, 17, dtype=torch.float64), torch.rand(5, 5, dtype=torch.float64)
    expected = convolve2d(image[0].numpy(), kernel.numpy(), mode="valid")
    assert np.allclose(blur(image, kernel)[0].numpy(), expected) and expected.shape == (16, 13)


def test_networks_are_the_public_codes() -> None:
    networks = Networks((40, 50), 7)
    image, kernel = networks(torch.zeros(()))
    assert image.shape == (1, 46, 56) and 0 < image.min() and image.max() < 1
    assert kernel.shape == (7, 7) and kernel.min() >= 0 and kernel.sum().item() == pytest.approx(1)
    assert networks.code.shape == (1, 8, 46, 56) and 0.09 < networks.code.max() <= 0.1
    assert networks.kernel_code.shape == (200,) and networks.kernel_code.max() <= 0.1
    where = [name for name, part in networks.image.named_modules() if isinstance(part, NonLocal)]
    assert where == [f"{'inner.' * depth}down.1" for depth in (2, 3, 4)]
    assert [type(part).__name__ for part in networks.kernel] == ["Linear", "ReLU6", "Linear", "Softmax"]


@pytest.mark.slow
def test_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """L2 for a tenth, then SSIM; both rates halved after 40, 60 and 80 %."""
    by_ssim, ssim = [], selfdeblur.ssim
    task, rates = small(10), []
    monkeypatch.setattr(selfdeblur, "ssim", lambda x, y: (by_ssim.append(task.iteration), ssim(x, y))[1])
    while not task.done:
        task.step()
        rates.append([group["lr"] for group in task.optimizer.param_groups])
    assert by_ssim == list(range(1, 10))
    assert [rate for rate, _ in rates] == [0.01] * 4 + [0.005] * 2 + [0.0025] * 2 + [0.00125] * 2
    assert all(kernel == pytest.approx(image / 100) for image, kernel in rates)


@pytest.mark.slow
def test_seed_decides_everything_and_a_resumed_run_ends_alike() -> None:
    runs = [small(), small(), small(seed=1)]
    for run in runs:
        for _ in range(4):
            run.step()
    assert torch.equal(runs[0].sharp, runs[1].sharp) and not torch.equal(runs[0].sharp, runs[2].sharp)
    runs[1] = small()
    runs[1].load_state_dict(runs[0].state_dict())
    for _ in range(3):
        runs[0].step()
        runs[1].step()
    assert torch.equal(runs[0].sharp, runs[1].sharp) and torch.equal(runs[0].kernel, runs[1].kernel)


@pytest.mark.slow
def test_it_finds_a_small_motion() -> None:
    """SelfDeblur's own task in short; notebook 4 at scale laptop shows the whole of it.

    Of the kernel: how much the image gains after so few iterations depends on the processor and the number of threads
    (0.5 dB in float32 on one, 2.6 in bfloat16), how much the kernel is like the true one hardly does.
    """
    pair = motion_pair(64, 7)
    task = Deblurring(torch.from_numpy(pair.blurred[0]), Recipe(7, 250), CPU)
    while not task.done:
        task.step()
    flat_guess = kernel_similarity(np.ones((7, 7)), pair.kernel)
    more = kernel_similarity(task.kernel.numpy(), pair.kernel) - flat_guess
    assert_clears("SelfDeblur's kernel is more alike than a flat guess", more, above=0.1, spread=0.05)


def test_motion_pair_is_what_it_says() -> None:
    pair = motion_pair(40, 9)
    assert pair.sharp.shape == pair.blurred.shape == (1, 40, 40) and pair.kernel.sum() == pytest.approx(1)
    inner = convolve2d(pair.sharp[0], pair.kernel, mode="valid")
    assert np.abs(inner - pair.blurred[0, 4:-4, 4:-4]).max() < 0.51 / 255
    assert (motion_kernel(9) > 0).any(axis=0).sum() > 6


def test_unusable_recipe_is_refused() -> None:
    for wrong, why in (({"kernel_px": 10}, "odd"), ({"kernel_px": -1}, "odd"), ({"iterations": 0}, "at least one")):
        with pytest.raises(InputError, match=why):
            Recipe(**wrong)
    with pytest.raises(InputError, match="the loss is nan"):
        Deblurring(torch.full((32, 32), torch.nan), Recipe(3, 5), CPU).step()


@pytest.mark.slow
def test_killed_run_goes_on_and_nothing_is_deblurred_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blurred, recipe = photograph(FAR).capture[:2], Recipe(5, 6)
    whole = deblur_cached(blurred, recipe, tmp_path / "whole")
    monkeypatch.setattr(blind, "CHECKPOINT_SECONDS", 0.0)

    def stop(iteration: int) -> None:
        if iteration == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deblur_cached(blurred, recipe, tmp_path / "killed", stop)
    (checkpoint,) = (tmp_path / "killed" / "solves").glob("*/checkpoint.pt")
    state = checkpoint.read_bytes()
    torch.save({"seconds": 1.0, "channels": [{"networks": {}}] * 2}, checkpoint)
    with pytest.raises(InputError, match=r"checkpoint.pt: is of another version of the code; delete it"):
        deblur_cached(blurred, recipe, tmp_path / "killed")
    checkpoint.write_bytes(state)
    steps: list[int] = []
    again = deblur_cached(blurred, recipe, tmp_path / "killed", steps.append)
    assert steps == [4, 5, 6]
    assert np.array_equal(again.sharp, whole.sharp) and np.array_equal(again.kernels, whole.kernels)
    kept = deblur_cached(blurred, recipe, tmp_path / "killed", steps.append)
    assert steps == [4, 5, 6] and np.array_equal(kept.sharp, whole.sharp)
    assert kept.sharp.shape == (2, 64, 64) and kept.kernels.shape == (2, 5, 5)
    assert len(list((tmp_path / "killed" / "solves").glob("*/checkpoint.pt"))) == 0
    for name, damage in (("deblurred.npz", b"PK\x03\x04 cut off"), ("report.json", b"[]")):
        next((tmp_path / "killed").rglob(name)).write_bytes(damage)
        mended = deblur_cached(blurred, recipe, tmp_path / "killed")
        assert np.array_equal(mended.sharp, whole.sharp) and mended.report["method"] == "SelfDeblur"


def test_fingerprint_depends_on_what_enters() -> None:
    blurred = photograph(FAR).capture
    names = {
        blind.fingerprint(part, recipe)
        for part in (blurred, blurred[:1], 1 - blurred)
        for recipe in (Recipe(5, 6), Recipe(7, 6), Recipe(5, 7), Recipe(5, 6, 1))
    }
    assert len(names) == 12


@pytest.mark.slow
def test_study_of_blind_cases(tmp_path: Path) -> None:
    case = BlindCase(FAR, 5, 3, channels="G")
    rows = run_study([case, dataclasses.replace(case, kernel_px=7)], tmp_path, solve=blind_case)
    assert list(rows["kernel_px"]) == [5, 7] and list(rows["place"]) == ["table"] * 2
    found = deblurred_of(rows.loc[1], tmp_path)
    truth = photograph(FAR).scene.sharp[1:2]
    assert rows["psnr_db"][1] == pytest.approx(-10 * np.log10(np.square(found.sharp - truth).mean()))
    true_psf = photograph(FAR).bank.psf[0, 1].numpy()
    assert rows["kernel_similarity"][1] == pytest.approx(kernel_similarity(found.kernels[0], true_psf))
    save_reports(rows, tmp_path / "reports", tmp_path)
    assert len(list((tmp_path / "reports").iterdir())) == 2
    line = comparison("all", "SelfDeblur", PSNR_ALIGNED, 19.6, rows, same_scenes=False)
    assert line["ours"] == pytest.approx(rows["psnr_aligned_db"].mean())


def test_far_scene_is_one_uniform_blur() -> None:
    """The 71x71 PSF of psi = -4 in each channel, the border repeated, 8 bits."""
    photo = photograph(FAR)
    assert photo.capture.shape == (3, 64, 64) and (photo.psi_true == -4).all()
    for channel in range(3):
        wide = np.pad(photo.scene.sharp[channel].astype(float), 35, mode="edge")
        expected = convolve2d(wide, photo.bank.psf[0, channel].numpy().astype(float), mode="valid")
        assert np.abs(expected - photo.capture[channel]).max() < 0.51 / 255
    with pytest.raises(InputError, match="distance 'near' is unknown"):
        dataclasses.replace(FAR, distance="near").scene()


@pytest.mark.slow
def test_ceilings_are_above_the_capture() -> None:
    rows = ceiling_rows([FAR])
    psnr = {method: part["psnr_db"][0] for method, part in rows.items()}
    assert list(psnr)[0] == "capture as it is" and len(psnr) == 4
    gain_db = min(list(psnr.values())[1:]) - psnr["capture as it is"]
    assert_clears("each ceiling is above the capture (dB)", gain_db, above=0.8, spread=0.2)
    assert all(set(ALSO) < set(part.columns) for part in rows.values())
    images = ceilings(photograph(FAR))
    assert all(image.shape == (3, 64, 64) and 0 <= image.min() and image.max() <= 1 for image in images.values())


@pytest.mark.slow
def test_solvers_rows_get_alignment_and_their_psi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpcip.baselines.deblurring.solution_of", lambda row: solution_of(row, tmp_path))
    from dpcip.study.cases import solution_of

    case = dataclasses.replace(FAR, preset="paper", generator="flat", iterations=2)
    rows = with_alignment([case], run_study([case], tmp_path))
    assert rows["psi_std"][0] < 1e-4 and rows["psi_mean"][0] == pytest.approx(rows["psi_distance"][0] - 4, abs=1e-4)
    assert rows["psnr_aligned_db"][0] > 5

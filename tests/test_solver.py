"""The stepper and the runner: quality on a tiny scene, exact resumption, stop rules, recovery."""

import dataclasses
import gc
import inspect
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from margins import assert_clears

from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.images import write_image
from dpcip.data.scenes import Scene, motorcycle
from dpcip.evaluation.metrics import depth_metrics, image_metrics
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank
from dpcip.paper.digest import modules_used
from dpcip.restoration.refinement import refined
from dpcip.solver import runner
from dpcip.solver import stepper as solver_module
from dpcip.solver.cache import solve_cached
from dpcip.solver.cost import estimate_cost
from dpcip.solver.runner import fingerprint, solve
from dpcip.solver.settings import PRESETS, Settings, with_iterations
from dpcip.solver.solution import Solution
from dpcip.solver.stepper import RAMP_ITERATIONS, Stepper
from dpcip.solver.stopping import LOST_FALL, converged, octave_fall, oscillates
from dpcip.utils.errors import InputError
from dpcip.utils.progress_stream import PROGRESS_FILE

CPU = torch.device("cpu")
QUICK = Settings(iterations=12, l2_iterations=5, channels_last=True)


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A 64x72 piece of the motorcycle photograph, most of the depth range in it."""
    whole = motorcycle().reduced(4)
    window = slice(20, 84), slice(44, 116)
    return Scene("piece", whole.sharp[:, *window], whole.depth_m[window], whole.valid[window])


@pytest.fixture(scope="session")
def capture(scene: Scene, bank: PsfBank) -> np.ndarray:
    return Sensor().expose(simulate(scene.sharp, scene.psi(bank.lens), bank))


@pytest.mark.slow
def test_solver_recovers_image_and_depth(capture: np.ndarray, scene: Scene, bank: PsfBank) -> None:
    """End to end: a sharper image than the capture, and a depth far better than the best constant.

    The median of three seeds: now and then a seed settles in a wrong depth with a perfect data fit.
    """
    settings = dataclasses.replace(PRESETS["fast"], iterations=160, l2_iterations=80)
    psi = scene.psi(bank.lens)
    error_of_constant = depth_metrics(np.full_like(psi, np.median(psi)), psi, valid=scene.valid)["psi_mae"]
    fits_db, gains_db, errors = [], [], []
    for seed in range(3):
        solution = solve(capture, bank, dataclasses.replace(settings, seed=seed), progress=False)
        gains_db.append(image_metrics(solution.sharp, scene.sharp)["psnr_db"])
        errors.append(depth_metrics(solution.psi, psi, valid=scene.valid)["psi_mae"])
        fits_db.append(solution.report["data_fit_db"])
        assert solution.depth_m == pytest.approx(bank.lens.depth_from_psi(solution.psi))
    gain_db = np.median(gains_db) - image_metrics(capture, scene.sharp)["psnr_db"]
    assert_clears("each of three seeds explains the capture (dB)", min(fits_db), above=33, spread=1)
    assert_clears("the median seed sharpens the capture (dB)", gain_db, above=1, spread=0.5)
    of_constant = np.median(errors) / error_of_constant
    assert_clears("the median seed's depth error by that of a constant", of_constant, below=0.75, spread=0.1)


def test_ground_truth_has_no_way_in() -> None:
    """Nothing but capture, optics, settings, device and a trained network reaches the solver; it knows no scenes."""
    expected = ["self", "capture", "bank", "settings", "device", "learnt"]
    assert list(inspect.signature(Stepper.__init__).parameters) == expected
    assert "sharp" not in inspect.signature(solve).parameters
    used = {path.stem for path in modules_used("import dpcip.solver.runner\nimport dpcip.solver.tiled")}
    assert "initialize" in used
    assert not used & {"scenes", "datasets", "photographs", "simulator", "sensor", "metrics", "scores", "bench"}


@pytest.mark.slow
def test_same_seed_same_numbers(capture: np.ndarray, bank: PsfBank) -> None:
    first, again = (solve(capture, bank, QUICK, progress=False) for _ in range(2))
    other = solve(capture, bank, dataclasses.replace(QUICK, seed=1), progress=False)
    assert np.array_equal(first.sharp, again.sharp) and np.array_equal(first.psi, again.psi)
    assert not np.array_equal(first.sharp, other.sharp)


@pytest.mark.slow
def test_state_resumes_to_the_bit(capture: np.ndarray, bank: PsfBank, tmp_path: Path) -> None:
    whole, first = (Stepper(torch.tensor(capture), bank, QUICK, CPU) for _ in range(2))
    for _ in range(12):
        whole.step()
    for _ in range(7):  # past the change of loss
        first.step()
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = Stepper(torch.tensor(capture), bank, QUICK, CPU)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in range(5):
        second.step()
    assert second.losses == whole.losses
    assert torch.equal(second.best.sharp, whole.best.sharp) and torch.equal(second.best.psi, whole.best.psi)


RUN = """
import dataclasses, sys, dpcip.solver.runner
from dpcip.cli.main import main
from dpcip.solver.settings import PRESETS
dpcip.solver.runner.CHECKPOINT_SECONDS = 0.0
PRESETS["fast"] = dataclasses.replace(PRESETS["fast"], warmup_iterations=8, l2_iterations=10)
sys.argv = ["dpcip", *sys.argv[1:]]
main()
"""


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.slow
def test_kill_at_any_moment_then_the_same_command(capture: np.ndarray, tmp_path: Path) -> None:
    """kill -9 twice in mid-solve; the third run ends with the bits of a run that was never interrupted."""
    write_image(tmp_path / "coded.png", capture)

    def command(out: str) -> list[str]:
        options = ["--generator", "pip", "--iterations", "36", "--quiet"]
        return [sys.executable, "-c", RUN, "solve", str(tmp_path / "coded.png"), "--out", str(tmp_path / out), *options]

    subprocess.run(command("whole"), check=True, capture_output=True)
    seed = int.from_bytes(os.urandom(4))
    rng = np.random.default_rng(seed)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    for _ in range(2):
        before = _modified(checkpoint)
        process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while _modified(checkpoint) == before and process.poll() is None:  # until it iterates
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = subprocess.run(command("killed"), check=True, capture_output=True, text=True)
    assert "resumed at iteration" in last.stderr or "already solved" in last.stdout
    for name in ("psi.npy", "depth.npy", "all_in_focus.png"):
        same = (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert same, f"{name} differs; kill times of seed {seed}"
    assert not (tmp_path / "killed" / "checkpoint.pt").exists()


@pytest.mark.slow
def test_checkpoint_of_another_solve_is_refused(capture: np.ndarray, bank: PsfBank, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
    with pytest.raises(InputError, match="delete it"):
        solve(capture, bank, dataclasses.replace(QUICK, seed=3), checkpoint=checkpoint, progress=False)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read"):
        solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)


@pytest.mark.slow
def test_checkpoint_that_no_longer_fits_the_code_is_told(capture: np.ndarray, bank: PsfBank, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    solve(capture, bank, QUICK, max_seconds=1e-6, checkpoint=checkpoint, progress=False)
    whole = torch.load(checkpoint, weights_only=True)
    stepper = whole["stepper"]
    former_weights = {f"old.{name}": weight for name, weight in stepper["generator"].items()}
    less = {name: value for name, value in stepper.items() if name != "best"}
    for former in (less, {**stepper, "generator": former_weights}, {**stepper, "best": {"image": 1}}):
        torch.save({**whole, "stepper": former}, checkpoint)
        with pytest.raises(InputError, match=r"checkpoint.pt: is of another version of the code; delete it") as caught:
            solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_time_budget_stops_and_the_same_command_goes_on(capture: np.ndarray, bank: PsfBank, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    short = solve(capture, bank, QUICK, max_seconds=float("nan"), checkpoint=checkpoint, progress=False)
    assert short.report["stopped_by"] == "max_seconds" and short.report["iterations"] == 1
    for done in (2, 3):  # the same command goes on: the budget is each call's own
        report = solve(capture, bank, QUICK, max_seconds=1e-6, checkpoint=checkpoint, progress=False).report
        assert report["iterations"] == done
    full = solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
    assert full.report["stopped_by"] == "iterations"
    assert np.array_equal(full.psi, solve(capture, bank, QUICK, progress=False).psi)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_waits_for_the_step_and_loses_nothing(
    capture: np.ndarray, bank: PsfBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The signal comes in the middle of a step, between the gradient and the update."""
    update, checkpoint = Stepper._update, tmp_path / "checkpoint.pt"

    def interrupted(stepper: Stepper, loss: torch.Tensor) -> None:
        if stepper.iteration == 6:
            os.kill(os.getpid(), number)
        update(stepper, loss)

    monkeypatch.setattr(Stepper, "_update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
    monkeypatch.undo()
    assert torch.load(checkpoint, weights_only=True)["stepper"]["iteration"] == 7  # the step was finished, then saved
    resumed = solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
    assert np.array_equal(resumed.psi, solve(capture, bank, QUICK, progress=False).psi)


@pytest.mark.slow
def test_full_disk_costs_the_checkpoint_not_the_solve(
    capture: np.ndarray,
    bank: PsfBank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*arguments: object) -> None:
        raise RuntimeError("unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    solution = solve(capture, bank, QUICK, checkpoint=tmp_path / "checkpoint.pt", progress=False)
    assert solution.report["stopped_by"] == "iterations"
    assert "could not be saved" in caplog.text


@pytest.mark.slow
def test_longer_solve_goes_on_from_a_shorter_ones_checkpoint(
    capture: np.ndarray, bank: PsfBank, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
    longer = dataclasses.replace(QUICK, iterations=15)
    gone_on = solve(capture, bank, longer, checkpoint=checkpoint, progress=False)
    assert np.array_equal(gone_on.psi, solve(capture, bank, longer, progress=False).psi)


@pytest.mark.slow
def test_shorter_solve_refuses_a_longer_ones_checkpoint(capture: np.ndarray, bank: PsfBank, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    solve(capture, bank, QUICK, checkpoint=checkpoint, progress=False)
    with pytest.raises(InputError, match="12 iterations, past the 8 asked for"):
        solve(capture, bank, dataclasses.replace(QUICK, iterations=8), checkpoint=checkpoint, progress=False)


@pytest.mark.parametrize(
    "wrong", [{"psi_tv": math.inf}, {"psi_tv": -1.0}, {"noise": math.nan}, {"learn_phases_rad": math.inf}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=f"{name}.* {value}[,;].* must"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_fingerprint_covers_what_changes_the_numbers(
    capture: np.ndarray, bank: PsfBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = fingerprint(capture, bank, QUICK)
    assert base == fingerprint(capture.copy(), bank, QUICK)
    others = [
        fingerprint(capture + 1e-6, bank, QUICK),
        fingerprint(capture, dataclasses.replace(bank, lens=Lens(focus_m=1.0)), QUICK),
        fingerprint(capture, dataclasses.replace(bank, latent=(0, 0, 0)), QUICK),
        fingerprint(capture, bank, dataclasses.replace(QUICK, seed=1)),
    ]
    monkeypatch.setattr(runner, "ALGORITHM", -1)
    others.append(fingerprint(capture, bank, QUICK))
    assert len({base, *others}) == 6


def test_loss_that_was_never_a_number_is_an_error(
    capture: np.ndarray, bank: PsfBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solver_module.F, "mse_loss", lambda x, y: torch.tensor(float("nan")))
    with pytest.raises(InputError, match="not a number"):
        solve(capture, bank, QUICK, progress=False)


def test_convergence_rule() -> None:
    falling, flat = [1.0 / (1 + i) for i in range(50)], [0.5, 0.1, *[0.1] * 48]
    assert not converged(falling, 20) and not converged(flat, None) and not converged(flat[:30], 20)
    assert converged(flat, 20)


@pytest.mark.slow
def test_converged_solve_says_so(capture: np.ndarray, bank: PsfBank) -> None:
    settings = dataclasses.replace(QUICK, iterations=60, learning_rate=1e-9, convergence_window=5)
    report = solve(capture, bank, settings, progress=False).report
    assert report["stopped_by"] == "converged" and report["iterations"] == 15


@pytest.mark.slow
def test_convergence_begins_the_cooldown(capture: np.ndarray, bank: PsfBank) -> None:
    settings = dataclasses.replace(
        QUICK, iterations=60, learning_rate=1e-9, convergence_window=5, cooldown_iterations=8, halve_rate_at=None
    )
    stepper, resumed = (Stepper(torch.tensor(capture), bank, settings, CPU) for _ in range(2))
    rates = []
    while not stepper.done:
        rates.append(stepper.learning_rate())
        stepper.step()
    assert stepper.iteration == stepper.end == 15 + 8  # 5 of L2, then two windows, then the cooldown
    assert rates[15] == 1e-9 and rates[-1] < 0.1e-9
    resumed.load_state_dict(stepper.state_dict())
    assert resumed.done


@pytest.mark.slow
def test_guided_solve_does_not_converge_under_its_guide(capture: np.ndarray, bank: PsfBank) -> None:
    settings = dataclasses.replace(
        PRESETS["fast"], iterations=40, warmup_iterations=4, guide_iterations=10, cooldown_iterations=2,
        learning_rate=1e-9, convergence_window=5, refine=False,
    )  # fmt: skip
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    while not stepper.done:
        stepper.step()
    assert stepper.end == 4 + 10 + 10 + 2


@pytest.mark.slow
def test_solve_ends_once_the_residual_is_noise(capture: np.ndarray, bank: PsfBank) -> None:
    """A capture said to be noisy is explained early; the same one said to be clean is not."""
    settings = dataclasses.replace(QUICK, iterations=30, convergence_window=10, cooldown_iterations=3)
    noisy, clean = (
        Stepper(torch.tensor(capture), bank, dataclasses.replace(settings, noise=noise), CPU) for noise in (0.15, 1e-3)
    )
    for stepper in (noisy, clean):
        while not stepper.done:
            stepper.step()
    first = next(k for k, fit in enumerate(noisy.fits_db) if k and fit > -20 * math.log10(0.15))
    assert noisy.iteration == first + 1 + 3
    assert clean.iteration == 30


@pytest.mark.slow
def test_total_variation_flattens_psi(capture: np.ndarray, bank: PsfBank) -> None:
    roughness = []
    for weight in (0.0, 5.0):
        stepper = Stepper(torch.tensor(capture), bank, dataclasses.replace(QUICK, iterations=20, psi_tv=weight), CPU)
        while not stepper.done:
            stepper.step()
        psi = stepper.generator()[1]
        roughness.append(psi.diff(dim=0).abs().mean().item() + psi.diff(dim=1).abs().mean().item())
    ratio = roughness[1] / roughness[0]
    assert_clears("total variation: roughness of psi with it by that without", ratio, below=0.5, spread=0.1)


LEARNING = dataclasses.replace(QUICK, learn_phases_rad=0.5, learn_scale=0.05)


@pytest.mark.slow
def test_optics_are_learnt_and_reported(capture: np.ndarray, bank: PsfBank) -> None:
    nominal = bank.optics
    assert nominal is not None
    found = solve(capture, bank, LEARNING, progress=False).report["optics"]
    assert isinstance(found, dict)
    assert found["phases_rad"][0] == nominal.mask.phases_rad[0]
    for learnt, given in zip(found["phases_rad"][1:], nominal.mask.phases_rad[1:], strict=True):
        assert 0 < abs(learnt - given) < 0.5
    assert 0 < abs(found["airy_px"] / nominal.airy_px - 1) < 0.05


@pytest.mark.slow
def test_learnt_optics_resume_to_the_bit(capture: np.ndarray, bank: PsfBank) -> None:
    whole, first, second = (Stepper(torch.tensor(capture), bank, LEARNING, CPU) for _ in range(3))
    for _ in range(8):
        whole.step()
    for _ in range(4):
        first.step()
    second.load_state_dict(first.state_dict())
    for _ in range(4):
        second.step()
    assert torch.equal(whole.bank.psf, second.bank.psf)
    assert not torch.equal(whole.bank.psf, bank.psf)
    assert whole.losses == second.losses


def test_optics_of_a_bank_alone_cannot_be_learnt(capture: np.ndarray, bank: PsfBank) -> None:
    with pytest.raises(InputError, match="no optics to learn"):
        Stepper(torch.tensor(capture), dataclasses.replace(bank, optics=None), LEARNING, CPU)


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [1, 4])
def test_solve_that_ends_in_its_warm_up_returns_the_start_refined(
    capture: np.ndarray, bank: PsfBank, iterations: int
) -> None:
    """However few the iterations: a generator half fitted to the start is worth less than the start."""
    settings = with_iterations(PRESETS["fast"], iterations)
    solution = solve(capture, bank, settings, progress=False)
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    start = stepper.first_estimate()
    sharp, psi = refined(stepper.capture, stepper.bank, start.sharp, start.psi)
    assert np.array_equal(solution.psi, psi.numpy()) and np.array_equal(solution.sharp, sharp.numpy())
    assert solution.report["best_iteration"] == -1 and solution.report["iterations"] == 0  # nothing to throw away


WARM = dataclasses.replace(
    PRESETS["fast"], iterations=9, warmup_iterations=3, guide_iterations=2, cooldown_iterations=2
)


def _at_end(capture: np.ndarray, bank: PsfBank, settings: Settings) -> Stepper:
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    while not stepper.done:
        stepper.step()
    return stepper


@pytest.mark.slow
def test_result_is_what_explains_the_capture_better(
    capture: np.ndarray, bank: PsfBank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A generator of one psi cannot follow the start; with the start spoilt, what it led to is the result."""
    caplog.set_level("INFO")
    settings = dataclasses.replace(WARM, generator="flat")
    solution = solve(capture, bank, settings, progress=False)
    assert solution.report["best_iteration"] == -1 and "the start explains the capture better" in caplog.text
    stepper = _at_end(capture, bank, settings)
    assert stepper.finished().iteration == -1
    assert stepper._refined_start is not None
    lead_db = solution.report["data_fit_db"] - np.nanmax(stepper.fits_db)
    assert_clears("the start explains the capture better than a flat psi (dB)", lead_db, above=0, spread=2)
    stepper._refined_start.sharp.zero_()
    assert stepper.finished().iteration == stepper.best.iteration >= WARM.warmup_iterations


def with_waves(image: torch.Tensor, amplitude: float) -> torch.Tensor:
    """The image with waves of 6 px, as PSFs that are too wide have them drawn."""
    return image + amplitude * torch.cos(torch.arange(image.shape[-1]) * 2 * torch.pi / 6)


def test_power_of_an_image_falls_as_it_was_made() -> None:
    """White noise, whose power does not fall; and the same with a power of 1 / f^2, which falls by 2 an octave."""
    noise = torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(0))
    frequency = torch.hypot(torch.fft.fftfreq(256)[:, None], torch.fft.rfftfreq(256)[None]).clamp_min(1 / 256)
    falling = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency, s=(256, 256))
    assert octave_fall(noise) == pytest.approx(0, abs=0.1)
    assert octave_fall(falling) == pytest.approx(2, abs=0.2)
    assert octave_fall(torch.zeros(1, 64, 64)) == octave_fall(torch.full((1, 64, 64), 0.5))


def test_waves_are_no_photograph_and_more_detail_is_one(scene: Scene) -> None:
    sharp = torch.from_numpy(scene.sharp)
    start = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)  # a start lacks detail
    assert octave_fall(sharp) < octave_fall(start)
    assert not oscillates(sharp, start) and not oscillates(start, sharp) and not oscillates(sharp, sharp)
    waves = with_waves(start, 0.3)
    assert oscillates(waves, start) and not oscillates(waves, waves)  # a print of stripes has a start of stripes
    assert octave_fall(waves) < octave_fall(start) - LOST_FALL


@pytest.mark.slow
def test_an_image_of_waves_is_not_the_result(
    capture: np.ndarray, bank: PsfBank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stepper = _at_end(capture, bank, dataclasses.replace(WARM, refine=False))
    start = stepper.first_estimate()
    stepper.best = dataclasses.replace(stepper.best, sharp=with_waves(start.sharp, 0.3), psi=start.psi)
    stepper.finished()
    assert stepper._refined_start is not None
    worse = dataclasses.replace(stepper._refined_start, sharp=torch.rand_like(start.sharp))  # it explains less
    stepper._refined_start = worse
    found = stepper.finished()
    assert stepper.oscillating and found.iteration == -1 and torch.equal(found.sharp, start.sharp)
    solution = runner._solution(stepper, "f" * 64, 0.0, "iterations")
    assert "are the PSFs too wide?" in caplog.text and solution.report["best_iteration"] == -1


def test_learning_rate_rises_after_the_warm_up(capture: np.ndarray, bank: PsfBank) -> None:
    settings = dataclasses.replace(WARM, iterations=100)
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    rates = []
    for stepper.iteration in range(40):
        rates.append(stepper.learning_rate() / settings.learning_rate)
    assert rates[:3] == [1, 1, 1] and rates[3] < 0.05 and rates[17] == pytest.approx(0.5)
    assert rates[2 + RAMP_ITERATIONS :] == pytest.approx([1] * (38 - RAMP_ITERATIONS))


@pytest.mark.slow
def test_warm_up_leaves_no_memory_in_the_optimiser(capture: np.ndarray, bank: PsfBank) -> None:
    stepper = _at_end(capture, bank, WARM)
    assert {int(state["step"]) for state in stepper.optimizer.state.values()} == {9 - 3}


def test_warm_up_pulls_psi_back_from_the_wrong_end(capture: np.ndarray, bank: PsfBank) -> None:
    """A sigmoid that has gone to the wrong end has no slope; the pull on what enters it must not vanish with it."""
    stepper = Stepper(torch.tensor(capture), bank, WARM, CPU)
    low, high = stepper.bank.psi_range
    goal = stepper.first_estimate()
    goal.psi.fill_(high - 1)
    pulls = []
    for logit in (0.0, -8.0):
        entered = torch.full_like(goal.psi, logit, requires_grad=True)
        _, guide, _ = stepper._loss(goal.sharp, low + (high - low) * torch.sigmoid(entered))
        guide.backward()
        assert entered.grad is not None
        pulls.append(-entered.grad.sum().item())
    assert pulls[1] > pulls[0] > 0


@pytest.mark.slow
def test_refining_that_spoils_the_fit_is_dropped(
    capture: np.ndarray, bank: PsfBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(QUICK, refine=True)
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    stepper.step()
    for spoilt in (torch.zeros_like(stepper.best.sharp), torch.full_like(stepper.best.sharp, math.nan)):
        monkeypatch.setattr(solver_module, "refined", lambda *given, spoilt=spoilt: (spoilt, given[3]))
        assert stepper.finished() is stepper.best


def test_other_number_of_iterations_is_the_same_recipe() -> None:
    fast = PRESETS["fast"]
    short, long = with_iterations(fast, 100), with_iterations(fast, 1200)
    assert (short.warmup_iterations, short.guide_iterations, short.cooldown_iterations) == (60, 38, 20)
    assert (long.warmup_iterations, long.guide_iterations, long.cooldown_iterations) == (60, 150, 240)
    assert with_iterations(fast, fast.iterations) == fast
    assert with_iterations(PRESETS["paper"], 100) == dataclasses.replace(PRESETS["paper"], iterations=100)


@pytest.mark.slow
def test_best_state_is_kept_by_data_loss(capture: np.ndarray, bank: PsfBank) -> None:
    settings = dataclasses.replace(QUICK, l2_iterations=0, learning_rate=0.3)  # too large: the loss goes up and down
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    for _ in range(12):
        stepper.step()
    assert stepper.best.loss == min(stepper.losses) < stepper.losses[-1]
    assert stepper.losses[stepper.best.iteration] == stepper.best.loss


@pytest.mark.slow
def test_first_loss_is_the_squared_error_and_the_second_ssim(capture: np.ndarray, bank: PsfBank) -> None:
    stepper = Stepper(torch.tensor(capture), bank, QUICK, CPU)
    for _ in range(6):
        stepper.step()
    assert stepper.losses[4] == pytest.approx(10 ** (-stepper.fits_db[4] / 10), rel=1e-5)
    assert stepper.losses[5] > 3 * 10 ** (-stepper.fits_db[5] / 10)
    assert stepper.best.iteration == 5  # the two cannot be compared: the second starts anew


@pytest.mark.slow
@pytest.mark.parametrize("damage", [float("nan"), 100.0])
def test_nan_or_spike_is_rolled_back(capture: np.ndarray, bank: PsfBank, damage: float) -> None:
    settings = dataclasses.replace(QUICK, iterations=30, l2_iterations=30, spike_factor=5.0)
    stepper = Stepper(torch.tensor(capture), bank, settings, CPU)
    for _ in range(15):
        stepper.step()
    for parameter in stepper.generator.head.parameters():  # the last layer
        parameter.data.fill_(damage)
    while stepper.iteration < 30:
        stepper.step()
    assert stepper.n_rollbacks == 1 and stepper.rate_scale == 0.5
    assert np.isfinite(stepper.losses).all() and len(stepper.losses) == 30
    assert torch.isfinite(stepper.best.sharp).all()


def _spoil(stepper: Stepper) -> None:
    for parameter in stepper.generator.head.parameters():
        parameter.data.fill_(float("nan"))


@pytest.mark.slow
def test_resume_after_a_rollback_keeps_the_halved_rate(capture: np.ndarray, bank: PsfBank) -> None:
    settings = dataclasses.replace(QUICK, l2_iterations=30)
    stepper, resumed = (Stepper(torch.tensor(capture), bank, settings, CPU) for _ in range(2))
    stepper.step()
    _spoil(stepper)
    stepper.step()
    stepper.step()
    resumed.load_state_dict(stepper.state_dict())
    assert resumed.learning_rate() == stepper.learning_rate() == 0.005
    for _ in range(3):
        stepper.step()
        resumed.step()
    assert resumed.losses == stepper.losses and resumed.n_rollbacks == 1


def test_hopeless_solve_returns_the_best_state_and_says_so(
    capture: np.ndarray, bank: PsfBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(stepper: Stepper, loss: torch.Tensor) -> None:
        for parameter in stepper.generator.parameters():
            parameter.data.fill_(float("nan"))

    monkeypatch.setattr(Stepper, "_update", poison)
    solution = solve(capture, bank, QUICK, progress=False)
    assert str(solution.report["stopped_by"]).startswith("diverged")
    assert np.isfinite(solution.sharp).all()


def test_paper_preset_is_the_papers() -> None:
    paper = PRESETS["paper"]
    assert (paper.generator, paper.learning_rate, paper.l2_iterations) == ("dip", 0.01, 500)
    assert (paper.iterations, paper.halve_rate_at, paper.precision) == (5001, 4000, "float32")


@pytest.mark.slow
def test_cost_estimate_follows_the_image_size(bank: PsfBank) -> None:
    small, large = (estimate_cost(torch.Size([3, n, 128]), bank, QUICK, CPU) for n in (128, 512))
    assert 2.5 < (large.memory_gib - 0.5) / (small.memory_gib - 0.5) < 4.5


@pytest.mark.slow
def test_cost_estimate_keeps_no_memory(bank: PsfBank, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, kept = torch.autograd.graph.saved_tensors_hooks, list[weakref.ref[torch.Tensor]]()

    def watched(pack: Callable[[torch.Tensor], torch.Tensor], unpack: Callable[[torch.Tensor], torch.Tensor]) -> object:
        def noting(tensor: torch.Tensor) -> torch.Tensor:
            kept.append(weakref.ref(tensor))
            return pack(tensor)

        return hooks(noting, unpack)

    monkeypatch.setattr(torch.autograd.graph, "saved_tensors_hooks", watched)
    estimate_cost(torch.Size([3, 128, 128]), bank, QUICK, CPU)
    gc.collect()
    assert kept and not any(ref() is not None for ref in kept)


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["terminal", "pipeline"])
def test_cost_is_announced_where_somebody_reads_it(
    elsewhere: bool,
    capture: np.ndarray,
    bank: PsfBank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "progress") if elsewhere else "")
    with caplog.at_level("INFO", logger="dpcip"):
        solve(capture, bank, dataclasses.replace(QUICK, iterations=1))
    assert any("GiB" in line for line in caplog.messages) != elsewhere


@pytest.mark.slow
def test_study_solves_once_and_reads_back(capture: np.ndarray, bank: PsfBank, tmp_path: Path) -> None:
    first = solve_cached(capture, bank, QUICK, work=tmp_path)
    again = solve_cached(capture, bank, QUICK, work=tmp_path)
    assert isinstance(again, Solution) and again.report == {**first.report, "psf_bank": again.report["psf_bank"]}
    assert np.array_equal(first.psi, again.psi) and np.array_equal(first.sharp, again.sharp)
    assert again.report["seconds"] == first.report["seconds"]  # not measured anew: it was not solved anew
    solve_cached(capture, bank, dataclasses.replace(QUICK, seed=9), work=tmp_path)
    assert len(list((tmp_path / "solves").iterdir())) == 2

"""Runs a solve: estimate of its cost, progress, checkpoints that survive a kill, stop rules, and the report."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from tqdm import tqdm

from dpcip.camera.models import CAMERAS
from dpcip.data.images import check_size
from dpcip.generators.registry import GENERATORS
from dpcip.learnt.depth import LearntDepth, weights_for
from dpcip.optics.psf import PsfBank
from dpcip.solver.cost import estimate_cost
from dpcip.solver.losses import LOSSES
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution
from dpcip.solver.stepper import ALGORITHM, Diverged, Stepper, uses_bfloat16
from dpcip.utils.checkpoints import read_checkpoint, resuming, save_checkpoint
from dpcip.utils.errors import InputError
from dpcip.utils.keys import arithmetic, key
from dpcip.utils.machine import available_gib, describe, peak_gib, pick_device, return_freed_memory
from dpcip.utils.progress_stream import PROGRESS_FILE, progress_stream

CHECKPOINT_SECONDS = 20  # at most so much work is lost to a kill

log = logging.getLogger("dpcip")


def fingerprint(
    capture: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    device: str = "auto",
    network: LearntDepth | None = None,
) -> str:
    """Hash of everything that determines a solve's numbers (dpcip/utils/keys.py).

    That is the capture, the PSFs and lens, the settings, the arithmetic, the version of the solver's algorithm, and the
    weights of learnt depth, where it is used.
    """
    chosen = pick_device(device)
    network = network or weights_for(bank) if settings.depth == "learnt" else None
    learnt = settings.learn_phases_rad or settings.learn_scale
    chosen_things = GENERATORS.origin(settings.generator), CAMERAS.origin(settings.camera), LOSSES.origin(settings.loss)
    outside = [origin for origin in chosen_things if origin]  # code that the algorithm's version does not stand for
    return key(
        algorithm=ALGORITHM,
        arithmetic=arithmetic(chosen, uses_bfloat16(settings, chosen)),
        capture=capture,
        psf=bank.psf,
        psi=bank.psi,
        lens=bank.lens,
        latent=bank.latent,
        settings=settings,
        optics=bank.optics if learnt else None,
        **({"depth": network.sha256} if network else {}),
        **({"outside": outside} if outside else {}),
    )


def check_capture(capture: np.ndarray, bank: PsfBank, name: str = "capture") -> None:
    """Raises InputError unless the capture can be solved with the bank."""
    if capture.ndim != 3 or len(capture) != bank.n_channels:
        raise InputError(f"{name}: has shape {capture.shape}, {bank.source} has {bank.n_channels} channels; match them")
    check_size(capture.shape[1:], name)
    if not np.isfinite(capture).all() or capture.min() < 0 or capture.max() > 1:
        raise InputError(f"{name}: values must be finite and in [0, 1]; scale the image")
    if np.ptp(capture) < 1 / 255:
        raise InputError(f"{name}: every pixel is {capture.flat[0]:.3f}; there is nothing in it to solve")


def solve(
    capture: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    *,
    device: str = "auto",
    max_seconds: float | None = None,
    checkpoint: Path | None = None,
    progress: bool = True,
    on_step: Callable[[int], None] | None = None,
    network: LearntDepth | None = None,
) -> Solution:
    """All-in-focus image and depth from one capture (paper, section 3).

    capture: [C, H, W] in [0, 1]. max_seconds: time budget of this call. checkpoint: file that the state is saved to
    every 20 seconds, on SIGINT and SIGTERM and at the end, and resumed from if it exists; removing it when the result
    is safe is the caller's part. on_step: told the number of iterations after each of them. network: see Stepper.
    Raises InputError for unusable input or a checkpoint of another or a longer solve, and KeyboardInterrupt, with the
    state saved, when it was told to stop.
    """
    check_capture(capture, bank)
    if progress and not os.environ.get(PROGRESS_FILE) and not (checkpoint and checkpoint.exists()):
        _announce(capture, bank, settings, pick_device(device), max_seconds)
    tensor = torch.as_tensor(capture, dtype=torch.float32)
    stepper = Stepper(tensor, bank, settings, pick_device(device), network)
    # Without a cooldown the number of iterations changes no step: a longer solve may go on from a shorter one's state.
    steps = settings if settings.cooldown_iterations else replace(settings, iterations=1)
    identity = fingerprint(capture, bank, steps, device, network)
    earlier = seconds = _resume(stepper, checkpoint, identity) if checkpoint else 0.0
    begin = last_save = time.monotonic()
    with progress_stream() as stream, _bar(stepper, progress, stream) as bar, _told_to_stop() as told:
        while not (reason := _stop_reason(stepper, seconds - earlier, max_seconds)):
            reason = "interrupted" if told else _try_step(stepper)
            seconds = earlier + time.monotonic() - begin
            if reason:
                break
            if stepper.fits_db and np.isfinite(stepper.fits_db[-1]):  # not while the generator is fitted to the start
                bar.set_postfix_str(f"data fit {stepper.fits_db[-1]:.1f} dB", refresh=False)
            bar.update(stepper.iteration - bar.n)
            if on_step:
                on_step(stepper.iteration)
            if checkpoint and time.monotonic() - last_save > CHECKPOINT_SECONDS:
                _save(stepper, checkpoint, identity, seconds)
                last_save = time.monotonic()
        if checkpoint and stepper.iteration:
            _save(stepper, checkpoint, identity, seconds)
    if reason == "interrupted":
        raise KeyboardInterrupt
    if stepper.best.iteration < 0 and stepper.end:
        raise InputError("solve: the loss was not a number from the first iteration on; check the PSF bank")
    solution = _solution(stepper, fingerprint(capture, bank, settings, device, network), begin - earlier, reason)
    return_freed_memory()
    return solution


@contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM instead of acting on them, so that a step is never cut in two."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    former = [signal.signal(number, lambda n, frame: received.append(n)) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)


def _try_step(stepper: Stepper) -> str:
    try:
        stepper.step()
    except Diverged as error:
        return f"diverged: {error}"
    return ""


def _stop_reason(stepper: Stepper, seconds: float, max_seconds: float | None) -> str:
    """Why to stop now, or an empty string."""
    if stepper.done:
        if stepper.end in (
            0,
            stepper.settings.iterations,
        ):  # 0: the settings end in the warm-up, the start is the result
            return "iterations"
        return "converged"
    over = max_seconds is not None and not seconds < max_seconds  # at once if it is NaN
    return "max_seconds" if over and stepper.iteration else ""


def _announce(
    capture: np.ndarray, bank: PsfBank, settings: Settings, device: torch.device, max_seconds: float | None
) -> None:
    """Says what the solve will take, before it starts."""
    cost = estimate_cost(torch.Size(capture.shape), bank, settings, device)
    seconds = min(cost.seconds, max_seconds or np.inf)
    height, width = capture.shape[1:]
    threads = f", {torch.get_num_threads()} of its threads" if device.type == "cpu" else ""
    log.info(
        f"{width}x{height} pixels, {_plan(settings)} on {device.type}{threads}: "
        f"about {seconds / 60:.1f} min and {cost.memory_gib:.1f} GiB"
    )
    if device.type == "cpu" and cost.memory_gib > available_gib():
        log.warning(f"only {available_gib():.1f} GiB of memory are free: crop or shrink the photograph if it fails")


def _plan(settings: Settings) -> str:
    if settings.iterations > settings.warmup_iterations:
        return f"{settings.iterations} iterations"
    return f"too few iterations to leave the warm-up of {settings.warmup_iterations}: the start, refined,"


def _bar(stepper: Stepper, progress: bool, stream: TextIO) -> tqdm:
    return tqdm(
        total=stepper.end,
        initial=stepper.iteration,
        desc="solve",
        unit="it",
        file=stream,
        disable=not progress,
        mininterval=0.5,
    )


def _save(stepper: Stepper, path: Path, identity: str, seconds: float) -> None:
    """Saves the state; a failure (full disk) costs the checkpoint, not the solve."""
    try:
        save_checkpoint(path, {"identity": identity, "seconds": seconds, "stepper": stepper.state_dict()})
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError for a full disk
        log.warning(f"{path}: the checkpoint could not be saved ({' '.join(str(error).split())[:80]}); solving on")


def _resume(stepper: Stepper, path: Path, identity: str) -> float:
    """Loads the checkpoint if there is one; returns the seconds already spent."""
    state = read_checkpoint(path, stepper.device)
    if state is None:
        return 0.0
    if state.get("identity") != identity:
        raise InputError(
            f"{path}: belongs to a solve of other input, settings or algorithm; delete it or choose another folder"
        )
    with resuming(path):
        stepper.load_state_dict(state["stepper"])
        seconds = float(state["seconds"])
    if stepper.iteration > stepper.settings.iterations:
        raise InputError(
            f"{path}: has {stepper.iteration} iterations, past the {stepper.settings.iterations} asked for; "
            "ask for more, delete it or choose another folder"
        )
    log.info(f"resumed at iteration {stepper.iteration} of {stepper.settings.iterations}")
    return seconds


def _solution(stepper: Stepper, identity: str, begin: float, reason: str) -> Solution:
    """begin: when the solve would have begun if it had never been interrupted, by time.monotonic()."""
    bank, best = stepper.bank, stepper.finished()
    if best.iteration < 0 < stepper.settings.warmup_iterations <= stepper.best.iteration:
        if stepper.oscillating:
            log.warning(
                f"{bank.source}: explains the capture only by an image that no photograph is (too fine a structure), "
                "so the start is the result; are the PSFs too wide?"
            )
        else:
            log.info("the start explains the capture better than what the iterations made of it: it is the result")
    with torch.no_grad():
        coded = stepper.camera(best.sharp, best.psi)
        fit_db = -10 * torch.log10((coded - stepper.capture).square().mean().clamp_min(1e-12)).item()
    psi, psi_std = best.psi.cpu().numpy(), stepper.psi_std(best.psi).cpu().numpy()
    report: dict[str, object] = {
        "settings": asdict(stepper.settings),
        "seed": stepper.settings.seed,
        "fingerprint": identity,
        "image_size": [psi.shape[1], psi.shape[0]],
        "psf_bank": {
            "source": bank.source,
            "planes": len(bank.psi),
            "psi_range": bank.psi_range,
            "taps": bank.size,
            "latent": bank.latent,
            "lens": asdict(bank.lens),
            "focal_px": bank.optics.focal_px if bank.optics else None,
        },
        "machine": describe(stepper.device),
        "generator_precision": "bfloat16" if stepper.bfloat16 else "float32",
        "stopped_by": reason,
        "iterations": stepper.iteration,
        "best_iteration": best.iteration,
        "rollbacks": stepper.n_rollbacks,
        "seconds": round(time.monotonic() - begin, 2),
        "peak_memory_gib": round(peak_gib(), 2),
        "data_fit_db": round(fit_db, 3),
    }
    if stepper.in_use.optics is not None:
        learnt = stepper.in_use.optics.optics()
        report["optics"] = {"phases_rad": learnt.mask.phases_rad, "airy_px": learnt.airy_px}
    depth_m = bank.lens.depth_from_psi(psi)
    fits_db = np.array(stepper.fits_db)
    sharp = best.sharp.cpu().numpy()
    return Solution(sharp, psi, depth_m, psi_std, coded.cpu().numpy(), fits_db, report, stepper.capture.cpu().numpy())

"""Speed and memory of the solver's variants: seconds an iteration, share of the machine's peak, growth with size."""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from dpcip.optics.psf import PsfBank
from dpcip.solver.cost import refinements
from dpcip.solver.settings import PRESETS, Settings
from dpcip.solver.stepper import Stepper
from dpcip.utils.errors import InputError
from dpcip.utils.machine import describe, pick_device

ROUNDS = 3
STEPS = 3
SCALING_CASES = {  # height, width, taps
    "256x256": (256, 256, 71),
    "512x512": (512, 512, 71),
    "512x1024": (512, 1024, 71),
    "141 taps": (256, 256, 141),
}

log = logging.getLogger("dpcip")


def _timed(action: Callable[[], object], device: torch.device) -> float:
    """Seconds of an action, until the device has really done it."""
    _wait_for(device)
    begin = time.monotonic()
    action()
    _wait_for(device)
    return time.monotonic() - begin


def _wait_for(device: torch.device) -> None:
    if device.type != "cpu":  # accelerators work off a queue
        torch.accelerator.synchronize()


def _steps(stepper: Stepper) -> None:
    for _ in range(STEPS):
        stepper.step()


def seconds_per_step(stepper: Stepper) -> float:
    """Mean seconds of the stepper's coming steps."""
    return _timed(partial(_steps, stepper), stepper.device) / STEPS


def in_last_stage(settings: Settings) -> Settings:
    """The same arithmetic without warm-up, guide and L2 stage: steps of the SSIM loss, which most steps are."""
    return replace(settings, warmup_iterations=0, guide_iterations=0, l2_iterations=0)


def measure_speed(variants: dict[str, Settings], captures: list[torch.Tensor]) -> dict[str, dict[str, float]]:
    """Seconds an iteration, and before and after the iterations, of each variant on captures [C, H, W] of one size.

    The variants take turns on the first capture, and the median over the rounds is taken. Iterations of all stages
    are counted like those of the last one. What comes before and after is the same for all variants that have it, and
    is measured once; what comes before takes longer on some captures than on others: the mean over all.
    """
    capture = captures[0]
    bank = PsfBank.synthesise().integer_planes()
    steppers = {}
    for name, settings in variants.items():
        steppers[name] = Stepper(capture, bank, in_last_stage(settings), pick_device())
        steppers[name].step()  # sets up kernels and plans
    rounds = [{name: seconds_per_step(stepper) for name, stepper in steppers.items()} for _ in range(ROUNDS)]
    before, refinement = {False: 0.0}, 0.0
    for name, stepper in steppers.items():
        if _has_start(variants[name]) not in before:
            before[True] = seconds_of_start(captures, stepper.settings)
        if variants[name].refine and not refinement:
            refinement = _settled(stepper.finished, stepper.device)
    return {
        name: {
            "seconds_per_iteration": statistics.median(one[name] for one in rounds),
            "seconds_before": before[_has_start(settings)],
            "seconds_after": refinement * refinements(settings),
        }
        for name, settings in variants.items()
    }


def _has_start(settings: Settings) -> bool:
    return settings.warmup_iterations > 0 or settings.guide_iterations > 0


def seconds_of_start(captures: list[torch.Tensor], settings: Settings) -> float:
    """Mean seconds of the start over the captures, after one that warms up."""
    bank = PsfBank.synthesise().integer_planes()
    steppers = [Stepper(capture, bank, settings, pick_device()) for capture in (captures[0], *captures)]
    return statistics.mean([_timed(stepper.first_estimate, stepper.device) for stepper in steppers][1:])


def _settled(action: Callable[[], object], device: torch.device) -> float:
    """Seconds of an action: the median of two after one that warms up."""
    action()
    return statistics.median(_timed(action, device) for _ in range(2))


def convolution_peak(capture: torch.Tensor) -> dict[str, float]:
    """TFLOP/s of a 128-channel 3x3 convolution at the capture's size (best of ten), and `fast`'s share of it."""
    bank = PsfBank.synthesise().integer_planes()
    stepper = Stepper(capture, bank, in_last_stage(PRESETS["fast"]), pick_device())
    device = stepper.device
    layer = torch.nn.Conv2d(128, 128, 3, padding=1, device=device)
    image = torch.rand(1, 128, *capture.shape[1:], device=device).contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=stepper.bfloat16):
        best = min(_timed(partial(layer, image), device) for _ in range(10))
    peak = 2 * 128 * 128 * 9 * image[0, 0].numel() / best
    stepper.step()
    with FlopCounterMode(display=False) as counter:
        stepper.step()
    seconds = min(seconds_per_step(stepper) for _ in range(2))
    return {"convolution_peak_tflops": peak / 1e12, "share_of_peak": counter.get_total_flops() / seconds / peak}


SCALING = """
import dataclasses, json, sys, torch
from dpcip.paper.bench_speed import seconds_per_step
from dpcip.utils.machine import peak_gib, pick_device
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import PRESETS
from dpcip.solver.stepper import Stepper
height, width, taps = map(int, sys.argv[1:])
torch.manual_seed(0)
capture = torch.rand(3, height, width)
bank = PsfBank.synthesise(size=taps).integer_planes()
settings = dataclasses.replace(PRESETS["fast"], warmup_iterations=1, guide_iterations=1)
stepper = Stepper(capture, bank, settings, pick_device())
for _ in range(2): stepper.step()
seconds = seconds_per_step(stepper)
if taps == 71: stepper.finished()
print(json.dumps({"seconds_per_iteration": seconds, "peak_gib": peak_gib()}))
"""


def scaling() -> dict[str, dict[str, float] | None]:
    """Seconds an iteration and peak memory of preset fast by image size and kernel size, each in its own process.

    None for a case whose process failed, as it does where memory does not suffice.
    """
    result: dict[str, dict[str, float] | None] = {}
    for name, case in SCALING_CASES.items():
        command = [sys.executable, "-c", SCALING, *map(str, case)]
        done = subprocess.run(command, capture_output=True, text=True)
        result[name] = json.loads(done.stdout) if done.returncode == 0 else None
        if done.returncode:
            said = done.stderr.strip().splitlines()
            log.warning(f"bench: {name} failed: {said[-1] if said else f'status {done.returncode}'}")
    return result


def measure(variants: dict[str, Settings], captures: list[torch.Tensor]) -> dict[str, Any]:
    """All of the above on captures [C, H, W] of one size, and the machine; what speed.json holds."""
    return {
        "speed": measure_speed(variants, captures),
        **convolution_peak(captures[0]),
        "scaling": scaling(),
        "machine": describe(pick_device()),
    }


def read_speed(path: Path, variants: set[str]) -> dict[str, Any]:
    """What `measure` gave to an earlier bench. Raises InputError if it is missing, damaged or lacks a variant."""
    again = "run 'dpcip bench' without --report"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        costs = [found["speed"][name] for name in {*variants, "released"}]
        numbers = [cost[f"seconds_{when}"] for cost in costs for when in ("before", "per_iteration", "after")]
        numbers += [found["convolution_peak_tflops"], found["share_of_peak"], found["machine"]["threads"]]
        growth = [case for case in found["scaling"].values() if case]
        numbers += [case[key] for case in growth for key in ("seconds_per_iteration", "peak_gib")]
        complete = set(found["scaling"]) == set(SCALING_CASES) and "device_name" in found["machine"]
        if complete and np.isfinite(numbers).all():
            return found
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {again}") from error
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: is damaged or lacks a variant; {again}")

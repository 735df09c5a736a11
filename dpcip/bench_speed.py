"""Speed and memory of the solver's variants: seconds an iteration, share of the machine's peak, growth with size."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from dpcip.machine import pick_device
from dpcip.psf import PsfBank
from dpcip.settings import PRESETS, Settings
from dpcip.solver import Stepper

ROUNDS = 3
STEPS = 3


def _seconds(stepper: Stepper) -> float:
    begin = time.monotonic()
    for _ in range(STEPS):
        stepper.step()
    return (time.monotonic() - begin) / STEPS


def measure_speed(variants: dict[str, Settings], capture: torch.Tensor) -> dict[str, dict[str, float]]:
    """Seconds an iteration, and before and after the iterations, of each variant on one capture [C, H, W].

    The variants take turns and the median over the rounds is taken. Iterations of the warm-up, which leave the camera
    out, are counted like the others.
    """
    bank = PsfBank.synthesise().integer_planes()
    steppers = {}
    for name, settings in variants.items():
        steppers[name] = Stepper(
            capture, bank, replace(settings, warmup_iterations=0, guide_iterations=0), pick_device()
        )
        steppers[name].step()  # sets up kernels and plans
    rounds = [{name: _seconds(stepper) for name, stepper in steppers.items()} for _ in range(ROUNDS)]
    result = {}
    for name, stepper in steppers.items():
        begin = time.monotonic()
        if variants[name].warmup_iterations:
            stepper.first_estimate()
        middle = time.monotonic()
        stepper.finished()
        result[name] = {
            "seconds_per_iteration": statistics.median(one[name] for one in rounds),
            "seconds_before": middle - begin,
            "seconds_after": time.monotonic() - middle,
        }
    return result


def convolution_peak(capture: torch.Tensor) -> dict[str, float]:
    """TFLOP/s of a 128-channel 3x3 convolution at the capture's size (best of ten), and `fast`'s share of it."""
    bank = PsfBank.synthesise().integer_planes()
    settings = replace(PRESETS["fast"], warmup_iterations=0, guide_iterations=0)
    stepper = Stepper(capture, bank, settings, pick_device())
    layer = torch.nn.Conv2d(128, 128, 3, padding=1)
    image = torch.rand(1, 128, *capture.shape[1:]).contiguous(memory_format=torch.channels_last)
    best = float("inf")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=stepper.bfloat16):
        for _ in range(10):
            begin = time.monotonic()
            layer(image)
            best = min(best, time.monotonic() - begin)
    peak = 2 * 128 * 128 * 9 * image[0, 0].numel() / best
    stepper.step()
    with FlopCounterMode(display=False) as counter:
        stepper.step()
    seconds = min(_seconds(stepper) for _ in range(2))
    return {"convolution_peak_tflops": peak / 1e12, "share_of_peak": counter.get_total_flops() / seconds / peak}


SCALING = """
import dataclasses, json, sys, time, numpy as np, torch
from dpcip.machine import peak_gib, pick_device
from dpcip.psf import PsfBank
from dpcip.solver import PRESETS, Stepper
height, width, taps = map(int, sys.argv[1:])
torch.manual_seed(0)
capture = torch.rand(3, height, width)
bank = PsfBank.synthesise(size=taps).integer_planes()
settings = dataclasses.replace(PRESETS["fast"], warmup_iterations=1, guide_iterations=1)
stepper = Stepper(capture, bank, settings, pick_device())
for _ in range(2): stepper.step()
begin = time.monotonic()
for _ in range(3): stepper.step()
seconds = (time.monotonic() - begin) / 3
if taps == 71: stepper.finished()
print(json.dumps({"seconds_per_iteration": seconds, "peak_gib": peak_gib()}))
"""


def scaling() -> dict[str, dict[str, float]]:
    """Seconds an iteration and peak memory of preset fast by image size and kernel size, each in its own process."""
    cases = {
        "256x256": (256, 256, 71),
        "512x512": (512, 512, 71),
        "512x1024": (512, 1024, 71),
        "141 taps": (256, 256, 141),
    }
    result = {}
    for name, case in cases.items():
        command = [sys.executable, "-c", SCALING, *map(str, case)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        result[name] = json.loads(output)
    return result

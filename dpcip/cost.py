"""What a solve will cost in time and memory, estimated from two steps on a small image."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from dpcip.likelihood import depth_likelihood
from dpcip.psf import PsfBank
from dpcip.settings import Settings
from dpcip.solver import Stepper

PROBE_SIDE_PX = 128
BYTES_PER_PARAMETER = 24  # weight, gradient, two moments, and the copies in best state and snapshot
WORKSPACE = 1.4  # gradients and scratch space on top of what the backward pass keeps
FINISH = 2.3  # time of start and end together, in units of the start's; at the end start and result are refined
BASE_GIB = 0.5  # Python and torch themselves


@dataclass(frozen=True)
class Cost:
    """Estimated wall time (s) and peak memory (GiB) of a solve."""

    seconds: float
    memory_gib: float


def _kept_for_backward(stepper: Stepper) -> int:
    """Bytes that one forward pass of generator and camera keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # the tensor itself would hold its own graph, a cycle that nothing collects

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with torch.autocast(stepper.device.type, torch.bfloat16, enabled=stepper.bfloat16):
            sharp, psi = stepper.generator()
        coded = stepper.camera(sharp, psi)
    total = sum(sizes.values())
    del coded
    return total


def estimate_cost(shape: torch.Size, bank: PsfBank, settings: Settings, device: torch.device) -> Cost:
    """Cost of solving a capture of `shape` [C, H, W] with every iteration of `settings`.

    Measured on a 128x128 probe and scaled by the number of pixels, padding included. At 250x370 and 512x512 the memory
    was right to 7 % for the iterations; the start and the deconvolution at the end are not counted in it. The time is
    rougher (caches, other work on the machine), and the progress bar corrects it.
    """
    noise = torch.rand(shape[0], PROBE_SIDE_PX, PROBE_SIDE_PX, generator=torch.Generator().manual_seed(0))
    probe = Stepper(noise, bank, replace(settings, warmup_iterations=0, guide_iterations=0), device)
    margin = bank.size - 1
    padded = (shape[1] + margin) * (shape[2] + margin) / (PROBE_SIDE_PX + margin) ** 2
    pixels = shape[1] * shape[2] / PROBE_SIDE_PX**2
    kept = _kept_for_backward(probe)
    n_parameters = sum(p.numel() for p in probe.generator.parameters())
    memory = kept * max(pixels, padded) * WORKSPACE + n_parameters * BYTES_PER_PARAMETER
    probe.step()  # the first step also sets up kernels and plans
    start = time.monotonic()
    probe.step()
    per_iteration = (time.monotonic() - start) * pixels
    depth_likelihood(noise[:, :32, :32], bank)  # compiles it, where no former process has
    start = time.monotonic()
    probe.first_estimate()
    around = (time.monotonic() - start) * pixels * (FINISH if settings.refine else 1)  # before and after the steps
    n_steps = 0 if settings.iterations <= settings.warmup_iterations else settings.iterations
    return Cost(per_iteration * n_steps + around, memory / 2**30 + BASE_GIB)

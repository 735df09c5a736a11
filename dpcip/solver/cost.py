"""What a solve will cost in time and memory, estimated from two steps on a small image."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from dpcip.camera.models import MaskedDCM
from dpcip.initialization.likelihood import depth_likelihood
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import Settings
from dpcip.solver.stepper import Stepper

PROBE_SIDE_PX = 128
BYTES_PER_PARAMETER = 24  # weight, gradient, two moments, and the copies in best state and snapshot
# Gradients and scratch space on top of what the backward pass keeps: larger a share where that is in half precision.
WORKSPACE = {"float32": 1.8, "bfloat16": 2.3}
BLOCK_PX = 4  # of the probe's picture: with texture at every depth, so that the start has as much to do as on others
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

    Measured on a 128x128 probe and scaled by the number of pixels, padding included. At 256x368 and 512x512 the memory
    of `fast` was right to 6 % for the iterations, in float32 and bfloat16; start and refinement are not counted in it.
    The time is rougher (caches, other work on the machine), and the progress bar corrects it.
    """
    capture = _probe(bank)
    plain = replace(settings, warmup_iterations=0, guide_iterations=0, depth="likelihood")
    probe = Stepper(capture, bank, plain, device)
    margin = bank.size - 1
    padded = (shape[1] + margin) * (shape[2] + margin) / (PROBE_SIDE_PX + margin) ** 2
    pixels = shape[1] * shape[2] / PROBE_SIDE_PX**2
    kept = _kept_for_backward(probe)
    n_parameters = sum(p.numel() for p in probe.generator.parameters())
    workspace = WORKSPACE["bfloat16" if probe.bfloat16 else "float32"]
    memory = kept * max(pixels, padded) * workspace + n_parameters * BYTES_PER_PARAMETER
    probe.step()  # the first step also sets up kernels and plans
    per_iteration = _seconds(probe.step)
    depth_likelihood(capture[:, :32, :32], bank)  # compiles it, where no former process has
    around = _seconds(probe.first_estimate) if settings.warmup_iterations or settings.guide_iterations else 0.0
    if n_refined := refinements(settings):
        around += n_refined * _seconds(probe.finished)  # without a warm-up it refines one
    n_steps = 0 if settings.iterations <= settings.warmup_iterations else settings.iterations
    return Cost((per_iteration * n_steps + around) * pixels, memory / 2**30 + BASE_GIB)


def _probe(bank: PsfBank) -> torch.Tensor:
    """A photograph of coloured blocks on a slope through the bank's range: [C, 128, 128]."""
    n_blocks = PROBE_SIDE_PX // BLOCK_PX
    blocks = torch.rand(bank.n_latent, n_blocks, n_blocks, generator=torch.Generator().manual_seed(0))
    sharp = blocks.repeat_interleave(BLOCK_PX, dim=1).repeat_interleave(BLOCK_PX, dim=2)
    psi = torch.linspace(*bank.psi_range, PROBE_SIDE_PX).expand(PROBE_SIDE_PX, PROBE_SIDE_PX)
    camera = MaskedDCM(replace(bank, psf=bank.psf.float()), (PROBE_SIDE_PX, PROBE_SIDE_PX))
    with torch.no_grad():
        return camera(sharp, psi)


def _seconds(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def refinements(settings: Settings) -> int:
    """How many estimates are refined at the end: the result, and the start that it is compared with."""
    return settings.refine * (1 + (0 < settings.warmup_iterations < settings.iterations))

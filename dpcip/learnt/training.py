"""Trains the network for a bank: made-up photographs in, weights out. Goes on where it was interrupted."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from dpcip.initialization.likelihood import STRIDE_PX
from dpcip.learnt.network import DepthNet, Guess, Shape, in_units
from dpcip.learnt.samples import LearntSample
from dpcip.learnt.volumes import network_planes
from dpcip.optics.psf import PsfBank
from dpcip.utils.checkpoints import read_checkpoint, resuming, save_checkpoint
from dpcip.utils.machine import has_fast_bfloat16, keep_freed_memory, pick_device, return_freed_memory, share_cores

RAMP_STEPS = 100
WEIGHT_DECAY = 1e-2
LONGEST_GRADIENT = 1.0
SOFTNESS = 0.5  # of the planes' shares that the scores are trained to, in the network's units
SHARE_WEIGHT, SCALE_WEIGHT = 0.3, 0.2  # of the two other losses, beside the distance of psi
ROUND = 1e-3  # asymmetry of a kernel, as a share of its peak, up to which it counts as symmetric
CHECKPOINT_SECONDS = 30.0
LOOK_EVERY = 500  # steps


@dataclass(frozen=True)
class Recipe:
    """How long and how: steps of a batch of whole pictures each; AdamW's rate rises, then falls as a cosine."""

    n_pictures: int
    steps: int
    batch: int = 8
    learning_rate: float = 2e-3
    seed: int = 0


def symmetries(bank: PsfBank) -> tuple[bool, bool, bool]:
    """Whether a photograph mirrored up-down, left-right or at the diagonal is one that the camera could have taken."""
    psf = bank.psf
    turned = (psf.flip(-2), psf.flip(-1), psf.transpose(-2, -1))
    largest = psf.amax(dim=(2, 3), keepdim=True)
    return tuple(bool(((other - psf).abs() < ROUND * largest).all()) for other in turned)  # type: ignore[return-value]


def untrained(bank: PsfBank, seed: int = 0) -> DepthNet:
    """A network for the bank, its weights drawn from `seed`."""
    planes = network_planes(bank)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DepthNet(Shape.of(planes), in_units(torch.as_tensor(planes.psi), bank))


def loss_of(guess: Guess, target: Tensor, planes: Tensor) -> Tensor:
    """Distance of psi on the grid and in every pixel, cross-entropy of the planes, likelihood of the scale.

    target: [N, H, W], in the network's units; NaN where it is not known, which then does not count.
    """
    on_grid = target[:, ::STRIDE_PX, ::STRIDE_PX]
    known, known_on_grid = ~target.isnan(), ~on_grid.isnan()
    target, on_grid = target.nan_to_num(), on_grid.nan_to_num()
    shares = torch.exp(-(((planes[:, None, None] - on_grid[:, None]) / SOFTNESS) ** 2) / 2)
    shares = shares / shares.sum(dim=1, keepdim=True)
    log_probability = guess.scores.log_softmax(dim=1)
    mean = (log_probability.exp() * planes[:, None, None]).sum(dim=1)
    crossed = -(shares * log_probability).sum(dim=1)
    distance = (guess.psi - target).abs()
    scale = distance.detach() * torch.exp(-guess.log_scale) + guess.log_scale
    of_grid = _mean((mean - on_grid).abs() + SHARE_WEIGHT * crossed, known_on_grid)
    return of_grid + _mean(distance + SCALE_WEIGHT * scale, known)


def _mean(values: Tensor, known: Tensor) -> Tensor:
    return (values * known).sum() / known.sum().clamp_min(1)


def draw_batch(
    samples: list[LearntSample], recipe: Recipe, step: int, turns: tuple[bool, bool, bool]
) -> tuple[Tensor, ...]:
    """costs, evidence, capture, psi of random samples, mirrored as far as the camera allows; the same for a step."""
    rng = np.random.default_rng([recipe.seed, step])
    chosen = []
    for number in rng.integers(0, len(samples), recipe.batch):
        sample = samples[number]
        parts = [sample.volumes.costs, sample.volumes.evidence, sample.capture, sample.psi]
        for allowed, turned, turn in zip(turns, rng.random(3) < 0.5, _TURNS, strict=True):
            parts = [turn(part) if allowed and turned else part for part in parts]
        chosen.append(parts)
    return tuple(torch.stack(part).float() for part in zip(*chosen, strict=True))


_TURNS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.flip(-2),
    lambda x: x.flip(-1),
    lambda x: x.transpose(-2, -1),
)


def _step(
    network: DepthNet,
    adam: torch.optim.Optimizer,
    batch: tuple[Tensor, ...],
    bank: PsfBank,
    recipe: Recipe,
    step: int,
    bfloat16: bool,
) -> float:
    """One step on a batch -> its loss."""
    rise, fall = min(1.0, (step + 1) / RAMP_STEPS), (1 + math.cos(math.pi * step / recipe.steps)) / 2
    for group in adam.param_groups:
        group["lr"] = recipe.learning_rate * rise * fall
    costs, evidence, capture, psi = (part.to(network.planes) for part in batch)
    with torch.autocast(costs.device.type, torch.bfloat16, enabled=bfloat16):
        guess = network(costs, evidence, capture)
    loss = loss_of(guess, in_units(psi, bank), network.planes)
    adam.zero_grad(set_to_none=True)
    loss.backward()
    clip_grad_norm_(network.parameters(), LONGEST_GRADIENT)
    adam.step()
    return loss.item()


def _adam(network: DepthNet, recipe: Recipe) -> torch.optim.AdamW:
    return torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=WEIGHT_DECAY)


def train(
    bank: PsfBank,
    samples: list[LearntSample],
    recipe: Recipe,
    checkpoint: Path,
    on_step: Callable[[int], None] = lambda step: None,
    on_look: Callable[[int, DepthNet], None] = lambda step, network: None,
    begin: DepthNet | None = None,
) -> tuple[DepthNet, float]:
    """The trained network and the seconds that it took.

    on_look: called every LOOK_EVERY steps, in eval mode. begin: a network to go on from, which is left as it is;
    default: one of random weights.
    """
    device = pick_device()
    keep_freed_memory()
    share_cores()
    network = (copy.deepcopy(begin) if begin else untrained(bank, recipe.seed)).to(device)
    adam = _adam(network, recipe)
    step, before = 0, 0.0
    kept = read_checkpoint(checkpoint, device)
    if kept is not None:
        with resuming(checkpoint):
            network.load_state_dict(kept["network"])
            adam.load_state_dict(kept["adam"])
            step, before = kept["step"], kept["seconds"]
    turns, bfloat16 = symmetries(bank), has_fast_bfloat16(device)
    begun = saved = time.monotonic()
    network.train()
    while step < recipe.steps:
        _step(network, adam, draw_batch(samples, recipe, step, turns), bank, recipe, step, bfloat16)
        step += 1
        if step == recipe.steps or time.monotonic() - saved > CHECKPOINT_SECONDS:
            seconds = before + time.monotonic() - begun
            state = {"network": network.state_dict(), "adam": adam.state_dict(), "step": step, "seconds": seconds}
            save_checkpoint(checkpoint, state)
            saved = time.monotonic()
        if step % LOOK_EVERY == 0 or step == recipe.steps:
            on_look(step, network.eval())
            network.train()
        on_step(step)
    return_freed_memory()
    return network.eval(), before + time.monotonic() - begun

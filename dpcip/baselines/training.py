"""Training a rival: each batch depends on its step alone, so that an interrupted training goes on unchanged."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dpcip.baselines.depth_fcn import DepthFcn
from dpcip.baselines.edof_net import EdofNet
from dpcip.baselines.rival import Rival, Sample
from dpcip.camera import models as camera
from dpcip.utils.checkpoints import read_checkpoint, resuming, save_checkpoint
from dpcip.utils.keys import arithmetic, key
from dpcip.utils.machine import (
    describe,
    has_fast_bfloat16,
    keep_freed_memory,
    pick_device,
    return_freed_memory,
    share_cores,
)
from dpcip.utils.registry import Registry

NETWORKS: Registry[type[Rival]] = Registry("network")
NETWORKS.update({"depth_fcn": DepthFcn, "edof_net": EdofNet})
NOISE = 3 / 255  # standard deviation of what is added to the photographs while training (port of [4])
GAINS = (0.7, 1.1)  # of each colour: a photograph through the same optics of a differently coloured scene
LOOKS = 16  # validations in a training
CHECKPOINT_SECONDS = 30
# Version of what a training computes from its samples: raise it when a change moves the numbers of
# tests/test_golden.py. It stands for the networks, their losses, the batches and the steps.
ALGORITHM = 1


@dataclass(frozen=True)
class Recipe:
    """How a rival is trained. network: of NETWORKS. crop_px, batch: of the patches. Adam's rate falls as a cosine."""

    network: str
    steps: int
    crop_px: int
    batch: int = 16
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained rival, at the step with the smallest validation error; the curve, a row a look; seconds."""

    network: Rival
    best_step: int
    curve: list[dict[str, float]]
    seconds: float
    machine: dict[str, object]


def draw_batch(samples: list[Sample], recipe: Recipe, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Patches of random samples, flipped and transposed (the PSFs are round), colours scaled, noise added.

    -> capture and sharp [N, 3, S, S], psi [N, S, S]. The same for the same step, whatever came before.
    """
    rng = np.random.default_rng([recipe.seed, step])
    captures, sharps, psis = zip(*(_patch(rng, samples, recipe.crop_px) for _ in range(recipe.batch)), strict=True)
    return tuple(torch.from_numpy(np.stack(part)) for part in (captures, sharps, psis))  # type: ignore[return-value]


def _patch(rng: np.random.Generator, samples: list[Sample], side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sample = samples[rng.integers(len(samples))]
    top, left = (int(rng.integers(0, n - min(side, n) + 1)) for n in sample.psi.shape)
    window = (slice(top, top + side), slice(left, left + side))
    turned = rng.integers(0, 2, 3).astype(bool)
    parts = []
    for array in (sample.capture, sample.sharp, sample.psi):
        part = array[..., *window]
        part = part[..., ::-1, :] if turned[0] else part
        part = part[..., ::-1] if turned[1] else part
        parts.append(part.swapaxes(-1, -2) if turned[2] else part)
    gain = rng.uniform(*GAINS, (3, 1, 1)).astype(np.float32)
    noise = rng.standard_normal(parts[0].shape, dtype=np.float32) * NOISE
    capture = np.clip(parts[0] * gain, 0, 1) + noise
    return capture, np.clip(parts[1] * gain, 0, 1), np.ascontiguousarray(parts[2])


def mean_error(network: Rival, samples: list[Sample]) -> float:
    """Mean of the network's error over whole photographs."""
    network.eval()
    return float(np.mean([network.error(sample) for sample in samples]))


def fingerprint(recipe: Recipe, samples: list[Sample], validation: list[Sample], where: str = "") -> str:
    """Hash of what a training depends on: recipe, samples, versions of the algorithm and of the simulated photographs.

    Of the samples what was photographed: a photograph's grey levels may turn at the last bit of the arithmetic.
    where: the arithmetic (utils/keys.py), for a checkpoint, which goes on with the same. Trained weights serve on any
    machine, whichever made them.
    """
    parts: dict[str, object] = {
        f"{which} {kind}": [getattr(sample, kind) for sample in some]
        for which, some in (("training", samples), ("validation", validation))
        for kind in ("sharp", "psi")
    }
    origin = NETWORKS.origin(recipe.network)
    parts |= {"network": origin} if origin else {}
    return key(algorithm=ALGORITHM, photographs=camera.ALGORITHM, arithmetic=where, recipe=recipe, **parts)


def train(
    recipe: Recipe,
    samples: list[Sample],
    validation: list[Sample],
    work: Path,
    on_step: Callable[[int], None] = lambda step: None,
) -> Trained:
    """Trains from a seed, or goes on from the checkpoint in `work`; deterministic on one machine.

    The step with the smallest validation error is kept. on_step: called with the number of steps done.
    """
    device = pick_device()
    path = work / f"{fingerprint(recipe, samples, validation, arithmetic(device))[:20]}.pt"
    keep_freed_memory()
    share_cores()
    torch.manual_seed(recipe.seed)
    network = NETWORKS[recipe.network]().to(device)
    adam = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "curve": [], "losses": [], "best": None, "best_step": 0}
    kept = read_checkpoint(path, device)
    if kept is not None:
        with resuming(path):
            state = {name: kept[name] for name in state}
            network.load_state_dict(kept["network"])
            adam.load_state_dict(kept["adam"])
    bfloat16 = has_fast_bfloat16(device)
    looks = {math.ceil(recipe.steps * (n + 1) / LOOKS) for n in range(LOOKS)}
    before, begun = state["seconds"], time.monotonic()
    saved = begun
    on_step(state["step"])
    while state["step"] < recipe.steps:
        state["losses"].append(_step(network, adam, samples, recipe, state["step"], bfloat16))
        state["step"] += 1
        if state["step"] in looks:
            _look(network, state, samples, validation)
        state["seconds"] = before + time.monotonic() - begun
        if state["step"] == recipe.steps or time.monotonic() - saved > CHECKPOINT_SECONDS:
            whole = {**state, "network": network.state_dict(), "adam": adam.state_dict()}
            save_checkpoint(path, whole)
            saved = time.monotonic()
        on_step(state["step"])
    network.load_state_dict(state["best"])
    return_freed_memory()
    return Trained(network.eval(), state["best_step"], state["curve"], state["seconds"], describe(device))


def _step(
    network: Rival, adam: torch.optim.Adam, samples: list[Sample], recipe: Recipe, step: int, bfloat16: bool
) -> float:
    progress = step / recipe.steps
    for group in adam.param_groups:
        group["lr"] = recipe.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    own = next(network.parameters())
    capture, sharp, psi = (part.to(own) for part in draw_batch(samples, recipe, step))
    network.train()
    with torch.autocast(own.device.type, torch.bfloat16, enabled=bfloat16):
        loss = network.loss(capture, sharp, psi, progress)
    adam.zero_grad(set_to_none=True)
    loss.backward()
    adam.step()
    return loss.item()


def _look(network: Rival, state: dict[str, Any], samples: list[Sample], validation: list[Sample]) -> None:
    """Adds a row to the curve, and keeps the weights if they are the best on the validation photographs so far.

    Training error: of as many training photographs as there are for validation, spread over all of them.
    """
    some = samples[:: max(len(samples) // len(validation), 1)][: len(validation)]
    row = {"step": state["step"], "loss": float(np.mean(state["losses"]))}
    row |= {"train": mean_error(network, some), "validation": mean_error(network, validation)}
    if row["validation"] <= min((r["validation"] for r in state["curve"]), default=math.inf):
        state["best"], state["best_step"] = copy.deepcopy(network.state_dict()), state["step"]
    state["curve"], state["losses"] = [*state["curve"], row], []

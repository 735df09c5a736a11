"""The trainings of the rivals: what each learns from, what it never sees, how it fares there; dvc.yaml's stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from dpcip.baselines.rival import Rival, Sample
from dpcip.baselines.training import NETWORKS, Recipe, Trained, fingerprint, mean_error, train
from dpcip.baselines.training_data import composed, frame
from dpcip.baselines.weights import kept_training, write_weights
from dpcip.data.datasets import DATASETS, Shot
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

FACTORS = (1, 2)  # frames are learned from at full and half size: the tables use both
FEW_COMPOSED = 8  # pictures to validate on
MOST_LAYERS = 8


@dataclass(frozen=True)
class Plan:
    """One training: its name, what it learns from in words, the samples, and the scene that it never sees."""

    name: str
    data: str
    samples: list[Sample]
    validation: list[Sample]
    left_out: str | None = None


class Frames:
    """A data set's frames by scene; one of each scene, in the middle of its path, is kept for validation."""

    def __init__(self, dataset: str) -> None:
        self.shots: dict[str, list[Shot]] = {}
        for shot in DATASETS[dataset]():
            self.shots.setdefault(shot.place, []).append(shot)
        self._read: dict[str, list[Sample]] = {}

    def samples(self, place: str) -> list[Sample]:
        """All photographs of a scene, frame by frame, each at every factor."""
        if place not in self._read:
            scenes = [shot.read() for shot in self.shots[place]]
            self._read[place] = [frame(scene.reduced(factor)) for scene in scenes for factor in FACTORS]
        return self._read[place]

    def split(self, left_out: str) -> tuple[list[Sample], list[Sample]]:
        """Training and validation photographs of all scenes but one. Raises InputError if they have one frame each."""
        learned, held = list[Sample](), list[Sample]()
        for place in self.shots:
            if place == left_out:
                continue
            samples = self.samples(place)
            if len(self.shots[place]) == 1:  # nothing to spare
                learned += samples
                continue
            middle = len(samples) // 2 // len(FACTORS) * len(FACTORS)
            held += samples[middle : middle + len(FACTORS)]
            learned += samples[:middle] + samples[middle + len(FACTORS) :]
        if not held:
            raise InputError(f"no scene but '{left_out}' has two frames: one to learn from and one to validate on")
        return learned, held


def plans(network: str, pictures: Frames, seed: int, n_composed: int) -> Iterator[Plan]:
    """The trainings of a network.

    depth_fcn: on the frames of all scenes but one, for each scene in turn, as the paper's rival was (not if there is
    but one scene); then on composed pictures of textures, of which there are far more. edof_net: on textures at one
    depth each, as the paper's rival was; then on the composed pictures.
    """
    if network == "depth_fcn":
        for place in pictures.shots if len(pictures.shots) > 1 else ():
            others = ", ".join(p for p in pictures.shots if p != place)
            yield Plan(f"without_{place}", f"frames of {others}", *pictures.split(place), left_out=place)
    else:
        yield _of_textures("textures", f"{n_composed} textures, each at one depth", n_composed, seed, 1)
    words = f"{n_composed} pictures composed of textures at random depths"
    yield _of_textures("composed", words, n_composed, seed, MOST_LAYERS)


def _of_textures(name: str, words: str, n: int, seed: int, most_layers: int) -> Plan:
    held = list(composed(FEW_COMPOSED, seed, most_layers, held_out=True))
    return Plan(name, words, list(composed(n, seed, most_layers)), held)


def tested(network: Rival, plan: Plan, pictures: Frames) -> dict[str, dict[str, float]]:
    """Errors on the scenes that a training did not see, beside those of an estimate that did not look.

    That is the median psi of the training samples, or the photograph as it is.
    """
    scores = {}
    for place in [plan.left_out] if plan.left_out else pictures.shots:
        samples = pictures.samples(place)
        found = {"error": mean_error(network, samples), "blind_error": blind_error(network, plan, samples)}
        scores[place] = {kind: float(f"{error:.4g}") for kind, error in found.items()}  # so on any processor
    return scores


def blind_error(network: Rival, plan: Plan, samples: list[Sample]) -> float:
    """Mean error of the estimate that does not look at the photograph."""
    if network.estimates == "psi":
        median = np.median(np.concatenate([s.psi.ravel() for s in plan.samples]))
        return float(np.mean([np.abs(median - s.psi).mean() for s in samples]))
    return float(np.mean([np.sqrt(np.square(s.capture - s.sharp).mean()) for s in samples]))


def card(plan: Plan, recipe: Recipe, done: Trained, pictures: Frames) -> dict[str, Any]:
    """What is to be known about a trained network."""
    best = next(row for row in done.curve if row["step"] == done.best_step)
    return {
        **asdict(recipe),
        "data": plan.data,
        "samples": len(plan.samples),
        "pixels": sum(s.psi.size for s in plan.samples),
        "validation_samples": len(plan.validation),
        "left_out": plan.left_out,
        "best_step": done.best_step,
        "error": done.network.error_name,
        "train": best["train"],
        "validation": best["validation"],
        "test": tested(done.network, plan, pictures),
        "curve": done.curve,
        "seconds": done.seconds,
        "machine": done.machine,
    }


def run(network: str, params: dict[str, Any], out: Path, work: Path) -> None:
    """Trains all of a network's plans at the scale of params.yaml; weights and cards go to `out`.

    Weights that are there already, of this very training by their card, are not made again, but scored again. An
    interrupted stage goes on from the checkpoints in `work`. Files of former plans are removed.
    """
    values = params["baselines"][params["scale"]]
    recipe = Recipe(network, **values[network], seed=params["seed"])
    pictures, cards = Frames(params["dataset"]), dict[str, dict[str, Any]]()
    n_scenes = len(pictures.shots)
    n_plans = 2 if network == "edof_net" else n_scenes + 1 if n_scenes > 1 else 1
    with tqdm(total=n_plans * recipe.steps, desc=network, unit="step", mininterval=5) as bar:
        for number, plan in enumerate(plans(network, pictures, params["seed"], values["composed"])):
            bar.set_description(f"{network}, {plan.name}")

            def show(step: int, before: int = number * recipe.steps) -> None:
                bar.update(before + step - bar.n)

            identity = fingerprint(recipe, plan.samples, plan.validation)
            done = kept_training(out / plan.name, identity)
            done = done or train(recipe, plan.samples, plan.validation, work, show)
            done.network.half().float()  # as they are stored
            made = {**card(plan, recipe, done, pictures), "fingerprint": identity}
            cards[plan.name] = write_weights(out / plan.name, done.network, made)
    for stray in [path for path in out.iterdir() if path.stem not in cards]:
        stray.unlink()
    write_readme(out / "README.md", cards)


def write_readme(path: Path, cards: dict[str, dict[str, Any]]) -> None:
    """The cards of a folder at a glance, for people."""
    kinds = ("error", "blind_error")
    rows = [
        {
            "weights": name,
            "learned from": c["data"],
            "photographs": c["samples"],
            "best step": f"{c['best_step']} of {c['steps']}",
            "training": c["train"],
            "validation": c["validation"],
            **{kind: np.mean([scores[kind] for scores in c["test"].values()]) for kind in kinds},
            "seconds": c["seconds"],
        }
        for name, c in cards.items()
    ]
    table = pd.DataFrame(rows).rename(columns={"error": "unseen scenes", "blind_error": "unseen, without looking"})
    first = next(iter(cards.values()))
    about = NETWORKS[first["network"]].about
    text = (
        f"# {first['network']}\n\n{about}\n\n"
        "Weights in float16 (safetensors); NAME.json beside them holds the whole card: recipe, curve, scores, machine. "
        f"Adam {first['learning_rate']:g} falling as a cosine, batches of {first['batch']} patches of "
        f"{first['crop_px']} pixels, seed {first['seed']}. Errors: {first['error']}. Without looking: the median of "
        "the training samples' psi everywhere, or the photograph as it is.\n\n"
        f"{table.to_markdown(index=False, floatfmt='.4g')}\n"
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

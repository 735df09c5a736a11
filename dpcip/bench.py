"""How good, and how fast: solves followed along the way, scored against the truth, and reported with their times.

Quality and speed are measured apart. A run's quality at each iteration does not depend on what else the machine does,
so runs can be resumed and spread over days; seconds an iteration are measured in one sitting, the variants in turn,
so that their ratios are fair. Ground truth is used here to score, never by the solver.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dpcip.bench_report import curves, summary, table
from dpcip.bench_speed import convolution_peak, measure_speed, scaling
from dpcip.camera import simulate
from dpcip.datasets import shots
from dpcip.errors import InputError
from dpcip.io import replacing
from dpcip.machine import describe, pick_device
from dpcip.metrics import depth_metrics, image_metrics
from dpcip.psf import PsfBank, psi_planes
from dpcip.report import save_figure, write_json, write_table
from dpcip.sensor import Sensor
from dpcip.settings import PRESETS, Settings
from dpcip.solver import Stepper
from dpcip.study import WORK

SIDE_PX = 256
PAPER_ITERATIONS = 2500
THOROUGH_ITERATIONS = 1200
LOOKS = 20  # evaluations in a run
CHECKPOINT_SECONDS = 120
PROBE_SIDE_PX = 64
PROBE_ITERATIONS = 16
PROBE_TOLERANCE = 1e-3

_OPTIMISED = replace(PRESETS["paper"], iterations=PAPER_ITERATIONS, precision="auto", channels_last=True)
_FAST = PRESETS["fast"]
MAIN_VARIANTS = ("paper", "fast", "thorough")
# Every variant is a set of settings; add one here and it appears in the table and the curves.
VARIANTS: dict[str, Settings] = {
    "paper": _OPTIMISED,
    "fast": _FAST,
    "thorough": replace(_FAST, iterations=THOROUGH_ITERATIONS, cooldown_iterations=THOROUGH_ITERATIONS // 4),
    # What each part of `fast` is worth:
    "interpolated": replace(_FAST, camera="interpolated"),
    "unguided": replace(_FAST, warmup_iterations=0, guide_iterations=0, l2_iterations=100),
    "raw": replace(_FAST, refine=False),
}
# The released code's arithmetic: only its seconds are measured; its quality at an iteration is taken to be that of
# "paper", which differs by bfloat16.
RELEASED = replace(_OPTIMISED, precision="float32", channels_last=False, convolution="direct")

log = logging.getLogger("dpcip")


@dataclass(frozen=True)
class Target:
    """A photograph to solve, with its truth for scoring: [3, H, W] in [0, 1] and psi [H, W] in rad."""

    name: str
    capture: np.ndarray
    sharp: np.ndarray
    psi: np.ndarray


def target(place: str, side_px: int = SIDE_PX) -> Target:
    """The middle `side_px` square of a rendered scene's middle frame, photographed by the simulator."""
    found = [shot for shot in shots("rendered", 1) if shot.place == place]
    if not found:
        raise InputError(f"bench: there is no scene '{place}'; choose from table, room, street, slants, garden")
    scene = found[0].read()
    bank = PsfBank.synthesise(psi=psi_planes(step=0.1))
    top, left = ((n - side_px) // 2 for n in scene.sharp.shape[1:])
    window = slice(top, top + side_px), slice(left, left + side_px)
    sharp, psi = scene.sharp[:, *window], scene.psi(bank.lens)[window]
    return Target(place, Sensor().expose(simulate(sharp, psi, bank), 0), sharp, psi)


def stepper_for(truth: Target, settings: Settings) -> Stepper:
    """A solve of the target's capture with the published camera's bank."""
    capture = torch.as_tensor(truth.capture, dtype=torch.float32)
    return Stepper(capture, PsfBank.synthesise().integer_planes(), settings, pick_device())


def scores(stepper: Stepper, truth: Target) -> dict[str, float]:
    """One row: the result if the solve ended now."""
    found = stepper.finished()
    sharp, psi = found.sharp.cpu().numpy(), found.psi.cpu().numpy()
    image, depth = image_metrics(sharp, truth.sharp), depth_metrics(psi, truth.psi, stepper.bank.lens)
    fit_db = stepper.fits_db[found.iteration]
    return {"iteration": stepper.iteration, "fit_db": fit_db, **image, **depth}


def in_small(settings: Settings) -> Settings:
    """The same recipe with every stage shortened, for a solve of seconds."""
    lengths = {"warmup_iterations": 3, "l2_iterations": 4, "guide_iterations": 5, "cooldown_iterations": 4}
    short = {name: min(getattr(settings, name), length) for name, length in lengths.items()}
    halve_at = None if settings.halve_rate_at is None else 12
    return replace(settings, iterations=PROBE_ITERATIONS, halve_rate_at=halve_at, seed=0, **short)


def probe(settings: Settings) -> list[float]:
    """Numbers that change if the solver's arithmetic does: losses of a solve in small, and its image's mean square.

    So a changed comment does not discard hours of runs. It cannot see the lengths of stages or the capture.
    """
    small = in_small(settings)
    stepper = stepper_for(target("table", PROBE_SIDE_PX), small)
    while stepper.iteration < small.iterations:
        stepper.step()
    return [*stepper.losses, stepper.finished().sharp.square().mean().item()]


def follow(variant: str, truth: Target, seed: int, home: Path, work: Path) -> dict[str, Any]:
    """One run with its scores along the way; read from `home` if it is there and belongs to the present code.

    An interrupted run goes on from its checkpoint in `work`.
    """
    settings = replace(VARIANTS[variant], seed=seed)
    name = f"{variant}_{truth.name}_{seed}"
    path = home / f"{name}.json"
    identity = {"variant": variant, "scene": truth.name, "seed": seed, "settings": asdict(settings)}
    numbers = probe(settings)
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        same = all(kept[key] == value for key, value in identity.items())
        if same and np.allclose(kept["probe"], numbers, rtol=PROBE_TOLERANCE):
            return kept
        log.info(f"{path}: belongs to other settings or code; run anew")
    rows = _run(settings, truth, numbers, work / f"{name}.pt")
    run = {**identity, "machine": describe(pick_device()), "probe": numbers, "rows": rows}
    home.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    (work / f"{name}.pt").unlink(missing_ok=True)
    return run


def _run(settings: Settings, truth: Target, numbers: list[float], checkpoint: Path) -> list[dict[str, float]]:
    stepper = stepper_for(truth, settings)
    rows: list[dict[str, float]] = []
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        if np.allclose(state["probe"], numbers, rtol=PROBE_TOLERANCE):
            stepper.load_state_dict(state["stepper"])
            rows = state["rows"]
    looks = {round(settings.iterations * (n + 1) / LOOKS) for n in range(LOOKS)}
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    saved = time.monotonic()
    bar = tqdm(total=settings.iterations, initial=stepper.iteration, desc=checkpoint.stem, unit="it", mininterval=5)
    with bar:
        while stepper.iteration < settings.iterations:
            stepper.step()
            bar.update(stepper.iteration - bar.n)
            if stepper.iteration in looks and stepper.iteration > settings.warmup_iterations:
                rows.append(scores(stepper, truth))
                bar.set_postfix_str(f"{rows[-1]['psnr_db']:.2f} dB, {rows[-1]['depth_rmse_in_range_m']:.4f} m")
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                with replacing(checkpoint) as temporary:
                    torch.save({"probe": numbers, "rows": rows, "stepper": stepper.state_dict()}, temporary)
                saved = time.monotonic()
    return rows


def run_bench(out: Path, scenes: list[str], seeds: list[int], variants: list[str], only_report: bool) -> None:
    """Measures what is missing in `out` and writes summary.json, bench.csv and .md, bench.png there.

    Raises InputError for an unknown scene or variant.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise InputError(f"bench: variant '{unknown[0]}' is unknown; choose from {', '.join(VARIANTS)}")
    home = out / "runs"
    if only_report:
        speed_file = json.loads((out / "speed.json").read_text(encoding="utf-8"))
    else:
        targets = [target(scene) for scene in scenes]
        capture = torch.as_tensor(targets[0].capture, dtype=torch.float32)
        speed_file = {
            "speed": measure_speed({**VARIANTS, "released": RELEASED}, capture),
            **convolution_peak(capture),
            "scaling": scaling(),
            "machine": describe(pick_device()),
        }
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "speed.json", speed_file)
        for seed in seeds:
            for truth in targets:
                for variant in variants:
                    follow(variant, truth, seed, home, WORK / "bench")
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(home.glob("*.json"))]
    runs = [run for run in runs if run["variant"] in VARIANTS]
    runs.sort(key=lambda run: (list(VARIANTS).index(run["variant"]), run["scene"], run["seed"]))
    extra = {key: speed_file[key] for key in ("convolution_peak_tflops", "share_of_peak")}
    found = summary(runs, speed_file["speed"], speed_file["machine"], speed_file["scaling"])
    write_json(out / "summary.json", {**found, **extra})
    caption = (
        f"Medians over the cases (scene and seed), {SIDE_PX}x{SIDE_PX} pixels; seconds on "
        f"{speed_file['machine']['device_name']}, {speed_file['machine']['threads']} threads. "
        "`paper`: FFT and bfloat16; as released it takes "
        f"{PAPER_ITERATIONS * speed_file['speed']['released']['seconds_per_iteration']:.0f} s."
    )
    write_table(out / "bench", table(runs, speed_file["speed"]), caption)
    save_figure(out / "bench.png", curves(runs, speed_file["speed"]))

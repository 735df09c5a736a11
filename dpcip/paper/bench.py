"""How good, and how fast: solves followed along the way, scored against the truth, and reported with their times.

Quality and speed are measured apart. A run's quality at each iteration does not depend on what else the machine does,
so runs can be resumed and spread over days; seconds an iteration are measured in one sitting, the variants in turn,
so that their ratios are fair. Ground truth is used here to score, never by the solver.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import shots
from dpcip.evaluation.figures import save_figure
from dpcip.evaluation.metrics import depth_metrics, image_metrics
from dpcip.evaluation.tables import write_table
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.paper.bench_report import CASES_CAPTION, ROW_KEYS, Run, curves, summary, table
from dpcip.paper.bench_speed import measure, read_speed
from dpcip.solver.settings import PRESETS, Settings, with_iterations
from dpcip.solver.stepper import ALGORITHM, Diverged, Stepper, uses_bfloat16
from dpcip.utils import keys
from dpcip.utils.checkpoints import read_checkpoint, resuming, save_checkpoint
from dpcip.utils.errors import InputError
from dpcip.utils.files import claimed, write_json
from dpcip.utils.machine import describe, pick_device

SIDE_PX = 256
PAPER_ITERATIONS = 2500
THOROUGH_ITERATIONS = 1200
LOOKS = 10  # evaluations in a run, beside the one of its start
CHECKPOINT_SECONDS = 120

_OPTIMISED = replace(PRESETS["paper"], iterations=PAPER_ITERATIONS, precision="auto", channels_last=True)
_FAST = PRESETS["fast"]
MAIN_VARIANTS = ("paper", "fast")
# Every variant is a set of settings; add one here and it appears in the table and the curves.
VARIANTS: dict[str, Settings] = {
    "paper": _OPTIMISED,
    "fast": _FAST,
    # What more time brings, and what each part of `fast` is worth:
    "thorough": with_iterations(_FAST, THOROUGH_ITERATIONS),
    "interpolated": replace(_FAST, camera="interpolated"),
    "unguided": replace(_FAST, warmup_iterations=0, guide_iterations=0, l2_iterations=100),
    "raw": replace(_FAST, refine=False),
}
# The released code's arithmetic: only its seconds are measured; its quality at an iteration is taken to be that of
# "paper", which differs by bfloat16.
RELEASED = replace(_OPTIMISED, precision="float32", channels_last=False, convolution="direct")

Row = dict[str, float]
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


def scores(stepper: Stepper, truth: Target) -> Row:
    """The result's qualities if the solve ended now; its data fit is that of the scored image and depth."""
    found = stepper.finished()
    with torch.no_grad():
        error = (stepper.camera(found.sharp, found.psi) - stepper.capture).square().mean().item()
    sharp, psi = found.sharp.cpu().numpy(), found.psi.cpu().numpy()
    image, depth = image_metrics(sharp, truth.sharp), depth_metrics(psi, truth.psi, stepper.bank.lens)
    return {"iteration": stepper.iteration, "fit_db": -10 * math.log10(max(error, 1e-12)), **image, **depth}


def identity(variant: str, truth: Target, seed: int) -> dict[str, Any]:
    """What a run of a registered variant belongs to, as it comes back from JSON.

    The version of the solver's algorithm, the settings, and the target by its hash. Finished runs count on any machine,
    whichever made them; each says its arithmetic.
    """
    settings = asdict(replace(VARIANTS[variant], seed=seed))
    target = keys.key(capture=truth.capture, sharp=truth.sharp, psi=truth.psi)
    ours = {"algorithm": ALGORITHM, "variant": variant, "scene": truth.name, "seed": seed}
    ours |= {"settings": settings, "target": target}
    return json.loads(json.dumps(ours))


def checked(kept: dict[str, Any], path: Path, ours: dict[str, Any]) -> dict[str, Any]:
    """The kept run or checkpoint, if `identity` is its own; raises InputError if it is not."""
    for key, value in ours.items():
        theirs = kept.get(key)
        if key == "settings" and isinstance(theirs, dict):  # one that came later had its default then
            theirs = {**json.loads(json.dumps(asdict(Settings()))), **theirs}
        if theirs != value:
            raise InputError(f"{path}: '{key}' is not that of the bench")
    return kept


def read_run(path: Path) -> Run:
    """A run kept by `follow`. Raises InputError if the file is damaged or its variant unknown."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        if run["variant"] not in VARIANTS:
            raise ValueError(f"variant '{run['variant']}' is unknown")
        rows = [[float(row[key]) for key in ROW_KEYS] for row in run["rows"]]
        named = isinstance(run["scene"], str) and isinstance(run["seed"], int)
        if not (rows and named and np.isfinite(rows).all()):
            raise ValueError("scene, seed or rows are missing or of the wrong kind")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a run of the bench ({type(error).__name__}: {error})") from error
    return run


def follow(variant: str, truth: Target, seed: int, home: Path) -> Run:
    """One run with its scores along the way; read from `home` if it is there and belongs to the present algorithm.

    An interrupted run goes on from its checkpoint beside it.
    """
    name, ours = f"{variant}_{truth.name}_{seed}", identity(variant, truth, seed)
    path, checkpoint = home / f"{name}.json", home / f"{name}.pt"
    if path.is_file():
        try:
            return checked(read_run(path), path, ours)
        except InputError as error:
            log.info(f"{error}; run anew")
    stepper = stepper_for(truth, replace(VARIANTS[variant], seed=seed))
    here = {
        **ours,
        "arithmetic": keys.arithmetic(stepper.device, uses_bfloat16(stepper.settings, stepper.device)),
    }  # what is begun goes on with it
    begun = _resume(stepper, checkpoint, here)
    rows, diverged = _run(stepper, truth, *begun, checkpoint, here)
    run = {**here, "machine": describe(stepper.device), "diverged": diverged, "rows": rows}
    write_json(path, run)
    checkpoint.unlink(missing_ok=True)
    return run


def _resume(stepper: Stepper, checkpoint: Path, ours: dict[str, Any]) -> tuple[list[Row], int]:
    """Loads the run's own checkpoint if there is one; returns the rows and the number of steps so far."""
    try:
        state = read_checkpoint(checkpoint, stepper.device)
        if state is None:
            return [], 0
        checked(state, checkpoint, ours)
    except InputError as error:
        log.info(f"{error}; run anew")
        return [], 0
    with resuming(checkpoint):
        stepper.load_state_dict(state["stepper"])
        return state["rows"], state["steps"]


def _run(
    stepper: Stepper, truth: Target, rows: list[Row], steps: int, checkpoint: Path, ours: dict[str, Any]
) -> tuple[list[Row], str | None]:
    """Goes on to the end: the rows, of which the last is the run's result, and why it was given up if it was."""
    settings = stepper.settings
    looks = {round(settings.iterations * (n + 1) / LOOKS) for n in range(LOOKS)}
    looks = {look for look in looks if look > settings.warmup_iterations}
    if settings.warmup_iterations and not rows:  # what it would return at once
        rows = [{"steps": 0, **scores(stepper, truth)}]
    diverged, saved = None, time.monotonic()
    bar = tqdm(total=settings.iterations, initial=stepper.iteration, desc=checkpoint.stem, unit="it", mininterval=5)
    with bar:
        while not (stepper.done or diverged):
            steps += 1
            try:
                stepper.step()
            except Diverged as error:
                diverged = str(error)
            bar.update(stepper.iteration - bar.n)
            rows = [row for row in rows if row["iteration"] <= stepper.iteration]  # a rollback unmakes the later ones
            if stepper.iteration in looks.difference(row["iteration"] for row in rows):
                rows.append({"steps": steps, **scores(stepper, truth)})
                bar.set_postfix_str(f"{rows[-1]['psnr_db']:.2f} dB, {rows[-1]['depth_rmse_in_range_m']:.4f} m")
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                save_checkpoint(checkpoint, {**ours, "rows": rows, "steps": steps, "stepper": stepper.state_dict()})
                saved = time.monotonic()
    if not rows or rows[-1]["steps"] < steps:
        end = {"steps": steps, **scores(stepper, truth)}
        rows = [*(row for row in rows if row["iteration"] < stepper.iteration), end]
    return rows, diverged


def found_runs(home: Path, truth_of: Callable[[str], Target]) -> list[Run]:
    """The runs in a folder that belong to the present settings, targets and algorithm; the log tells why others do not.

    truth_of: the target of a scene's name.
    """
    runs = []
    for path in sorted(home.glob("*.json")):
        try:
            run = read_run(path)
            ours = identity(run["variant"], truth_of(run["scene"]), run["seed"])
            runs.append(checked(run, path, ours))
        except InputError as error:
            log.info(f"{error}; left out")
    return sorted(runs, key=lambda run: (list(VARIANTS).index(run["variant"]), run["scene"], run["seed"]))


def run_bench(out: Path, scenes: list[str], seeds: list[int], variants: list[str], only_report: bool) -> None:
    """Measures what is missing in `out`; writes summary.json, bench.csv and .md, cases.csv and .md, bench.png there.

    Raises InputError for an unknown scene or variant, if another bench writes there, and, with `only_report`, if there
    are no speeds or no usable runs.
    """
    unknown = [name for name in variants if name not in VARIANTS]
    if unknown:
        raise InputError(f"bench: variant '{unknown[0]}' is unknown; choose from {', '.join(VARIANTS)}")
    truth_of = cache(target)
    with claimed(out):
        if not only_report:
            targets = [truth_of(scene) for scene in scenes]
            captures = [torch.as_tensor(truth.capture, dtype=torch.float32) for truth in targets]
            write_json(out / "speed.json", measure({**VARIANTS, "released": RELEASED}, captures))
            for seed, truth, variant in product(seeds, targets, variants):
                follow(variant, truth, seed, out / "runs")
        runs = found_runs(out / "runs", truth_of)
        if not runs:
            raise InputError(f"{out / 'runs'}: holds no run of the present algorithm and settings; run 'dpcip bench'")
        _report(out, runs, read_speed(out / "speed.json", {run["variant"] for run in runs}))


def _report(out: Path, runs: list[Run], speed_file: dict[str, Any]) -> None:
    speed, machine = speed_file["speed"], speed_file["machine"]
    extra = {key: speed_file[key] for key in ("convolution_peak_tflops", "share_of_peak")}
    found = summary(runs, speed, machine, speed_file["scaling"])
    write_json(out / "summary.json", {**found, **extra})
    caption = (
        f"Medians over the cases (scene and seed), {SIDE_PX}x{SIDE_PX} pixels; seconds on "
        f"{machine['device_name']}, {machine['threads']} threads. "
        "`paper`: FFT, and bfloat16 where deemed quicker; as released it takes "
        f"{PAPER_ITERATIONS * speed['released']['seconds_per_iteration']:.0f} s."
    )
    write_table(out / "bench", table(runs, speed), caption)
    write_table(out / "cases", pd.DataFrame(found["cases"]), CASES_CAPTION)
    save_figure(out / "bench.png", curves(runs, speed))

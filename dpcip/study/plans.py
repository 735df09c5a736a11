"""A study before it runs: the list of a scale's solves from params.yaml, and what each of a list's solves will cost."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dpcip.data.datasets import evenly, rendered
from dpcip.optics.lens import read_optics
from dpcip.optics.psf import PsfBank
from dpcip.solver.cost import Cost, estimate_cost
from dpcip.study.cases import Case, plan
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing
from dpcip.utils.machine import describe, pick_device

SECTION = "02_depth"  # of params.yaml: the solves of Tables 1 and 2
CHANNELS = 3


def plan_of_scale(params: dict[str, Any], scale: str) -> list[Case]:
    """The solves behind Tables 1 and 2 at a scale: each frame of each scene, with each seed.

    At scale paper the rendered frames need not be there yet: they are those that params.yaml lists. Raises
    InputError for a scale that params.yaml lacks.
    """
    if scale not in params[SECTION]:
        raise InputError(f"params.yaml: {SECTION} has no scale '{scale}'; choose from {', '.join(params[SECTION])}")
    values = params[SECTION][scale]
    seeds = range(params["seed"], params["seed"] + values["seeds"])
    same = {
        "factor": values["study_factor"],
        "preset": values["preset"],
        "iterations": values["study_iterations"],
    }
    if scale != "paper" or params["dataset"] != "rendered":
        return plan(params["dataset"], values["frames"], seeds=seeds, **same)
    numbers = evenly(params["render"]["paper"]["frames"], values["frames"])
    places = dict.fromkeys(shot.place for shot in rendered())
    frames = [f"{place}_{number:02d}" for place in places for number in numbers]
    return [Case(frame, "rendered_paper", seed=seed, **same) for frame in frames for seed in seeds]


def write_plan(path: Path, cases: list[Case]) -> None:
    """Writes the list that `dpcip study` reads (cases.read_plan)."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(cases[0])))
        writer.writeheader()
        writer.writerows(asdict(case) for case in cases)


def price(cases: list[Case], size: tuple[int, int] | None = None) -> pd.DataFrame:
    """A line a solve: the case, its size in pixels, iterations, and estimated seconds and memory (GiB) on this machine.

    size: width and height of every case's photograph, if the frames are not here yet; they are not read then. Solves
    that differ in frame and seed alone share one measurement (cost.estimate_cost: a few steps on 128x128 pixels).
    """
    device, known = pick_device(), dict[tuple[Any, ...], Cost]()
    rows = []
    for case in cases:
        width, height = size or case.scene().sharp.shape[:0:-1]
        settings = replace(case.settings(), seed=0)
        key = (width, height, case.camera, settings)
        if key not in known:
            bank = PsfBank.synthesise(None if case.camera == "published" else read_optics(Path(case.camera)))
            known[key] = estimate_cost(torch.Size((CHANNELS, height, width)), bank, settings, device)
        shape = {"width": width, "height": height, "iterations": settings.iterations}
        rows.append({**asdict(case), **shape, "seconds": known[key].seconds, "memory_gib": known[key].memory_gib})
    return pd.DataFrame(rows)


def total(prices: pd.DataFrame, gpu_speed_up: float | None = None) -> str:
    """The sum in one paragraph: core-hours on this machine, and GPU-hours where a speed-up is assumed."""
    machine = describe(pick_device())
    hours = prices["seconds"].sum() / 3600
    text = (
        f"{len(prices)} solves, {hours * int(str(machine['threads'])):.1f} core-hours ({hours:.1f} h on this machine: "
        f"{machine['device_name']}, {machine['threads']} threads), at most {prices['memory_gib'].max():.1f} GiB a "
        "solve. Measured on a few steps at 128x128 pixels and extrapolated by the number of pixels and iterations; "
        "solves that are kept already cost nothing."
    )
    if gpu_speed_up:
        text += (
            f" {hours / gpu_speed_up:.1f} GPU-hours, assuming that one GPU is {gpu_speed_up:g} times as fast as this "
            "machine: an assumption, not a measurement."
        )
    return text

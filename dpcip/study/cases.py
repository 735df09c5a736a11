"""One solve of a study: which photograph, which camera, which recipe; carried out, scored and traceable."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from dpcip.data.datasets import DATASETS, shots
from dpcip.data.photographs import Photograph, photograph_scene
from dpcip.data.scenes import Scene
from dpcip.optics.lens import Optics, read_optics
from dpcip.solver.cache import WORK, home_of, kept_solve
from dpcip.solver.prepare import recipe
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution
from dpcip.study.scoring import row_of, solved
from dpcip.utils.errors import InputError

DISTANCES = ("own", "far")
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Case:
    """A line of a study's list.

    factor: the frame is shrunk by it. camera: a YAML file of optics, or "published". iterations: 0 is the preset's own.
    distance: "own", or "far" for a scene moved as a whole beyond the camera's range, a wall at infinity (the paper's
    deblurring, Table 5). side_px: the square in the middle of the shrunk frame; 0 is all of it.
    Raises InputError for a factor below 1, a seed beyond 32 bits, an unknown distance and a negative side.
    """

    frame: str
    dataset: str = "rendered"
    factor: int = 1
    camera: str = "published"
    preset: str = "fast"
    generator: str = "dip"
    iterations: int = 0
    seed: int = 0
    distance: str = "own"
    side_px: int = 0

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise InputError(f"factor is {self.factor}; it must be 1 or more")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"seed is {self.seed}; it must lie between 0 and {LARGEST_SEED}")
        if self.distance not in DISTANCES:
            raise InputError(f"distance '{self.distance}' is unknown; choose from {', '.join(DISTANCES)}")
        if self.side_px < 0:
            raise InputError(f"side_px is {self.side_px}; it must be 0 (all of the frame) or more")

    def settings(self) -> Settings:
        """The recipe. Raises InputError for an unknown preset or generator."""
        return recipe(self.preset, self.generator, self.iterations or None, self.seed)

    def optics(self) -> Optics | None:
        """The camera; None is the published one. Raises InputError for a missing or faulty file."""
        return None if self.camera == "published" else read_optics(Path(self.camera))

    def check(self) -> None:
        """Raises InputError if recipe, camera or frame are not to be had."""
        self.settings()
        self.optics()
        self.place()

    def place(self) -> str:
        """The scene that the frame belongs to."""
        return _shot(self).place

    def scene(self) -> Scene:
        """The frame, shrunk, cut and moved. Raises InputError if the data set has no such frame."""
        scene = _shot(self).read().reduced(self.factor)
        scene = scene.middle(self.side_px, self.side_px) if self.side_px else scene
        return scene.at_depth(math.inf) if self.distance == "far" else scene


def _shot(case: Case) -> Any:
    found = [shot for shot in DATASETS[case.dataset]() if shot.name == case.frame]
    if not found:
        raise InputError(f"data set '{case.dataset}' has no frame '{case.frame}'")
    return found[0]


def photograph(case: Case) -> Photograph:
    """The case's frame, photographed by the simulator: PSFs 0.1 rad apart, no noise, 8 bits. Do not change its arrays.

    Cases that differ in their recipe alone share one photograph; the last few are kept in memory.
    """
    return _photograph(case.dataset, case.frame, case.factor, case.camera, case.distance, case.side_px)


@lru_cache(maxsize=8)
def _photograph(dataset: str, frame: str, factor: int, camera: str, distance: str, side_px: int) -> Photograph:
    case = Case(frame, dataset, factor, camera, distance=distance, side_px=side_px)
    return photograph_scene(case.scene(), case.optics())


def plan(
    dataset: str,
    per_place: int,
    generators: Iterable[str] = ("dip",),
    seeds: Iterable[int] = (0,),
    places: int | None = None,
    **same: Any,
) -> list[Case]:
    """`per_place` frames of each of the first `places` scenes (None: all), with each generator and seed.

    same: the other fields of every case. The order puts a scene's cases side by side.
    """
    frames = shots(dataset, per_place)
    kept = list(dict.fromkeys(shot.place for shot in frames))[:places]
    return [
        Case(frame=shot.name, dataset=dataset, generator=generator, seed=seed, **same)
        for shot in frames
        if shot.place in kept
        for generator in generators
        for seed in seeds
    ]


def read_plan(path: Path) -> list[Case]:
    """Cases from a CSV file whose columns are fields of `Case`; only `frame` must be there.

    Raises InputError for a missing file, an unknown column, or a value of the wrong kind, with its line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a mark first
            lines = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV; give a list of cases with a header line") from error
    known = {field.name: field.type for field in fields(Case)}
    cases = []
    for number, line in enumerate(lines, start=2):
        if None in line:
            raise InputError(f"{path}: line {number}: has more values than the header has columns; correct it")
        unknown = [name for name in line if name not in known]
        if unknown or not line.get("frame"):
            what = f"column '{unknown[0]}' is unknown" if unknown else "frame is missing"
            raise InputError(f"{path}: line {number}: {what}; the columns are {', '.join(known)}")
        try:
            values: dict[str, Any] = {k: int(v) if known[k] == "int" else v for k, v in line.items() if v}
            cases.append(Case(**values))
            cases[-1].settings()
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: line {number}: {error}; correct it") from error
    if not cases:
        raise InputError(f"{path}: lists no case; give a header line and a line a solve")
    return cases


def solution_of(row: Mapping[str, Any] | pd.Series, work: Path = WORK) -> Solution:
    """The solve behind a row of a study. Raises InputError if it is no longer kept."""
    home = home_of(row["solve"], work)
    found = kept_solve(home)
    if found is None:
        raise InputError(f"{home}: the solve is not there or damaged; run the study again")
    return found


def solve_case(case: Case, work: Path = WORK, on_step: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Solves a case, or reads it back, and scores it: its row.

    The row holds the case, its scene, the scores of `dpcip evaluate`, seconds, device, iterations, and `solve`, the
    name of the folder in `work`/solves where report.json and solution.npz are.
    """
    photo = photograph(case)
    solution = solved(photo, case.settings(), work, on_step)
    return {"place": case.place(), **asdict(case), **row_of(photo, solution)}

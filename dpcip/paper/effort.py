"""What the committed results took: seconds and machines, summed from what each solve, training and stage recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

CARDS = ({"case", "report"}, {"seconds", "machine"})  # what a solve's and a training's have


def read_times(path: Path) -> dict[str, dict[str, object]]:
    """The seconds of each stage as last made; empty if none was. A damaged entry counts for nothing."""
    try:
        times = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    entries = times.items() if isinstance(times, dict) else ()
    return {name: made for name, made in entries if isinstance(made, dict) and _timed(made)}


def _cards(paths: Iterable[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of each JSON file; a damaged one counts for nothing, `make repro` makes its stage anew."""
    for path in paths:
        with suppress(OSError, ValueError):
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and any(keys <= content.keys() for keys in CARDS) and _timed(content):
                yield path.name, content


def _timed(content: dict[str, Any]) -> bool:
    """Whether the seconds, a solve's two or a training's, are numbers."""
    holders = [content["case"], content["report"]] if "case" in content else [content]
    return all(isinstance(one, dict) and isinstance(one.get("seconds"), (int, float)) for one in holders)


def _machine(values: dict[str, Any]) -> str:
    name, threads, torch = values["device_name"], values["threads"], values["torch"]
    return f"{values['device']}, {name}, {threads} threads, torch {torch}"


def _solves(folder: Path) -> Iterator[tuple[float, str]]:
    """Seconds and machine of each solve; one that several notebooks use counts once."""
    for solve in dict(_cards(sorted(folder.glob("*/*.json")))).values():
        yield float(solve["report"]["seconds"]), _machine(solve["report"]["machine"])


def _trainings(folder: Path) -> Iterator[tuple[float, str]]:
    for _, card in _cards(sorted(folder.glob("*/*.json"))):
        yield float(card["seconds"]), _machine(card["machine"])


def _stages(times: Path) -> Iterator[tuple[float, str]]:
    for values in read_times(times).values():
        yield float(str(values["seconds"])), str(values.get("machine", "machine not recorded"))


def _seconds_of_solves(folder: Path) -> dict[str, float]:
    """Seconds of each notebook's solves; one that several notebooks use counts for the first."""
    seen, seconds = set[str](), {}
    for home in sorted(path for path in folder.glob("*") if path.is_dir()):
        own = dict(_cards(path for path in home.glob("*.json") if path.name not in seen))
        seconds[home.name] = sum(float(solve["case"]["seconds"]) for solve in own.values())
        seen |= own.keys()
    return seconds


def _seconds_of_trainings(folder: Path) -> dict[str, float]:
    """Seconds that each rival's trainings took."""
    homes = sorted(path for path in folder.glob("*") if path.is_dir())
    return {home.name: sum(float(card["seconds"]) for _, card in _cards(home.glob("*.json"))) for home in homes}


def seconds_made(results: Path) -> dict[str, float]:
    """Seconds of the solves or trainings that belong to each stage."""
    return _seconds_of_solves(results / "solves") | _seconds_of_trainings(results / "baselines")


def whole_seconds(last_run: float, made: float) -> float:
    """Of a stage from nothing, at most: a last run shorter than its solves or trainings found some of them made."""
    return last_run if last_run >= made else last_run + made


def seconds_from_nothing(results: Path, times: Path) -> float:
    """All stages in sequence, each with its solves or trainings made anew."""
    known = {name: float(str(values["seconds"])) for name, values in read_times(times).items()}
    made = seconds_made(results)
    return sum(whole_seconds(known.get(name, 0.0), made.get(name, 0.0)) for name in known.keys() | made.keys())


def effort(results: Path, times: Path) -> pd.DataFrame:
    """What was computed, how many of it, minutes in all, machine; without a line for what there is none of."""
    kinds: dict[str, Iterable[tuple[float, str]]] = {
        "solves (results/solves)": _solves(results / "solves"),
        "trainings of the rivals (results/baselines)": _trainings(results / "baselines"),
        "stages of `make repro`, each as last run": _stages(times),
    }
    rows = []
    for what, parts in kinds.items():
        found = list(parts)
        machines = "; ".join(sorted({machine for _, machine in found}))
        rows.append({"what": what, "number": len(found), "minutes": sum(s for s, _ in found) / 60, "machine": machines})
    return pd.DataFrame([row for row in rows if row["number"]])

"""`make repro`: says what is to be made and how long it will take, then has DVC make it; other scales, elsewhere."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro

from dpcip.effort import read_times, seconds_made, whole_seconds
from dpcip.errors import InputError
from dpcip.progress import PLAN, time_words

TOP = Path(__file__).resolve().parent.parent
SCALES = ("tutorial", "laptop", "paper")
MADE_THERE = ("results/", "dvc.lock")  # what another scale's folder has of its own
MEASURED = "results/bench/"  # of results/: no stage makes it, notebook 7 reads it


def scale_in(params: Path) -> str:
    """The scale that params.yaml names."""
    found = re.search(r"^scale: *(\w+)", params.read_text(encoding="utf-8"), re.MULTILINE)
    if not found or found[1] not in SCALES:
        raise InputError(f"{params}: has no line 'scale: NAME'; NAME is one of {', '.join(SCALES)}")
    return found[1]


def workspace(top: Path, scale: str) -> Path:
    """The folder in which a scale is made: the clone `top` itself for its own, else `top`/.work/SCALE.

    There lies a copy of everything that git has or would take, but for results and dvc.lock: those are the folder's
    own and stay, so that only what is out of date is made again, and the clone's results are not touched.
    """
    if scale not in SCALES:
        raise InputError(f"scale '{scale}' is unknown; choose from {', '.join(SCALES)}")
    if scale == "paper" and re.search(r"(?m)^dataset: *rendered\b(?!_)", (top / "params.yaml").read_text()):
        raise InputError(f"{top / 'params.yaml'}: scale paper needs 'dataset: rendered_paper' or 'dataset: tauagent'")
    if scale == scale_in(top / "params.yaml"):
        return top
    home = top / ".work" / scale
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, cwd=top, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"{top}: git cannot list its files; clone the project, or set scale in params.yaml") from error
    for name in filter(None, names):
        if (name.startswith(MEASURED) or not name.startswith(MADE_THERE)) and (top / name).is_file():
            _copy(top / name, home / name)
    brought = [*(top / "data").iterdir(), *(top / "data" / "rendered").iterdir()]  # TAUAgent; frames of scale paper
    shared = [top / ".work" / "solves", top / ".work" / "training", top / "results" / "times"]
    for folder in shared:  # solves and trainings are kept by content, times by scale
        folder.mkdir(parents=True, exist_ok=True)
    for path in (*brought, *shared):
        _link(path, home / path.relative_to(top))
    if not (home / "dvc.lock").is_file():
        _copy(top / "dvc.lock", home / "dvc.lock")  # it knows that the rendered frames need not be made
    params = (top / "params.yaml").read_text(encoding="utf-8")
    (home / "params.yaml").write_text(re.sub(r"(?m)^scale: *\w+", f"scale: {scale}", params), encoding="utf-8")
    (home / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")  # git ignores .work
    return home


def _copy(source: Path, target: Path) -> None:
    if not target.is_file() or not filecmp.cmp(source, target, shallow=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())


def stages_to_make(home: Path) -> dict[str, float | None]:
    """The stages out of date and those that depend on them, in DVC's order, with the seconds they are expected to take.

    At most these: a stage whose inputs come out as they were is not made again. The seconds, too, are the most that is
    expected: those of the last run and, where they are less than its solves or trainings took, of these as well. Solves
    and trainings that are still kept in .work will not be made again.
    """
    try:
        with Repo(str(home)) as repo:
            graph = repo.index.graph
            changed = {address.rpartition(":")[2] for address in repo.status()}
            stale = [stage for stage in graph if stage.name in changed]
            todo = set(plan_repro(graph, stale, downstream=True)) if stale else set()
            order = [stage.name for stage in plan_repro(graph) if stage in todo]
    except LockError as error:
        raise InputError(f"{home}: DVC is at work here already; wait until it has ended") from error
    except DvcException as error:
        raise InputError(f"{home / 'dvc.yaml'}: {_one_line(error)}") from error
    results = home / "results"
    times = read_times(results / "times" / f"{scale_in(home / 'params.yaml')}.json")
    made = seconds_made(results)
    known: dict[str, float | None] = {}
    for name in order:
        seconds = times.get(name, {}).get("seconds")
        known[name] = (
            whole_seconds(float(str(seconds)), made.get(name, 0.0)) if seconds is not None else made.get(name) or None
        )
    return known


def announcement(home: Path, plan: dict[str, float | None]) -> str:
    """What `make repro` is about to do, in one line."""
    if not plan:
        return f"{home}: everything is up to date"
    untimed = [name for name, seconds in plan.items() if seconds is None]
    total = time_words(sum(seconds for seconds in plan.values() if seconds is not None))
    words = f"about {total}" if len(untimed) < len(plan) else "no times known yet, the run records them"
    rest = f" and {', '.join(untimed)} (not timed yet)" if 0 < len(untimed) < len(plan) else ""
    return f"{home}: {len(plan)} stages to make at most, {words}{rest}: {', '.join(plan)}"


def _one_line(error: Exception) -> str:
    causes = [error, *([error.__cause__] if error.__cause__ else [])]
    return ": ".join(" ".join(str(cause).split()) for cause in causes)


def _first(folder: Path, variable: str) -> str:
    """A search path with a folder in front: that folder's dpcip, not the installed one."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get(variable)]))


def main() -> None:
    """`python -m dpcip.repro [SCALE]`; without SCALE that of params.yaml."""
    if len(sys.argv) > 2:
        sys.exit("usage: python -m dpcip.repro [tutorial|laptop|paper]")
    try:
        scale = sys.argv[1] if len(sys.argv) == 2 else scale_in(TOP / "params.yaml")
        home = workspace(TOP, scale)
        plan = stages_to_make(home)
    except InputError as error:
        sys.exit(f"dpcip.repro: {error}")
    print(announcement(home, plan), flush=True)
    if plan:
        os.environ |= {PLAN: json.dumps(plan), "PYTHONPATH": _first(home, "PYTHONPATH")}
        os.chdir(home)  # DVC looks for dvc.yaml here
        try:
            with Repo() as repo:
                repo.reproduce()
        except DvcException as error:  # what the stage itself had to say stands above
            sys.exit(f"dpcip.repro: {_one_line(error)}; correct it and run the same command again")


if __name__ == "__main__":
    main()

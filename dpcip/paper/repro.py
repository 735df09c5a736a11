"""`make repro`: says what is to be made and how long it will take, then has DVC make it; other scales, elsewhere."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.repo.reproduce import plan_repro
from dvc.rwlock import rwlock

from dpcip.paper.checkout import check_writable, let_dvc_run, project_files
from dpcip.paper.effort import read_times, seconds_made, whole_seconds
from dpcip.paper.first_look import proof, there
from dpcip.paper.progress import PLAN, time_words
from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

SCALES = ("tutorial", "laptop", "paper")
MADE_THERE = ("results/", "dvc.lock")  # what another scale's folder has of its own
MEASURED = "results/bench/"  # of results/: no stage makes it, notebook 7 reads it
DATA_STAGE = "render"  # its frames are data, compared with their checksums; rendering them needs Blender
KEPT = ("solves", "training")  # folders of .work that spare a stage its work


def scale_in(params: Path) -> str:
    """The scale that params.yaml names."""
    found = re.search(r"^scale: *(\w+)", params.read_text(encoding="utf-8"), re.MULTILINE)
    if not found or found[1] not in SCALES:
        raise InputError(f"{params}: has no line 'scale: NAME'; NAME is one of {', '.join(SCALES)}")
    return found[1]


def workspace(top: Path, scale: str) -> Path:
    """The folder in which a scale is made: the clone `top` itself for its own, else `top`/.work/SCALE.

    There lies a copy of all that no .gitignore names, but for results and dvc.lock: those are the folder's
    own and stay, so that only what is out of date is made again, and the clone's results are not touched. What the
    clone no longer has is removed there.
    """
    if scale not in SCALES:
        raise InputError(f"scale '{scale}' is unknown; choose from {', '.join(SCALES)}")
    if scale == "paper" and re.search(r"(?m)^dataset: *rendered\b(?!_)", (top / "params.yaml").read_text()):
        raise InputError(f"{top / 'params.yaml'}: scale paper needs 'dataset: rendered_paper' or 'dataset: tauagent'")
    if scale == scale_in(top / "params.yaml"):
        return top
    home = top / ".work" / scale
    files = set(project_files(top))
    for name in sorted(files):
        if (name.startswith(MEASURED) or not name.startswith(MADE_THERE)) and (top / name).is_file():
            _copy(top / name, home / name)
    for name in [*project_files(home)]:
        if name not in files and not name.startswith((*MADE_THERE, ".dvc/")) and not (home / name).is_symlink():
            (home / name).unlink()
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
    return home


def _copy(source: Path, target: Path) -> None:
    if not target.is_file() or not filecmp.cmp(source, target, shallow=False):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _link(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source.resolve())


def renew_code(home: Path) -> None:
    """Runs the stage that says what the code does, so that after a changed comment there is nothing to make.

    Raises InputError if DVC cannot run it.
    """
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", "code"]
    environment = {**os.environ, "PYTHONPATH": _first(home, "PYTHONPATH")}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{home / 'dvc.yaml'}: stage code failed: {' '.join(done.stderr.split())[-300:]}")


@contextmanager
def _dvc(home: Path) -> Iterator[Repo]:
    """DVC's view of the folder; what it cannot do in there raises InputError."""
    try:
        with Repo(str(home)) as repo:
            yield repo
    except LockError as error:
        raise InputError(f"{home}: DVC is at work here already; wait until it has ended") from error
    except DvcException as error:
        raise InputError(f"{home / 'dvc.yaml'}: {_one_line(error)}") from error


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keeps DVC's other runs out of the folder. Raises InputError if one is at work there.

    DVC lets go of its lock while a stage runs; what the stage reads and writes stands in its second one, the rwlock.
    """
    with _dvc(home) as repo, lock_repo(repo):
        hard = repo.config["core"].get("hardlink_lock", False)
        with rwlock(repo.tmp_dir, repo.fs, "make repro", [], [repo.root_dir], hard):
            yield


def stages_to_make(home: Path) -> dict[str, float | None]:
    """The stages out of date and those that depend on them, in DVC's order, with the seconds they are expected to take.

    At most these: a stage whose inputs come out as they were is not made again. The seconds, too, are the most that is
    expected: those of the last run and, where they are less than its solves or trainings took, of these as well. Solves
    and trainings that are still kept in .work will not be made again.
    """
    with _dvc(home) as repo:
        graph = repo.index.graph
        changed = {address.rpartition(":")[2] for address in repo.status()}
        stale = [stage for stage in graph if stage.name in changed]
        todo = set(plan_repro(graph, stale, downstream=True)) if stale else set()
        order = [stage.name for stage in plan_repro(graph) if stage in todo]
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


def begin_anew(home: Path) -> str:
    """Lays aside what would spare a stage its work, so that all is made anew; says so in one line.

    That are the kept solves, trainings and trained weights, and the lock, without which DVC takes no stage for made but
    the rendering of the frames. What a stopped run has made since counts: it is not begun twice. `ended` closes the
    account. Raises InputError, with nothing moved, if dvc.lock is damaged or the solves lie elsewhere.
    """
    if os.environ.get("DPCIP_WORK"):
        raise InputError("DPCIP_WORK is set: FORCE=1 does not lay aside the solves that lie there; unset it")
    note = home / ".work" / "anew"
    if note.is_file():
        return f"going on with what FORCE=1 began on {note.read_text(encoding='utf-8').strip()}"
    lock, work = home / "dvc.lock", home / ".work"
    content = _lock_of_data(lock) if lock.is_file() else None
    work.mkdir(exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"before-{time.strftime('%Y%m%d-%H%M%S')}-", dir=work))
    if content:
        shutil.copy2(lock, aside / "dvc.lock")
    for name in KEPT:
        if (work / name).is_dir():
            (work / name).rename(aside / name)
            (work / name).mkdir()
    weights = home / "results" / "baselines"
    if weights.is_dir():
        weights.rename(aside / "baselines")
    if content:
        with replacing(lock) as temporary:
            temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with replacing(note) as temporary:
        temporary.write_text(time.strftime("%Y-%m-%d %H:%M"), encoding="utf-8")
    return (
        f"everything is made anew; former solves, trainings, weights and dvc.lock lie in {aside}. "
        "If it is stopped, `make repro` goes on where it was"
    )


def _lock_of_data(lock: Path) -> dict[str, Any]:
    """dvc.lock without any stage but the one that renders the frames."""
    try:
        content: dict[str, Any] = yaml.safe_load(lock.read_text(encoding="utf-8"))
        stages = {name: stage for name, stage in content["stages"].items() if name == DATA_STAGE}
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{lock}: is damaged or in conflict; take it from git again (git checkout dvc.lock)"
        ) from error
    return {**content, "stages": stages}


def ended(home: Path) -> None:
    """All is made: FORCE=1 would begin anew."""
    (home / ".work" / "anew").unlink(missing_ok=True)


def make(home: Path, plan: dict[str, float | None]) -> None:
    """Has DVC make the stages. Raises InputError if one fails; what it had to say itself stands above."""
    os.environ |= {PLAN: json.dumps(plan), "PYTHONPATH": _first(home, "PYTHONPATH")}
    os.chdir(home)  # DVC looks for dvc.yaml here
    try:
        with Repo() as repo:
            repo.reproduce()
    except DvcException as error:
        words = _one_line(error)
        if re.search(r"exited with (-2|-15|130|143)$", words):  # SIGINT, SIGTERM
            raise KeyboardInterrupt from error
        raise InputError(f"{words}; correct it and run the same command again") from error


def main() -> None:
    """`python -m dpcip.paper.repro [--force] [--proof] [SCALE]`; without SCALE that of params.yaml.

    --force: all anew. --proof: the proof (dpcip/paper/first_look.py) anew.
    """
    options = [word for word in sys.argv[1:] if word.startswith("--")]
    given = [word for word in sys.argv[1:] if word not in options]
    if len(given) > 1 or not {"--force", "--proof"}.issuperset(options):
        sys.exit("usage: python -m dpcip.paper.repro [--force] [--proof] [tutorial|laptop|paper]")
    try:
        check_writable(TOP)
        own = scale_in(TOP / "params.yaml")
        scale = given[0] if given else own
        if "--force" in options and scale in SCALES and scale != own:  # solves and trainings are shared by the scales
            raise InputError(
                f"FORCE=1 makes the scale of params.yaml anew, {own}; set 'scale: {scale}' there, "
                f"or delete {TOP / '.work' / scale} to make that one anew from kept solves"
            )
        home = workspace(TOP, scale)
        let_dvc_run(home)
        with alone(home):  # before anything is moved
            if "--force" in options:
                print(f"{home}: {begin_anew(home)}", flush=True)
        renew_code(home)
        plan = stages_to_make(home)
        print(announcement(home, plan), flush=True)
        if plan:
            make(home, plan)
        ended(home)
        if not plan:
            print("\n".join(there(home, scale)), flush=True)
            sys.exit(0 if proof(home, again="--proof" in options) else 1)
    except InputError as error:
        sys.exit(f"dpcip.paper.repro: {error}")
    except KeyboardInterrupt:
        sys.exit("dpcip.paper.repro: stopped; `make repro` goes on where it was")


if __name__ == "__main__":
    main()

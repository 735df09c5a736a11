"""Whether results, dvc.lock, dvc.yaml, params.yaml and code belong together, told in seconds and without running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo

from dpcip.paper.checkout import let_dvc_run
from dpcip.paper.pipeline import sources
from dpcip.utils.errors import InputError

CODE_STAGE = "code"
WRITTEN_BY_STAGES = ("baselines", "code", "figures", "notebooks", "solves", "tables")  # of results/


def faults(top: Path) -> list[str]:
    """What does not belong together in the clone `top`, a line each; empty if all does.

    By DVC's own comparison with dvc.lock: outputs that are missing or were changed by hand; data, parameters and
    commands that are no longer those of the committed results. Beyond it: code that does something else than what made
    them (a comment does not), locked stages that dvc.yaml no longer has, and files among the results that no stage
    writes. Raises InputError where DVC cannot read the pipeline.
    """
    let_dvc_run(top)
    try:
        with Repo(str(top)) as repo:
            stages = list(repo.index.stages)
            outs = [Path(out.fs_path) for out in repo.index.outs]
            locked = stages[0].dvcfile.lockfile_contents["stages"]
            status = repo.status()
    except LockError as error:
        raise InputError(f"{top}: DVC is at work here; wait until it has ended") from error
    except (DvcException, IndexError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{top / 'dvc.yaml'}: DVC cannot read the pipeline ({reason}); correct it") from error
    found = [
        line
        for address, changes in status.items()  # path/to/dvc.yaml:stage, or the stage alone
        if (stage := address.rpartition(":")[2]) != CODE_STAGE
        for line in _lines(stage, changes)
    ]
    found += _other_code(top)
    found += [f"{name}: is in dvc.lock but not in dvc.yaml" for name in sorted(set(locked) - {s.name for s in stages})]
    return found + [f"{path.relative_to(top)}: no stage writes it" for path in _strays(top / "results", outs)]


def _other_code(top: Path) -> list[str]:
    """Files of results/code that are not what the notebooks and the package would make now."""
    home = top / "results" / "code"
    kept = {path.name: path.read_text(encoding="utf-8") for path in home.glob("*")}
    wanted = sources(top)
    names = sorted(name for name in kept.keys() | wanted.keys() if kept.get(name) != wanted.get(name))
    return [f"{CODE_STAGE}: results/code/{name} is not what notebooks and code are now" for name in names]


def _lines(stage: str, changes: list[Any]) -> list[str]:
    """DVC's account of a stage, one line a file or parameter."""
    lines = []
    for change in changes:
        if isinstance(change, str):  # "changed command"
            lines.append(f"{stage}: {change}")
            continue
        for kind, entries in change.items():
            for path, state in entries.items():
                parts = state.items() if isinstance(state, dict) else [(None, state)]
                lines += [f"{stage}: {kind}: {path}{f' {part}' if part else ''} {what}" for part, what in parts]
    return lines


def _strays(results: Path, outs: list[Path]) -> list[Path]:
    """Files in the folders of results that belong to stages, but are no stage's output nor inside one."""
    files = [path for folder in WRITTEN_BY_STAGES for path in sorted((results / folder).rglob("*")) if path.is_file()]
    return [path for path in files if not any(path == out or out in path.parents for out in outs)]

"""Files written whole or not at all, folders claimed by one process, errors in one line."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from dpcip.utils.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` on success: a kill leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def existing_file(path: Path, what: str) -> Path:
    """The path, if it is that of a file; else raises InputError that asks for the path of `what`."""
    if not path.exists():
        raise InputError(f"{path}: no such file; give the path of {what}")
    if not path.is_file():
        raise InputError(f"{path}: is not a file; give the path of {what}")
    return path


def one_line(error: Exception) -> str:
    """The error's message without line breaks, or its kind."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Makes the folder and holds it against a second solve, by a lock file in the system's temporary folder."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; give --out a folder for the results")
    out.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"dpcip-{name}.lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"{out}: another solve is writing there; wait for it or choose another folder") from error


def write_npy(path: Path, values: np.ndarray) -> None:
    """Writes an array as .npy."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)


def write_json(path: Path, values: dict[str, object]) -> None:
    """Writes a dictionary as indented JSON; numbers unknown to JSON (NaN, infinity) become null at any depth."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_known(values), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _known(value: object) -> object:
    """The value with None for every number in it that JSON does not know."""
    if isinstance(value, dict):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_known(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

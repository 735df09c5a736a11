"""Files written whole or not at all, folders claimed by one process, errors in one line."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from dpcip.utils.errors import InputError

LOCK = ".dpcip.lock"  # in the folder that it guards, so that all who see the folder see the lock


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` on success: a kill leaves no half file.

    An OSError that does not say where, or names the temporary file, names `path` instead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # the folder may be gone, or read-only by now
            temporary.unlink(missing_ok=True)


def spare(written: Iterable[Path], read: Iterable[Path | None] = (), overwrite: bool = False) -> None:
    """What will be written, checked before the work: raises InputError if a file there would be lost, or none can be.

    read: what the command reads, None for what it does without. overwrite: the user said that files may be replaced.
    """
    given = [path for path in read if path is not None and path.exists()]
    for path in written:
        if path.exists():
            if not path.is_file():
                raise InputError(f"{path}: is there and no file; choose another name")
            if not overwrite:
                if any(path.samefile(other) for other in given):
                    raise InputError(f"{path}: is read, and would be overwritten; choose another name for the result")
                raise InputError(f"{path}: exists; choose another name, or give --overwrite")
        check_writable(path.parent)


def check_writable(folder: Path) -> None:
    """Raises InputError unless files can be made in the folder, or in the nearest one above it that is there."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{there}: is not a folder; choose another --out")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error


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
    """Makes the folder and holds it against a second process, by a lock file in it.

    The file goes when the work ends, whatever its end; it stays after a kill, and then tells whose the folder is.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is not a folder; give --out a folder for the results")
    check_writable(out)
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    lock = out / LOCK
    try:
        with FileLock(lock, timeout=0, mode=0o666):  # the next user of a shared folder must be able to open it
            try:
                yield
            finally:
                with suppress(OSError):
                    lock.unlink(missing_ok=True)
                    if made:
                        out.rmdir()  # if nothing came into it
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

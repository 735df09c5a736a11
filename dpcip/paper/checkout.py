"""The folder that the project lies in: a clone, an unpacked ZIP, a copy; what `make repro` must know of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

WITHOUT_GIT = "[core]\n    no_scm = true\n"


def check_writable(top: Path) -> None:
    """Raises InputError if nothing can be written to the folder."""
    if not os.access(top, os.W_OK):
        raise InputError(f"{top}: is read-only; copy it (cp -r) to a folder of your own and run the command there")


def let_dvc_run(top: Path) -> None:
    """Tells DVC to do without git where the folder is no clone: an unpacked ZIP, a copy, a scale's own folder."""
    told = top / ".dvc" / "config.local"
    if (top / ".git").exists() or told.is_file():
        return
    check_writable(top)
    with replacing(told) as temporary:
        temporary.write_text(WITHOUT_GIT, encoding="utf-8")


def project_files(top: Path) -> Iterator[str]:
    """The project's own files, relative to `top`: all but what a .gitignore names. No git is asked: a ZIP has none."""
    rules: list[tuple[Path, GitIgnoreSpec]] = []
    for folder, subfolders, names in os.walk(top):
        here = Path(folder)
        if ".gitignore" in names:
            lines = (here / ".gitignore").read_text(encoding="utf-8").splitlines()
            rules.append((here, GitIgnoreSpec.from_lines(lines)))
        subfolders[:] = [
            name for name in sorted(subfolders) if name != ".git" and not _ignored(here / name, "/", rules)
        ]
        for name in sorted(names):
            if name != ".git" and not _ignored(here / name, "", rules):  # a worktree's .git is a file
                yield (here / name).relative_to(top).as_posix()


def _ignored(path: Path, end: str, rules: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    return any(
        spec.match_file(f"{path.relative_to(home).as_posix()}{end}")
        for home, spec in rules
        if path.is_relative_to(home)
    )

"""Folders that are no clones: an unpacked ZIP, a read-only one; and the line ends of those that are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from dpcip.paper.checkout import check_writable, let_dvc_run, project_files
from dpcip.utils.errors import InputError

TOP = Path(__file__).resolve().parent.parent


def git(*words: str) -> list[str]:
    """Lines or names that git prints of the clone the tests lie in; skips where there is none."""
    if not (TOP / ".git").exists():
        pytest.skip("not a clone")
    try:
        return subprocess.run(["git", "-C", str(TOP), *words], capture_output=True, text=True, check=True).stdout.split(
            "\0"
        )
    except FileNotFoundError:
        pytest.skip("git is not there")


@pytest.mark.slow
def test_dvc_runs_without_git(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc" / "config").write_text("")  # as in an archive of a clone
    let_dvc_run(tmp_path)
    with Repo(str(tmp_path)) as repo:
        assert repo.status() == {}


def test_a_clone_is_left_to_git(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    let_dvc_run(tmp_path)
    assert not (tmp_path / ".dvc").exists()


def test_read_only_folder_ends_in_one_line(tmp_path: Path) -> None:
    check_writable(tmp_path)
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("root may write everywhere")
    with pytest.raises(InputError, match=r"is read-only; copy it .* to a folder of your own"):
        check_writable(tmp_path)
    tmp_path.chmod(0o700)


def test_files_are_those_that_git_would_take() -> None:
    own_rules = "--exclude-per-directory=.gitignore"  # not what a user ignores everywhere
    listed = git("ls-files", "-z", "--cached", "--others", own_rules)
    assert set(project_files(TOP)) == {name for name in listed if name and (TOP / name).is_file()}


def test_ignored_folders_are_not_listed(tmp_path: Path) -> None:
    for name in (
        ".venv/x.py",
        "a/b.py",
        "a/out/c",
        "a/keep/c",
        ".git/HEAD",
        "data/captures/mine/x",
        "data/captures/README.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text("/.venv\n/data/captures/*\n!/data/captures/README.md\n")
    (tmp_path / "a" / ".gitignore").write_text("/out/\n")
    assert list(project_files(tmp_path)) == [
        ".gitignore",
        "a/.gitignore",
        "a/b.py",
        "a/keep/c",
        "data/captures/README.md",
    ]


def test_every_text_in_git_has_its_line_ends_fixed() -> None:
    """Else a clone with core.autocrlf=true has other bytes than dvc.lock and the checksums say."""
    lines = [line for line in "".join(git("ls-files", "--eol")).splitlines() if line]
    ends = {line.split("\t")[1]: line.split("\t")[0].split() for line in lines}
    assert {name for name, (index, *_) in ends.items() if index not in ("i/lf", "i/-text", "i/none")} == set()
    loose = {name for name, (index, _, *attr) in ends.items() if index == "i/lf" and "eol=lf" not in attr}
    assert loose == set()
    assert {
        name for name, (index, _, *attr) in ends.items() if index == "i/-text" and "attr/-text" not in attr
    } == set()

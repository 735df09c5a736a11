"""A folder with a good photograph, depth, camera and result, and the command line in this process."""

from __future__ import annotations

import shutil
from pathlib import Path

import awkward_inputs
import numpy as np
import pytest
from awkward_inputs import Dpcip, Outcome

from dpcip.cli import main as cli


@pytest.fixture
def dpcip(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Dpcip:
    caplog.set_level("INFO", "dpcip")

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        caplog.clear()
        monkeypatch.setattr("sys.argv", ["dpcip", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        out, err = capfd.readouterr()
        return Outcome(
            int(stop.value.code or 0),
            out.splitlines(),
            [line for line in err.splitlines() if line.strip()],
            caplog.messages,
        )

    return run


@pytest.fixture(scope="session")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photo.png, depth.npy, bank.npz, and result/, the solve of the first with the last."""
    home = tmp_path_factory.mktemp("solved")
    awkward_inputs.png(str(home / "photo.png"))
    np.save(home / "depth.npy", awkward_inputs.depth_m())
    awkward_inputs.bank(str(home / "bank.npz"))
    command = ["solve", "photo.png", "--psf", "bank.npz", "--iterations", "1", "--quiet", "--out", "result"]
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.chdir(home)
        patch.setattr("sys.argv", ["dpcip", *command])
        cli.main()
    assert not stop.value.code
    return home


@pytest.fixture
def here(solved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `solved`, which is the current folder."""
    home = tmp_path / "here"
    shutil.copytree(solved, home)
    monkeypatch.chdir(home)
    return home

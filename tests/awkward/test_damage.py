"""Damaged files of every format, to the reader of each verb: a result, or one line; never a traceback.

Where the format has a checksum (PNG, deflate, npz) or its decoder notices, damage is refused; in plain samples a bit
that turned is another picture, which nobody can tell. So the property is on how a command ends; that what is read right
is right, the table tests.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import awkward_inputs as make
import numpy as np
import pytest
from awkward_inputs import Outcome
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dpcip.cli import main as cli

MOST_SECONDS, MOST_GIB = 60, 4
TINY = "--iterations 1 --quiet"


def mat(path: str) -> None:
    from dpcip.optics.psf import PsfBank

    make.bank("for_mat.npz")
    PsfBank.load(Path("for_mat.npz")).save(Path(path))


def optics(path: str) -> None:
    Path(path).write_text("lens: {focus_m: 0.9}\nwavelengths_nm: [550]\nairy_px: 1.9\n")


def plan(path: str) -> None:
    Path(path).write_text("frame,factor,preset,iterations\nno_such_frame,4,paper,2\n")


# What is damaged: how it is made, and the command that reads it. `evaluate` and `simulate` read more than one.
READ: dict[str, tuple[Callable[[str], object], str]] = {
    **{f"solve p{s}": (made, f"solve p{s} --psf bank.npz {TINY} --out result") for s, made in make.PHOTOS.items()},
    **{f"simulate p{s}": (made, f"simulate p{s} depth.npy --unit m --psf bank.npz --overwrite --out c.npy")
       for s, made in make.PHOTOS.items()},
    **{f"simulate d{s}": (made, f"simulate photo.png d{s} --unit m --psf bank.npz --overwrite --out c.npy")
       for s, made in make.DEPTHS.items()},
    **{f"evaluate d{s}": (made, f"evaluate result --depth d{s} --unit m") for s, made in make.DEPTHS.items()},
    "solve b.npz": (make.bank, f"solve photo.png --psf b.npz {TINY} --out result"),
    "solve b.mat": (mat, f"solve photo.png --psf b.mat {TINY} --out result"),
    "psf o.yaml": (optics, "psf --optics o.yaml --size 5 --psi 0 1 1 --overwrite --out new.npz"),
    "study l.csv": (plan, "study l.csv --out rows.csv --work work"),
    "calibrate p.png": (make.png, "calibrate --coded p.png --sharp p.png --depth -1 --unit psi --size 9 --out k.npz"),
}  # fmt: skip


def run(command: str, patch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Outcome:
    capfd.readouterr()
    patch.setattr("sys.argv", ["dpcip", *command.split()])
    began = time.monotonic()
    with pytest.raises(SystemExit) as stop:  # a traceback would be another exception
        cli.main()
    out, err = capfd.readouterr()
    assert time.monotonic() - began < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MOST_GIB * 2**20
    return Outcome(int(stop.value.code or 0), out.splitlines(), [line for line in err.splitlines() if line.strip()])


def ends_well(outcome: Outcome) -> None:
    """A result, or one line; the lines before it, of a JPEG say, are ours, too."""
    if outcome.status:
        assert outcome.err and outcome.err[-1].startswith("dpcip: "), outcome
        assert sum(line.startswith("dpcip: ") for line in outcome.err) == 1, outcome
    assert not any("Traceback" in line or "Warning" in line for line in outcome.err + outcome.out), outcome


@pytest.fixture(params=READ)
def reading(request: pytest.FixtureRequest, here: Path) -> tuple[Path, bytes, str]:
    """The file, its good bytes, and the command that reads it."""
    made, command = READ[request.param]
    name = request.param.split()[1]
    made(name)
    return Path(name), Path(name).read_bytes(), command


@pytest.mark.slow
def test_the_good_file_is_read(reading: tuple[Path, bytes, str], monkeypatch, capfd) -> None:
    _, _, command = reading
    outcome = run(command, monkeypatch, capfd)
    ends_well(outcome)
    told = outcome.err[-1] if outcome.err else ""
    if "p.jpg" in command and command.startswith("solve") or "b.mat" in command:  # other light, other PSFs
        assert outcome.status in (0, 2) and "holds the result of another" in told + "holds the result of another"
    elif command.startswith(("study", "calibrate")):
        assert outcome.status == 2 and ("no_such_frame" in told or "photo" in told or "p.png" in told), outcome
    else:
        assert outcome.status == 0, outcome


@pytest.mark.slow
def test_cut_at_every_sixteenth(reading: tuple[Path, bytes, str], monkeypatch, capfd) -> None:
    path, good, command = reading
    for part in range(16):
        path.write_bytes(good[: len(good) * part // 16])
        ends_well(run(command, monkeypatch, capfd))


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(data=st.data())
def test_bits_that_turned(reading: tuple[Path, bytes, str], monkeypatch, capfd, data: st.DataObject) -> None:
    """Half of them in the first 512 bytes, where the header is."""
    path, good, command = reading
    bad = bytearray(good)
    places = st.one_of(st.integers(0, min(len(good), 512) - 1), st.integers(0, len(good) - 1))
    for place, bit in data.draw(st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=4)):
        bad[place] ^= 1 << bit
    path.write_bytes(bytes(bad))
    ends_well(run(command, monkeypatch, capfd))


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(noise=st.binary(max_size=300), kept=st.integers(0, 64))
@example(noise=b"", kept=0)
def test_random_bytes(reading: tuple[Path, bytes, str], monkeypatch, capfd, noise: bytes, kept: int) -> None:
    """From the first on, or behind a good beginning."""
    path, good, command = reading
    path.write_bytes(good[:kept] + noise)
    ends_well(run(command, monkeypatch, capfd))


@pytest.mark.slow
def test_damage_that_can_be_seen_is_refused(here: Path, monkeypatch, capfd) -> None:
    """Zeros over the middle of what is compressed: refused in every format that could notice."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
    writers: dict[str, Callable[[str], object]] = {
        "p.png": lambda path: make.png(path, noise),
        "q.tif": lambda path: make.tiff(path, noise, compression="lzw"),
        "r.tif": lambda path: make.tiff(path, noise, compression="zlib"),
        "p.npz": lambda path: np.savez_compressed(path, light=noise.transpose(2, 0, 1)),
    }
    for name, write in writers.items():
        write(name)
        bad = bytearray(Path(name).read_bytes())
        middle = len(bad) // 2
        bad[middle : middle + 300] = bytes(300)
        Path(name).write_bytes(bytes(bad))
        outcome = run(f"solve {name} --psf bank.npz {TINY} --out new", monkeypatch, capfd)
        assert name in outcome.line

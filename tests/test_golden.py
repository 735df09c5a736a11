"""Solves, deblurrings and trainings still come to what they came to when their ALGORITHM was declared."""

from __future__ import annotations

from pathlib import Path

import golden
import pytest
from golden import CASES, moved, stored

from dpcip.solver import stepper as solver
from dpcip.utils.files import write_json

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
def test_numbers_stand_while_the_algorithm_does(name: str) -> None:
    module, compute = CASES[name]
    where, then = golden._file(module), stored(name)["algorithm"]
    assert module.ALGORITHM >= then, f"ALGORITHM in {where} was lowered; it was {then}, and may only rise"
    assert module.ALGORITHM == then, f"ALGORITHM in {where} was raised: now make golden"
    off = moved(name, compute())
    assert not off, (
        f"numbers moved: raise ALGORITHM in {where}, then make golden ({off}, in units of the tolerance); if it was a "
        "mistake: undo it, and delete what was solved meanwhile in .work"
    )


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in golden.HERE.glob("*.json")} == set(CASES)


def test_unseen_constants_are_there() -> None:
    there = {own for module in golden.ENTRANCES for own in golden.constants(module)}
    assert set(golden.UNSEEN) <= {f"{dotted}.{name}".removeprefix("dpcip.") for dotted, name in there}


@pytest.mark.parametrize(
    ("algorithm", "names", "words"),
    [
        (None, [], "no numbers"),
        (2, [], "was lowered"),
        (1, ["case"], "is not new"),
        (1, [], "numbers moved"),
        (1, ["other"], "no such cases"),
    ],
)
def test_numbers_are_not_written_by_mistake(
    algorithm: int | None, names: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "HERE", tmp_path)
    monkeypatch.setattr(solver, "ALGORITHM", 1)
    monkeypatch.setattr(golden, "CASES", {"case": (solver, lambda: {"loss": [1.0]})})
    if algorithm is not None:
        write_json(tmp_path / "case.json", {"algorithm": algorithm, "numbers": {"loss": [0.5]}})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit, match=words):
        golden.write(names)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_new_and_raised_cases_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "HERE", tmp_path)
    for names, algorithm, loss in ((["case"], 1, 1.0), ([], 2, 3.0)):
        monkeypatch.setattr(solver, "ALGORITHM", algorithm)
        monkeypatch.setattr(golden, "CASES", {"case": (solver, lambda loss=loss: {"loss": [loss]})})
        with pytest.raises(SystemExit) as left:
            golden.write(names)
        assert left.value.code is None
        assert stored("case") == {"algorithm": algorithm, "numbers": {"loss": [loss]}}

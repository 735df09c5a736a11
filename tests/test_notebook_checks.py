"""Checks of notebooks and tests: what is printed, that spreads are as large as measured, that a difference is red."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from margins import assert_clears
from measure_spread import SETTINGS, settings_of

from dpcip.study import checks
from dpcip.study.checks import Check, check, summary

TOP = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((TOP / "notebooks").glob("*.ipynb"))
MEASURED = pd.read_csv(TOP / "tests" / "spread.csv")


def code_of(path: Path) -> str:
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    return "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")


def calls(source: str, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
            yield node


@pytest.fixture(autouse=True)
def no_check_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_made", {})
    monkeypatch.delenv(checks.RECORD, raising=False)


@pytest.mark.parametrize(
    ("value", "above", "below", "said"),
    [
        (1.6, 1, None, "yes"),
        (1.4, 1, None, "no difference"),
        (0.6, 1, None, "no difference"),
        (0.4, 1, None, "no"),
        (0.4, None, 1, "yes"),
        (1.4, None, 1, "no difference"),
        (1.6, None, 1, "no"),
    ],
)
def test_verdict_is_yes_only_beyond_the_spread(
    value: float, above: float | None, below: float | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check("it is so", value, above=above, below=below, spread=0.5)
    assert capsys.readouterr().out == f"it is so: {said}\n"


def test_numbers_are_recorded_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(checks.RECORD, str(tmp_path / "numbers.jsonl"))
    for value in (2.0, 3.0):  # a cell that is run again
        check("larger than one", value, above=1, spread=0.5)
    check("smaller", 0.25, below=1, spread=0.5)
    lines = [json.loads(line) for line in (tmp_path / "numbers.jsonl").read_text().splitlines()]
    assert [(line["words"], line["value"], line["clears_by"]) for line in lines] == [
        ("larger than one", 2.0, 0.5),
        ("larger than one", 3.0, 1.5),
        ("smaller", 0.25, 0.25),
    ]
    table = summary()
    assert list(table["claim"]) == ["larger than one", "smaller"] and list(table["value"]) == ["3", "0.25"]
    assert list(table["must be"]) == ["above 1", "below 1"] and list(table["from another verdict"]) == ["1.5", "0.25"]


@pytest.mark.parametrize(
    "wrong", [{}, {"above": 1, "below": 2}, {"above": 1, "value": float("nan")}, {"above": 1, "spread": 0.0}]
)
def test_a_check_that_says_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="check 'words'"):
        check("words", **{"value": 1.0, "spread": 0.1, **wrong})


def test_a_test_within_the_spread_fails() -> None:
    assert_clears("far enough", 1.2, above=1, spread=0.1)
    for near in (1.05, 0.5):
        with pytest.raises(AssertionError, match=r"near: .* must be above 1 by more than the spread 0.1"):
            assert_clears("near", near, above=1, spread=0.1)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_checked_cells_print_no_bare_comparison(path: Path) -> None:
    """A comparison of two measured numbers has no margin: another processor turns it round."""
    for cell in nbformat.read(path, as_version=4).cells:
        if "NBVAL_CHECK_OUTPUT" in cell.source:
            for call in calls(cell.source, "print"):
                for argument in call.args:
                    inner = argument.elt if isinstance(argument, ast.GeneratorExp) else argument
                    said = isinstance(inner, ast.Compare | ast.BoolOp)
                    said |= isinstance(inner, ast.Call) and ast.unparse(inner.func).endswith(("bool", "all", "any"))
                    assert not said, ast.unparse(call)


STATED = [(path, call) for path in NOTEBOOKS for call in calls(code_of(path), "check")]
STATED += [
    (path, call)
    for path in sorted((TOP / "tests").glob("test_*.py"))
    if path.name != Path(__file__).name
    for call in calls(code_of(path), "assert_clears")
]


@pytest.mark.parametrize(("path", "call"), STATED, ids=lambda part: getattr(part, "stem", None))
def test_spread_is_as_large_as_measured_and_the_verdict_stable(path: Path, call: ast.Call) -> None:
    """Every setting's verdict is the same one, and the default's value twice the measured range away from another."""
    words = call.args[0]
    pattern = ast.literal_eval(words) if isinstance(words, ast.Constant) else ""
    rows = MEASURED[(MEASURED["notebook"] == path.stem) & (MEASURED["words"] == pattern)]
    if isinstance(words, ast.JoinedStr):  # a parametrised test: a row for each
        end = words.values[-1]
        assert isinstance(end, ast.Constant)
        rows = MEASURED[(MEASURED["notebook"] == path.stem) & MEASURED["words"].str.endswith(str(end.value))]
    measure = f"python -m tests.measure_spread {path.stem}"
    assert len(rows), f"{ast.unparse(words)} has not been measured: {measure}"
    stated = {k.arg: ast.unparse(k.value) for k in call.keywords}
    for row in rows.to_dict("records"):
        for key in ("above", "below", "spread"):
            given = stated.get(key)
            if given is None or not given.isidentifier():
                value = float("nan") if given is None else eval(given)  # 1 / 3
                assert row[key] == pytest.approx(value, nan_ok=True), f"{row['words']}, {key}: {measure}"
        bounds = {key: None if pd.isna(row[key]) else row[key] for key in ("above", "below")}
        values = [row[s] for s in SETTINGS if not pd.isna(row[s])]
        found = [Check(row["words"], value, **bounds, spread=row["spread"]) for value in values]
        assert len(values) == len(settings_of(path)) and row["range"] <= row["spread"], row
        assert len({one.verdict() for one in found}) == 1, row
        assert found[0].clears_by() >= 2 * row["range"], row


SMALL = """
import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output
cell = new_code_cell("# NBVAL_CHECK_OUTPUT\\nprint('words: yes')", execution_count=1)
cell.outputs = [new_output("stream", name="stdout", text="words: {stored}\\n")]
other = new_code_cell("print('this one differs')", execution_count=2)
other.outputs = [new_output("stream", name="stdout", text="and is not checked\\n")]
last = new_code_cell("{last}", execution_count=3)
nbformat.write(new_notebook(cells=[cell, other, last]), "small.ipynb")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stored", "last", "n_red"), [("yes", "x = 1", 0), ("no difference", "x = 1", 1), ("yes", "1 / 0", 1)]
)
def test_a_notebook_that_prints_otherwise_or_fails_is_red(stored: str, last: str, n_red: int, tmp_path: Path) -> None:
    """By the adapter that `make test` names: an output that differs from the stored one in a checked cell."""
    code = SMALL.format(stored=stored, last=last)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pytest", "-p", "tests.nbval_adapter", "-c", str(TOP / "pyproject.toml")]
    ran = subprocess.run([*command, str(tmp_path / "small.ipynb")], cwd=TOP, capture_output=True, text=True)
    assert (ran.returncode != 0) == bool(n_red), ran.stdout + ran.stderr
    said = f"{n_red} failed, {3 - n_red} passed" if n_red else "3 passed"
    assert said in ran.stdout, ran.stdout


def test_the_makefile_names_the_adapter_alone() -> None:
    lines = (TOP / "Makefile").read_text().splitlines()
    assert [line.split()[-4:] for line in lines if "nbval" in line and "pytest" in line] == [
        ["-p", "tests.nbval_adapter", "notebooks", "tests"]
    ]

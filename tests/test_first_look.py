"""The proof of `make repro`: a row of Table 1 solved anew, and what it says of the stored one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from dpcip.paper import first_look
from dpcip.paper.first_look import cheapest, proof, there
from dpcip.study.cases import Case
from dpcip.study.runs import run_study, save_reports
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json

TOP = Path(__file__).resolve().parent.parent
SMALL = [Case("table_14", factor=4, side_px=64, preset="paper", iterations=steps) for steps in (5, 4)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the two rows of a small Table 1, as notebook 2 writes them."""
    home = tmp_path_factory.mktemp("made")
    rows = run_study(SMALL, home / "elsewhere")
    save_reports(rows, home / "results" / "solves" / "02_depth", home / "elsewhere")
    lines = [
        {"what": f"{row['iterations']} steps", "method": "DPCIP", "solves": row["solve"][:8]}
        for _, row in rows.iterrows()
    ]
    lines.append({"what": "all scenes", "method": "DPCIP", "solves": " ".join(line["solves"] for line in lines)})
    lines.append({"what": "table", "method": "depth network [4]", "solves": "113ad7e0"})
    (home / "results" / "tables").mkdir()
    pd.DataFrame(lines).to_csv(home / "results" / "tables" / "table1_depth.csv", index=False)
    return home


@pytest.fixture
def home(made: Path) -> Path:
    """The same without a proof."""
    (made / ".work" / "proof.json").unlink(missing_ok=True)
    return made


def card(home: Path) -> Path:
    (path,) = (
        path for path in (home / "results" / "solves" / "02_depth").iterdir() if '"iterations": 4,' in path.read_text()
    )
    return path


@pytest.mark.slow
def test_least_work_is_chosen_and_not_more_than_minutes(home: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    row = cheapest(home / "results")
    assert row is not None and row.name == "4 steps" and row.to_solve() == SMALL[1]
    monkeypatch.setattr(first_look, "MOST_WORK", 64 * 64 * 3)
    assert cheapest(home / "results") is None and cheapest(home / "nothing") is None
    assert proof(home) and "no row that is solved within minutes" in capsys.readouterr().out


@pytest.mark.slow
def test_row_is_solved_anew_and_found_the_same_and_that_is_kept(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    step = first_look.solve_case
    monkeypatch.setattr(first_look, "solve_case", lambda *given: (steps.append(1), step(*given))[1])
    assert proof(home)
    told = capsys.readouterr()
    assert "4/4" in told.err, "its progress"
    assert "same within the margin (1.5 dB, 40 %)" in told.out
    assert "account for: PSNR +0.00 dB, depth RMSE +0.0 %\n" in told.out
    stored = json.loads(card(home).read_text())["case"]
    assert f"{stored['psnr_db']:.2f} dB" in told.out and f"{stored['depth_rmse_m']:.4f} m" in told.out
    assert [path.name for path in (home / ".work").iterdir()] == ["proof.json"]
    assert proof(home) and len(steps) == 1, "once"
    told = capsys.readouterr()
    assert told.out.count("\n") == 1 and "same within" in told.out and "make repro PROOF=1" in told.out
    (home / ".work" / "proof.json").write_text("{")
    assert proof(home) and proof(home, again=True) and len(steps) == 3
    code = home / "results" / "code" / "02_depth.digest"
    code.parent.mkdir()
    code.write_text("other code")
    assert proof(home) and proof(home) and len(steps) == 4
    monkeypatch.setattr(first_look, "arithmetic", lambda device: "another")
    assert proof(home) and proof(home) and len(steps) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "factor", "words"),
    [
        ("psnr_db", 0.8, "PSNR +"),
        ("depth_rmse_m", 0.7, "depth RMSE +42.9 %"),
        ("depth_rmse_m", 1.5, "depth RMSE -33.3 %"),
    ],
)
def test_doctored_row_is_off(
    home: Path, capsys: pytest.CaptureFixture[str], number: str, factor: float, words: str
) -> None:
    path = card(home)
    text = path.read_text()
    content = json.loads(text)
    content["case"][number] *= factor
    write_json(path, content)
    try:
        assert not proof(home)
        told = capsys.readouterr().out
        assert "off by more than the margin (1.5 dB, 40 %)" in told and words in told
        assert not proof(home), "and stays so"
    finally:
        path.write_text(text)
    assert "off by" in capsys.readouterr().out
    assert proof(home), "the stored row is another one now: solved anew"


def test_row_that_converged_is_solved_with_its_recipe() -> None:
    """Another number of iterations has another warm-up, guide and cooldown."""
    row = cheapest(TOP / "results")
    assert row is not None
    asked = row.report["settings"]["iterations"]
    stopped = first_look.Row(row.name, {**row.case, "iterations": 137}, row.report)
    assert stopped.to_solve().settings() == row.to_solve().settings() and stopped.to_solve().iterations == asked
    assert stopped.work == row.case["width"] * row.case["height"] * 137


@pytest.mark.slow
def test_damaged_record_ends_in_one_line(home: Path) -> None:
    path = card(home)
    text = path.read_text()
    whole = json.loads(text)
    case, report = whole["case"], whole["report"]
    no_width = {name: value for name, value in case.items() if name != "width"}
    damaged = [
        [],
        {"case": no_width, "report": report},
        {"case": {**case, "psnr_db": None}, "report": report},
        {"case": case, "report": {**report, "settings": None}},
        {"case": case, "report": {**report, "machine": {}}},
    ]
    try:
        for content in ("{", *map(json.dumps, damaged)):
            path.write_text(content)
            with pytest.raises(InputError, match=rf"{path.name}: is not the record of a solve; take it") as caught:
                cheapest(home / "results")
            assert "\n" not in str(caught.value)
    finally:
        path.write_text(text)


def test_committed_table_has_a_row_for_the_proof() -> None:
    row = cheapest(TOP / "results")
    assert row is not None and row.case["place"] == row.name and row.to_solve().frame == row.case["frame"]


def test_what_is_there_and_when_it_was_made(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for name in ("tables/a.csv", "tables/a.md", "tables/b.csv", "figures/a.png", "REPORT.md"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).touch()
    lines = there(tmp_path, "laptop")
    assert lines == [
        "there: 2 tables and 1 figures in results/, what they say in results/REPORT.md",
        "made: at scale laptop, date not recorded, on machine not recorded",
    ]
    times = {"a": {"seconds": 1, "machine": "X, 2 threads", "date": "2026-11-27"}, "b": {"seconds": 1, "machine": "Y"}}
    write_json(results / "times" / "laptop.json", times)
    assert there(tmp_path, "laptop")[1] == "made: at scale laptop, 2026-11-27, on X, 2 threads; Y"


def test_date_is_gits_where_none_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").touch()
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-C", str(tmp_path)]
    try:
        subprocess.run([*git, "init", "-q"], check=True)
    except FileNotFoundError:
        pytest.skip("git is not there")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x", "--date", "2026-01-02T03:04:05"], check=True)
    assert "committed 20" in there(tmp_path, "laptop")[1]

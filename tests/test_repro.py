"""`make repro`: what it is going to make and how long that takes; other scales in folders of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dpcip import repro
from dpcip.errors import InputError
from dpcip.repro import announcement, scale_in, stages_to_make, workspace

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's own use of pygtrie

TOP = Path(__file__).resolve().parent.parent
# A pipeline like ours in small: two notebooks' stages, the second reads what the first writes.
PIPELINE = """
stages:
  02_depth:
    cmd: python -c "open('results/tables/a.csv','w').write('1')"
    params: [scale]
    outs: [{results/tables/a.csv: {cache: false}}]
  03_edof:
    cmd: python -c "open('results/tables/b.csv','w').write(open('results/tables/a.csv').read())"
    deps: [results/tables/a.csv]
    outs: [{results/tables/b.csv: {cache: false}}]
  04_other:
    cmd: python -c "open('results/tables/c.csv','w').write('1')"
    outs: [{results/tables/c.csv: {cache: false}}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone with results and lock."""
    top = tmp_path / "project"
    for folder in ("results/tables", "results/bench", "results/solves/02_depth", "data/rendered", "data/TAUAgent"):
        (top / folder).mkdir(parents=True)
    (top / "dvc.yaml").write_text(PIPELINE)
    (top / "params.yaml").write_text("# what\nscale: laptop # or another\ndataset: rendered\n")
    (top / ".gitignore").write_text("/.work/\n/data/TAUAgent/\n")
    (top / ".dvcignore").write_text(".work\n")
    (top / "results" / "bench" / "summary.json").write_text("{}")
    (top / "results" / "solves" / "02_depth" / "one.json").write_text('{"case": {"seconds": 120.0}, "report": {}}')
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=top, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=top, check=True)
    return top


def test_only_stale_stages_and_what_depends_on_them_in_order(project: Path) -> None:
    assert stages_to_make(project) == {}
    assert "up to date" in announcement(project, {})
    (project / "results" / "tables" / "a.csv").write_text("2")
    plan = stages_to_make(project)
    assert list(plan) == ["02_depth", "03_edof"]
    assert plan == {"02_depth": 120.0, "03_edof": None}, "seconds of the solves where no time is known"
    assert announcement(project, plan).endswith(
        "2 stages to make at most, about 2 min and 03_edof (not timed yet): 02_depth, 03_edof"
    )


def test_stages_that_depend_on_a_stale_one_are_counted_before_it_has_run(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("laptop", "tutorial"))
    assert list(stages_to_make(project)) == ["02_depth", "03_edof"]


def test_times_of_the_last_run_count_unless_its_solves_took_longer(project: Path) -> None:
    (project / "results" / "tables" / "a.csv").unlink()
    times = project / "results" / "times" / "laptop.json"
    times.parent.mkdir()
    for seconds, expected in ((300.0, 300.0), (5.0, 125.0)):
        times.write_text(json.dumps({"02_depth": {"seconds": seconds}, "03_edof": {"seconds": 7}}))
        assert stages_to_make(project) == {"02_depth": expected, "03_edof": 7.0}


def test_another_scale_is_made_elsewhere_and_leaves_the_results_alone(project: Path) -> None:
    before = {path: path.read_bytes() for path in (project / "results").rglob("*") if path.is_file()}
    home = workspace(project, "tutorial")
    assert home == project / ".work" / "tutorial" and scale_in(home / "params.yaml") == "tutorial"
    assert "dataset: rendered" in (home / "params.yaml").read_text()
    assert (home / "data" / "TAUAgent").resolve() == project / "data" / "TAUAgent"
    assert (home / "results" / "bench" / "summary.json").is_file() and not (home / "results" / "tables").exists()
    (home / "results" / "tables").mkdir()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=home, check=True)
    assert (home / "results" / "tables" / "b.csv").is_file() and stages_to_make(home) == {}
    assert workspace(project, "tutorial") == home and stages_to_make(home) == {}, "made once"
    assert before == {path: path.read_bytes() for path in (project / "results").rglob("*") if path.is_file()}
    assert yaml.safe_load((project / "params.yaml").read_text())["scale"] == "laptop"


def test_changed_code_reaches_the_other_scales_folder(project: Path) -> None:
    home = workspace(project, "tutorial")
    (project / "new.py").write_text("x = 1\n")
    workspace(project, "tutorial")
    (project / "new.py").write_text("x = 2\n")
    workspace(project, "tutorial")
    assert (home / "new.py").read_text() == "x = 2\n"


def test_own_scale_is_made_in_place(project: Path) -> None:
    assert workspace(project, "laptop") == project


def test_impossible_scales_end_in_one_line(project: Path) -> None:
    with pytest.raises(InputError, match="'huge' is unknown; choose from"):
        workspace(project, "huge")
    with pytest.raises(InputError, match="scale paper needs 'dataset: rendered_paper'"):
        workspace(project, "paper")
    shutil.rmtree(project / ".git")  # as in an archive that was downloaded
    with pytest.raises(InputError, match="git cannot list its files; clone the project"):
        workspace(project, "tutorial")
    (project / "params.yaml").write_text("scale: enormous\n")
    with pytest.raises(InputError, match="no line 'scale: NAME'"):
        workspace(project, "tutorial")


def test_the_command_makes_what_it_says_there_and_nothing_twice(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(repro, "TOP", project)
    monkeypatch.setattr("sys.argv", ["repro", "tutorial"])
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.chdir(project)
    home = workspace(project, "tutorial")
    (home / "results" / "tables").mkdir()
    repro.main()
    assert "3 stages to make at most" in capfd.readouterr().out
    assert (home / "results" / "tables" / "b.csv").read_text() == "1"
    repro.main()
    assert capfd.readouterr().out.strip() == f"{home}: everything is up to date"
    (project / "dvc.yaml").write_text(PIPELINE.replace("'results/tables/c.csv','w'", "'results/tables/no/c.csv','w'"))
    with pytest.raises(SystemExit, match="failed to reproduce '04_other'.*run the same command again") as caught:
        repro.main()
    assert "\n" not in str(caught.value)


def test_unknown_scale_ends_the_command_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "dpcip.repro", "huge"], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.strip() == "dpcip.repro: scale 'huge' is unknown; choose from tutorial, laptop, paper"

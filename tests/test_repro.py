"""`make repro`: what it is going to make and how long that takes; other scales in folders of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.lock import make_lock

from dpcip.paper import repro
from dpcip.paper.checkout import let_dvc_run
from dpcip.paper.repro import announcement, renew_code, scale_in, stages_to_make, workspace
from dpcip.utils.errors import InputError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning"),  # DVC's own use of pygtrie
]

TOP = Path(__file__).resolve().parent.parent
# A pipeline like ours in small: two notebooks' stages, the second reads what the first writes.
PIPELINE = """
stages:
  code:
    cmd: python -c "open('results/code.txt','w').write('1')"
    outs: [{results/code.txt: {cache: false}}]
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
    (top / "results" / "solves" / "02_depth" / "one.json").write_text(
        '{"case": {"seconds": 120.0}, "report": {"seconds": 60.0}}'
    )
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=top, check=True)
    (top / ".dvc" / "config").write_text("")  # as in an archive of a clone: git is not there, DVC is not told so
    let_dvc_run(top)
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
    let_dvc_run(home)
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


def test_file_that_the_clone_no_longer_has_goes_from_the_other_scales_folder(project: Path) -> None:
    (project / "old.py").write_text("x = 1\n")
    home = workspace(project, "tutorial")
    for own in ("results/tables/a.csv", ".dvc/config.local"):
        (home / own).parent.mkdir(parents=True, exist_ok=True)
        (home / own).touch()
    (home / "link.py").symlink_to(project / "params.yaml")
    (project / "old.py").rename(project / "new.py")
    workspace(project, "tutorial")
    assert not (home / "old.py").exists() and (home / "new.py").is_file() and (home / "link.py").is_symlink()
    assert all((home / own).is_file() for own in ("results/tables/a.csv", ".dvc/config.local", "dvc.lock"))
    assert (home / "data" / "TAUAgent").is_symlink()


def test_own_scale_is_made_in_place(project: Path) -> None:
    assert workspace(project, "laptop") == project


def test_impossible_scales_end_in_one_line(project: Path) -> None:
    with pytest.raises(InputError, match="'huge' is unknown; choose from"):
        workspace(project, "huge")
    with pytest.raises(InputError, match="scale paper needs 'dataset: rendered_paper'"):
        workspace(project, "paper")
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
    with pytest.raises(SystemExit) as ended:
        repro.main()
    assert ended.value.code == 0
    assert capfd.readouterr().out.splitlines() == [
        f"{home}: everything is up to date",
        "there: 3 tables and 0 figures in results/",
        "made: at scale tutorial, date not recorded, on machine not recorded",
        "proof: results/tables/table1_depth.csv has no row that is solved within minutes, so none is solved anew",
    ]
    (project / "dvc.yaml").write_text(PIPELINE.replace("'results/tables/c.csv','w'", "'results/tables/no/c.csv','w'"))
    with pytest.raises(SystemExit, match="failed to reproduce '04_other'.*run the same command again") as caught:
        repro.main()
    assert "\n" not in str(caught.value)


def test_all_anew_goes_on_after_a_kill_and_loses_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(repro, "TOP", project)
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.chdir(project)
    monkeypatch.setattr("time.strftime", lambda *_: "20261127-185358")  # begun twice within a second
    for folder in ("solves", "training"):
        (project / ".work" / folder).mkdir(parents=True)
        (project / ".work" / folder / "dear").touch()
    lock = (project / "dvc.lock").read_bytes()
    pipeline = project / "dvc.yaml"
    pipeline.write_text(PIPELINE.replace("'results/tables/b.csv','w'", "'no/b.csv','w'"))  # the run breaks there
    monkeypatch.setattr("sys.argv", ["repro", "--force"])
    with pytest.raises(SystemExit, match="failed to reproduce '03_edof'"):
        repro.main()
    told = capfd.readouterr().out
    assert "everything is made anew" in told and "3 stages to make at most" in told
    (aside,) = (project / ".work").glob("before-*")
    assert (aside / "solves" / "dear").is_file() and (aside / "training" / "dear").is_file()
    assert (aside / "dvc.lock").read_bytes() == lock
    assert list((project / ".work" / "solves").iterdir()) == []
    (project / ".work" / "solves" / "new").touch()
    assert "02_depth" not in stages_to_make(project), "made before it broke"
    pipeline.write_text(PIPELINE)
    repro.main()
    told = capfd.readouterr().out
    assert "going on with what FORCE=1 began on 20" in told and (project / ".work" / "solves" / "new").is_file()
    assert stages_to_make(project) == {} and not (project / ".work" / "anew").exists()
    assert yaml.safe_load(lock) == yaml.safe_load((project / "dvc.lock").read_text())
    repro.main()
    assert "everything is made anew" in capfd.readouterr().out and len(list((project / ".work").glob("before-*"))) == 2


def files(top: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in top.rglob("*") if path.is_file() and ".dvc" not in path.parts}


@pytest.mark.parametrize("stage_runs", [False, True])
@pytest.mark.parametrize("options", [[], ["--force"]])
def test_beside_another_run_nothing_is_moved(
    project: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], stage_runs: bool
) -> None:
    """DVC lets go of its lock while a stage runs; then the rwlock says what that reads and writes."""
    monkeypatch.setattr(repro, "TOP", project)
    monkeypatch.setattr("sys.argv", ["repro", *options])
    for dear in ("solves", "training"):
        (project / ".work" / dear / "dear").mkdir(parents=True)
    (project / "results" / "baselines").mkdir()
    before = files(project)
    lock = make_lock(str(project / ".dvc" / "tmp" / "lock"))
    if stage_runs:
        busy = {str(project / "results" / "tables" / "c.csv"): {"pid": os.getppid(), "cmd": "dvc repro"}}
        (project / ".dvc" / "tmp" / "rwlock").write_text(json.dumps({"write": busy, "read": {}}))
    else:
        lock.lock()
    try:
        with pytest.raises(SystemExit, match="DVC is at work here already; wait until it has ended") as caught:
            repro.main()
    finally:
        if not stage_runs:
            lock.unlock()
    assert "\n" not in str(caught.value)
    assert before == files(project) and (project / "results" / "baselines").is_dir()
    assert sorted(path.name for path in (project / ".work").iterdir()) == ["solves", "training"]


@pytest.mark.parametrize("content", ["", "stages:\n", "<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n"])
def test_damaged_lock_is_told_before_anything_is_moved(project: Path, content: str) -> None:
    (project / "dvc.lock").write_text(content)
    before = files(project)
    with pytest.raises(InputError, match=r"dvc.lock: is damaged .*\(git checkout dvc.lock\)") as caught:
        repro.begin_anew(project)
    assert "\n" not in str(caught.value) and before == files(project)
    assert not list(project.glob(".work/before-*"))


def test_all_anew_is_refused_where_it_would_not_be(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Solves of another scale lie with the laptop scale's own; those of DPCIP_WORK lie elsewhere."""
    monkeypatch.setattr(repro, "TOP", project)
    before = files(project)
    monkeypatch.setattr("sys.argv", ["repro", "--force", "tutorial"])
    with pytest.raises(SystemExit, match=r"set 'scale: tutorial' there, or delete .*/.work/tutorial ") as caught:
        repro.main()
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("sys.argv", ["repro", "--force"])
    monkeypatch.setenv("DPCIP_WORK", str(project / "elsewhere"))
    with pytest.raises(SystemExit, match="DPCIP_WORK is set"):
        repro.main()
    assert before == files(project)


def test_why_the_code_stage_failed_is_told(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages:\n  code:\n    cmd: 'false'\n    outs: [x]\n")
    with pytest.raises(InputError, match="stage code failed: .*failed to run: false, exited with 1") as caught:
        renew_code(project)
    assert "\n" not in str(caught.value)


def test_a_stopped_stage_is_no_fault_to_correct(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repro, "TOP", project)
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.chdir(project)
    monkeypatch.setattr("sys.argv", ["repro"])
    command = """python -c "open('results/tables/c.csv','w').write('1')\""""
    assert command in PIPELINE
    (project / "dvc.yaml").write_text(PIPELINE.replace(command, "kill -TERM $$"))
    with pytest.raises(SystemExit, match=r"stopped; `make repro` goes on where it was"):
        repro.main()


def test_data_are_not_rendered_anew(project: Path) -> None:
    (project / "dvc.lock").write_text("schema: '2.0'\nstages:\n  render: {cmd: a}\n  02_depth: {cmd: b}\n")
    repro.begin_anew(project)
    assert yaml.safe_load((project / "dvc.lock").read_text()) == {"schema": "2.0", "stages": {"render": {"cmd": "a"}}}


def test_wrong_options_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["repro", "--forse"])
    with pytest.raises(SystemExit, match=r"usage: .*\[--force\] \[--proof\]"):
        repro.main()


def test_unknown_scale_ends_the_command_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "dpcip.paper.repro", "huge"], cwd=TOP, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.strip() == "dpcip.paper.repro: scale 'huge' is unknown; choose from tutorial, laptop, paper"

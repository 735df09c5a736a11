"""Provenance: the committed results are those of the committed code and parameters, and every forgery is found."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpcip.paper.provenance import faults
from dpcip.utils.errors import InputError

pytestmark = pytest.mark.slow  # DVC looks at every file
TOP = Path(__file__).resolve().parent.parent
TABLE = "results/tables/table1_depth.csv"


def test_results_lock_parameters_and_code_belong_together() -> None:
    found = faults(TOP)
    assert not found, "\n".join(["results/ is not what this code and params.yaml make: run `make repro`", *found])


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (TOP / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a clone, or git is not there: forgeries are tried on a clone of it")
    path = tmp_path_factory.mktemp("provenance") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(TOP), str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def before(clone: Path) -> set[str]:
    """What is wrong with the commit itself: nothing, unless somebody is at work on it."""
    return set(faults(clone))


@pytest.fixture
def forged(clone: Path, before: set[str]) -> Iterator[Path]:
    yield clone
    subprocess.run(["git", "-C", str(clone), "reset", "--quiet", "--hard"], check=True)
    subprocess.run(["git", "-C", str(clone), "clean", "--quiet", "-d", "--force"], check=True)


def test_table_edited_by_hand_is_found(forged: Path, before: set[str]) -> None:
    table = forged / TABLE
    text = table.read_text()
    table.write_text(text.replace("0.1639", "0.0639"))
    assert table.read_text() != text
    assert set(faults(forged)) - before == {
        f"02_depth: changed outs: {TABLE} modified",
        "report: changed deps: results/tables modified",
    }


def test_number_edited_in_a_folder_of_reports_is_found(forged: Path, before: set[str]) -> None:
    report = next((forged / "results" / "solves" / "02_depth").iterdir())
    report.write_text(report.read_text().replace("psnr_db", "psnr_dB"))
    assert "02_depth: changed outs: results/solves/02_depth modified" in set(faults(forged)) - before


def test_missing_and_added_files_are_found(forged: Path, before: set[str]) -> None:
    (forged / TABLE).unlink()
    (forged / "results" / "figures" / "pretty.png").write_bytes(b"")
    found = set(faults(forged)) - before
    assert f"02_depth: changed outs: {TABLE} deleted" in found
    assert "results/figures/pretty.png: no stage writes it" in found


def test_other_code_and_parameters_are_found(forged: Path, before: set[str]) -> None:
    params = forged / "params.yaml"
    params.write_text(params.read_text().replace("seed: 0", "seed: 1"))
    (forged / "dpcip" / "initialization" / "feasibility.py").write_text("# other code\n")
    found = set(faults(forged)) - before
    assert "01_camera: changed deps: params.yaml seed modified" in found
    assert "code: results/code/07_solver.digest is not what notebooks and code are now" in found
    assert not [line for line in found if "01_camera.digest" in line]


def test_a_comment_is_no_fault(forged: Path, before: set[str]) -> None:
    module = forged / "dpcip" / "initialization" / "feasibility.py"
    module.write_text(f"# A comment.\n{module.read_text()}")
    assert set(faults(forged)) == before


def test_stage_that_is_gone_is_found(forged: Path, before: set[str]) -> None:
    pipeline = forged / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("  07_solver:\n", "  07_other:\n"))
    assert "07_solver: is in dvc.lock but not in dvc.yaml" in set(faults(forged)) - before


def test_unreadable_pipeline_ends_in_one_line(forged: Path) -> None:
    (forged / "dvc.yaml").write_text("stages: [")
    with pytest.raises(InputError, match="dvc.yaml: DVC cannot read the pipeline") as caught:
        faults(forged)
    assert "\n" not in str(caught.value)

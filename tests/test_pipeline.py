"""The pipeline: checked parameters, outputs that do not count, stages that depend on what they use, whole notebooks."""

from __future__ import annotations

import ast
import copy
import re
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
import yaml

from dpcip import pipeline
from dpcip.baselines.training import NETWORKS
from dpcip.errors import InputError

TOP = pipeline.TOP
NOTEBOOKS = sorted(path.stem for path in pipeline.NOTEBOOKS.glob("*.ipynb"))
STAGES = yaml.safe_load((TOP / "dvc.yaml").read_text())["stages"]


@pytest.fixture
def params() -> dict:
    return pipeline.read_params()


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.parametrize("scale", ["tutorial", "laptop", "paper"])
def test_every_scale_has_parameters_that_the_notebook_knows(params: dict, name: str, scale: str) -> None:
    assert pipeline.notebook_parameters(name, params, scale)["scale"] == scale


def test_misspelt_parameter_is_refused(params: dict) -> None:
    wrong = copy.deepcopy(params)
    wrong["02_depth"]["laptop"]["itertions"] = 5
    with pytest.raises(InputError, match="no parameter 'itertions'"):
        pipeline.notebook_parameters("02_depth", wrong, "laptop")


def test_unknown_scale_and_notebook_are_refused(params: dict) -> None:
    with pytest.raises(InputError, match="no scale 'huge'"):
        pipeline.notebook_parameters("02_depth", params, "huge")
    with pytest.raises(InputError, match="99_none has no scale"):
        pipeline.notebook_parameters("99_none", params)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_defaults_are_the_tutorial_scale(params: dict, name: str) -> None:
    """Opened in JupyterLab, a notebook runs at scale tutorial; params.yaml says the same."""
    known = pipeline.papermill.inspect_notebook(str(pipeline.NOTEBOOKS / f"{name}.ipynb"))
    defaults = {key: ast.literal_eval(entry["default"]) for key, entry in known.items()}
    assert defaults == {**pipeline.notebook_parameters(name, params, "tutorial"), "results": "../.work/tutorial"}


def test_an_executed_notebook_says_with_what_it_was_run() -> None:
    notebook = nbformat.read(pipeline.NOTEBOOKS / "00_scenes.ipynb", as_version=4)
    pipeline._add_versions(notebook, "laptop")
    last = notebook.cells[-1].source
    assert "scale `laptop`" in last and f"torch {version('torch')}" in last and f"numpy {version('numpy')}" in last


def test_links_of_an_executed_notebook_lead_somewhere() -> None:
    """It lies in results/notebooks; its links are written for notebooks/."""
    for name in NOTEBOOKS:
        notebook = nbformat.read(pipeline.NOTEBOOKS / f"{name}.ipynb", as_version=4)
        pipeline._mend_links(notebook)
        text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for link in re.findall(r"\]\((\.\./[^)#]+)\)", text):
            assert link.startswith(("../tables/", "../figures/", "../bench", "../../data/")), link
            if not link.startswith("../tables/"):
                assert (pipeline.RESULTS / "notebooks" / link).exists(), link


def test_stored_outputs_do_not_change_the_extracted_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(pipeline.NOTEBOOKS / "02_depth.ipynb", as_version=4)
    monkeypatch.setattr(pipeline, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(pipeline, "RESULTS", tmp_path)
    sources = []
    for outputs in (True, False, "other text"):
        for cell in notebook.cells:
            if cell.cell_type == "code" and not outputs:
                cell.outputs, cell.execution_count = [], None
        if outputs == "other text":
            notebook.cells[0].source += " More."
        nbformat.write(notebook, tmp_path / "02_depth.ipynb")
        pipeline.extract("02_depth")
        sources.append((tmp_path / "code" / "02_depth.py").read_text())
    assert sources[0] == sources[1] != sources[2]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_source_is_the_notebooks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "RESULTS", tmp_path)
    pipeline.extract(name)
    committed = TOP / "results" / "code" / f"{name}.py"
    assert committed.read_text() == (tmp_path / "code" / f"{name}.py").read_text(), "run `make repro`"


def imported_modules(source: str) -> set[str]:
    """The dpcip modules that a piece of Python imports when it runs."""
    tree = ast.parse(source)
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n not in skipped and n.module]
    return {n.module.removeprefix("dpcip.").replace(".", "/") for n in imports if n.module.startswith("dpcip.")}


def all_modules(open_ends: set[str]) -> set[str]:
    """The modules and all that they import in turn."""
    used: set[str] = set()
    while open_ends:
        module = open_ends.pop()
        used.add(module)
        open_ends |= imported_modules((TOP / "dpcip" / f"{module}.py").read_text()) - used
    return used


@pytest.mark.parametrize("name", NETWORKS)
def test_training_depends_on_just_the_modules_it_uses(name: str) -> None:
    modules = [f"dpcip/{module}.py" for module in all_modules({"baselines/train"})]
    assert sorted(STAGES[name]["deps"]) == sorted(["data/rendered/laptop", *modules])
    assert STAGES[name]["params"] == [*pipeline.SHARED_PARAMETERS, "baselines"]


def test_report_depends_on_all_results_and_just_the_modules_it_uses() -> None:
    modules = [f"dpcip/{module}.py" for module in all_modules({"report_page"})]
    folders = [f"results/{name}" for name in ("tables", "figures", "solves", "baselines")]
    measured = ["results/bench", "results/times/${scale}.json"]
    assert sorted(STAGES["report"]["deps"]) == sorted([*folders, *measured, *modules])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stage_depends_on_just_the_modules_it_uses(name: str) -> None:
    """So that a change in a module re-runs the stages that use it and no others."""
    notebook = nbformat.read(pipeline.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    used = all_modules(imported_modules("\n".join(c.source for c in notebook.cells if c.cell_type == "code")))
    modules = [f"dpcip/{module}.py" for module in used]
    frames = ["data/rendered/laptop"] if "datasets" in used else []
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    read = [path.removeprefix("../") for path in re.findall(r'"(\.\./results/[^"]+)"', code)]
    assert sorted(STAGES[name]["deps"]) == sorted([f"results/code/{name}.py", *modules, *frames, *read])
    assert STAGES[name]["params"] == [*pipeline.SHARED_PARAMETERS, name]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_checked_cells_have_stored_outputs(name: str) -> None:
    """nbval compares a checked cell with what is stored: an emptied notebook would pass whatever it prints."""
    notebook = nbformat.read(pipeline.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    checked = [c for c in notebook.cells if "NBVAL_CHECK_OUTPUT" in c.source]
    assert len(checked) >= 3
    for cell in checked:
        assert cell.outputs and cell.execution_count, cell.source
        assert "False" not in cell.outputs[0]["text"], cell.source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_notebook_has_no_error_and_no_stray_warning(name: str) -> None:
    for folder in (pipeline.NOTEBOOKS, TOP / "results" / "notebooks"):
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                assert output.output_type != "error"
                assert output.get("name") != "stderr", output.get("text")
        assert str(TOP) not in (folder / f"{name}.ipynb").read_text(), "a path of this machine"


def test_every_output_of_a_stage_is_kept_in_git_not_in_dvcs_cache() -> None:
    for stage in STAGES.values():
        for out in stage.get("do", stage)["outs"]:
            assert next(iter(out.values()))["cache"] is False, out

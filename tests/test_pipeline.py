"""The pipeline: checked parameters, outputs that do not count, stages that depend on what they use, whole notebooks."""

from __future__ import annotations

import ast
import copy
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
import yaml

from dpcip.baselines.training import NETWORKS
from dpcip.paper import pipeline
from dpcip.paper.digest import modules_used
from dpcip.utils.errors import InputError

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
            assert link.startswith(("../tables/", "../figures/", "../bench", "../REPORT.md", "../../data/")), link
            if not link.startswith("../tables/"):
                assert (pipeline.RESULTS / "notebooks" / link).exists(), link


PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)|<img[^>]*\bsrc=[\"']([^\"']+)")


def texts() -> dict[str, Path]:
    """Every Markdown cell and page, with the folder that its pictures' paths start from."""
    pages = [TOP / "README.md", TOP / "data" / "README.md", TOP / "results" / "REPORT.md"]
    found = {path.read_text(encoding="utf-8"): path.parent for path in pages}
    for folder in (TOP / "notebooks", TOP / "results" / "notebooks"):
        for path in sorted(folder.glob("*.ipynb")):
            cells = nbformat.read(path, as_version=4).cells
            found |= {cell.source: folder for cell in cells if cell.cell_type == "markdown"}
    return found


def test_every_picture_that_a_text_shows_is_there() -> None:
    shown = [
        folder / (link or source)
        for text, folder in texts().items()
        for link, source in PICTURE.findall(text)
        if not (link or source).startswith(("http", "../../actions/"))
    ]
    assert len(shown) > 90
    assert [path for path in shown if not path.is_file()] == []


@pytest.mark.parametrize("folder", ["notebooks", "results/notebooks"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_notebooks_show_pictures_from_files(folder: str, name: str) -> None:
    """`make notebooks` and the pipeline leave them out of the outputs; the cell below shows the file."""
    cells = nbformat.read(TOP / folder / f"{name}.ipynb", as_version=4).cells
    for cell, below in zip(cells, [*cells[1:], None], strict=True):
        for output in cell.get("outputs", []):
            assert not [kind for kind in output.get("data", {}) if kind.startswith("image/")], "run `make notebooks`"
        for picture in re.findall(r'show_figure\(results / "figures" / "([^"]+)"', cell.source):
            assert below is not None and f"/figures/{picture})" in below.source, picture
            assert f"results/figures/{picture}" in [next(iter(out)) for out in STAGES[name]["outs"]]


TOY = """\
import matplotlib.pyplot as plt
from pathlib import Path
from dpcip.evaluation.figures import show_figure
figure, ax = plt.subplots()
ax.plot([seed, 1])
show_figure(Path(results) / "figures" / "toy.webp", figure)
print("text stays")
"""


@pytest.mark.slow
def test_notebook_run_again_leaves_the_same_bytes(
    params: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = nbformat.v4.new_code_cell('scale = "tutorial"\nseed = 0\ndataset = ""\nresults = ""')
    parameters.metadata["tags"] = ["parameters"]
    cells = [
        parameters,
        nbformat.v4.new_code_cell(TOY),
        nbformat.v4.new_markdown_cell("![toy](../results/figures/toy.webp)"),
    ]
    toy = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    toy.metadata["language_info"] = {"name": "python"}
    monkeypatch.setattr(pipeline, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(pipeline, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(pipeline, "read_params", lambda: {**params, "toy": {params["scale"]: {}}})
    (tmp_path / "notebooks").mkdir()
    nbformat.write(toy, tmp_path / "notebooks" / "toy.ipynb")
    stored, picture = tmp_path / "results" / "notebooks" / "toy.ipynb", tmp_path / "results" / "figures" / "toy.webp"
    runs = []
    for _ in range(2):
        pipeline.run("toy")
        runs.append((stored.read_bytes(), picture.read_bytes()))
    assert runs[0] == runs[1]
    cell = nbformat.read(stored, as_version=4).cells[2]
    assert [output.get("text") for output in cell.outputs] == ["text stays\n"] and cell.execution_count


def test_stored_outputs_do_not_change_the_extracted_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(pipeline.NOTEBOOKS / "02_depth.ipynb", as_version=4)
    shutil.copytree(TOP / "dpcip", tmp_path / "dpcip", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    texts = []
    for outputs in (True, False, "other text"):
        for cell in notebook.cells:
            if cell.cell_type == "code" and not outputs:
                cell.outputs, cell.execution_count = [], None
        if outputs == "other text":
            notebook.cells[0].source += " More."
        nbformat.write(notebook, tmp_path / "notebooks" / "02_depth.ipynb")
        texts.append(pipeline.sources(tmp_path))
    assert texts[0] == texts[1] != texts[2]
    assert texts[0]["02_depth.digest"] == texts[2]["02_depth.digest"]


def test_a_comment_and_a_moved_file_change_no_digest_and_a_constant_does(tmp_path: Path) -> None:
    """What the stages depend on, with the real solver: so that improving a comment costs nothing."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(TOP / "notebooks" / "02_depth.ipynb", tmp_path / "notebooks")
    code = tmp_path / "dpcip"
    shutil.copytree(TOP / "dpcip", code, ignore=shutil.ignore_patterns("__pycache__"))
    before = pipeline.sources(tmp_path)
    solver = next(path for path in code.rglob("*.py") if "\nclass Stepper" in path.read_text())
    solver.write_text(solver.read_text().replace("\nclass Stepper", "\n# How it goes on.\nclass Stepper"))
    (code / "parts").mkdir()
    (code / "parts" / "__init__.py").write_text('"""Parts."""\n')
    (code / "solver" / "stopping.py").rename(code / "parts" / "stop.py")
    for path in code.rglob("*.py"):
        path.write_text(path.read_text().replace("from dpcip.solver.stopping import", "from dpcip.parts.stop import"))
    assert pipeline.sources(tmp_path) == before
    rule = code / "parts" / "stop.py"
    rule.write_text(rule.read_text().replace("CONVERGED_GAIN = 0.05", "CONVERGED_GAIN = 0.06"))
    changed = {name for name, text in pipeline.sources(tmp_path).items() if before[name] != text}
    assert "02_depth.digest" in changed and not {"02_depth.py", "depth_fcn.digest", "report.digest"} & changed


@pytest.mark.slow
def test_extract_writes_what_changed_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "RESULTS", tmp_path)
    pipeline.extract()
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "code").iterdir()}
    assert written.keys() == pipeline.sources().keys()
    (tmp_path / "code" / "former.digest").write_text("")
    (tmp_path / "code" / "02_depth.digest").write_text("0")
    pipeline.extract()
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "code").iterdir()}
    assert again.keys() == written.keys()
    assert {name for name in again if again[name] != written[name]} == {"02_depth.digest"}


@pytest.mark.parametrize("name", NETWORKS)
def test_training_depends_on_its_data_and_code(name: str) -> None:
    assert sorted(STAGES[name]["deps"]) == ["data/rendered/laptop", f"results/code/{name}.digest"]
    assert STAGES[name]["params"] == [*pipeline.SHARED_PARAMETERS, "baselines"]


def test_report_depends_on_all_results_and_its_code() -> None:
    folders = [f"results/{name}" for name in ("tables", "figures", "solves", "baselines")]
    measured = ["results/bench", "results/times/${scale}.json"]
    assert sorted(STAGES["report"]["deps"]) == sorted([*folders, *measured, "results/code/report.digest"])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stage_depends_on_its_notebook_code_and_what_it_reads(name: str) -> None:
    notebook = nbformat.read(pipeline.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    frames = ["data/rendered/laptop"] if any(path.stem == "datasets" for path in modules_used(code)) else []
    read = [path.removeprefix("../") for path in re.findall(r'"(\.\./results/[^"]+)"', code)]
    own = [f"results/code/{name}.py", f"results/code/{name}.digest"]
    assert sorted(STAGES[name]["deps"]) == sorted([*own, *frames, *read])
    assert STAGES[name]["params"] == [*pipeline.SHARED_PARAMETERS, name]


def test_no_stage_names_a_module_by_hand() -> None:
    assert "dpcip/" not in (TOP / "dvc.yaml").read_text()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_checked_cells_have_stored_outputs(name: str) -> None:
    """A checked cell is compared with what is stored: an emptied notebook would pass whatever it prints."""
    notebook = nbformat.read(pipeline.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    checked = [c for c in notebook.cells if "NBVAL_CHECK_OUTPUT" in c.source]
    assert len(checked) >= 3
    for cell in checked:
        assert cell.outputs and cell.execution_count, cell.source
        said = cell.outputs[0]["text"]
        assert "False" not in said and ": no\n" not in said, cell.source  # a claim that does not hold is put otherwise


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

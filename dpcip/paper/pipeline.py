"""The pipeline's steps, called by DVC: what stages depend on, run a notebook with its parameters, train a rival."""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import nbformat
import papermill
import yaml
from nbconvert import PythonExporter
from nbconvert.preprocessors import TagRemovePreprocessor

from dpcip.baselines.train import run as run_training
from dpcip.baselines.training import NETWORKS
from dpcip.evaluation.figures import SAVED
from dpcip.paper.digest import code_digest
from dpcip.paper.progress import shown
from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing
from dpcip.utils.machine import REPORTED_PACKAGES, describe, pick_device
from dpcip.utils.progress_stream import PROGRESS_FILE

NOTEBOOKS = TOP / "notebooks"
RESULTS = TOP / "results"
# The code of the stages that are no notebooks.
CODE_OF = {**dict.fromkeys(NETWORKS, "import dpcip.baselines.train"), "report": "import dpcip.paper.page"}
SHARED_PARAMETERS = ("scale", "seed", "dataset")  # entries of params.yaml that every notebook gets


def notebook_parameters(name: str, params: dict[str, Any], scale: str | None = None) -> dict[str, Any]:
    """The parameters of notebook `name` at a scale (params.yaml's own unless given), checked against its cell.

    params.yaml holds a section a notebook, in it a section a scale. Raises InputError for a scale or parameter that
    does not exist: papermill would only warn and run with the default.
    """
    scale = scale or params["scale"]
    section = params.get(name) or {}
    if scale not in section:
        raise InputError(f"params.yaml: {name} has no scale '{scale}'; choose from {', '.join(section) or 'none'}")
    shared = {name: params[name] for name in SHARED_PARAMETERS}
    values = {**shared, "scale": scale, "results": "../results", **(section[scale] or {})}
    known = papermill.inspect_notebook(str(NOTEBOOKS / f"{name}.ipynb"))
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(
            f"params.yaml: {name} has no parameter '{unknown[0]}'; its notebook knows {', '.join(sorted(known))}"
        )
    return values


def read_params(path: Path = TOP / "params.yaml") -> dict[str, Any]:
    """params.yaml as a dictionary."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no entries; take it from git again")
    missing = set(SHARED_PARAMETERS) - set(values)
    if missing:
        raise InputError(f"{path}: has no entry '{sorted(missing)[0]}'")
    return values


def sources(top: Path = TOP) -> dict[str, str]:
    """What the stages of a clone depend on besides data and parameters: the files of results/code, name and content.

    NAME.py: a notebook's text and code, without outputs and counters, so that running it by hand does not make its
    stage stale. NAME.digest: what the project code does that the stage uses (paper/digest.py), so that a comment does
    not, either.
    """
    exporter = PythonExporter()
    exporter.exclude_input_prompt = True
    files, code = {}, dict(CODE_OF)
    for path in sorted((top / "notebooks").glob("*.ipynb")):
        source, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
        files[f"{path.stem}.py"] = code[path.stem] = source
    return files | {f"{stage}.digest": f"{code_digest(source, top / 'dpcip')}\n" for stage, source in code.items()}


def extract() -> None:
    """Writes `sources` to results/code; what is no longer among them is removed."""
    home = RESULTS / "code"
    home.mkdir(parents=True, exist_ok=True)
    wanted = sources()
    for name, content in wanted.items():
        path = home / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            with replacing(path) as temporary:
                temporary.write_text(content, encoding="utf-8")
    for stray in sorted(path for path in home.iterdir() if path.name not in wanted):
        stray.unlink()


def run(name: str) -> None:
    """Executes the notebook with its parameters and stores it under results/notebooks."""
    values = notebook_parameters(name, read_params())
    with replacing(RESULTS / "notebooks" / f"{name}.ipynb") as temporary:
        papermill.execute_notebook(
            str(NOTEBOOKS / f"{name}.ipynb"),
            str(temporary),
            parameters=values,
            cwd=str(NOTEBOOKS),
            kernel_name="python3",
            progress_bar=False,
            extra_arguments=["--log-level=ERROR"],  # else each kernel warns that it listens on the loopback
        )
        executed = without_saved_figures(nbformat.read(temporary, as_version=4))
        _strip_run_details(executed)
        _mend_links(executed)
        _add_versions(executed, values["scale"])
        nbformat.write(executed, temporary)


def without_saved_figures(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without the pictures that `show_figure` wrote to files, so that git holds them once.

    The Makefile has nbconvert do the same to notebooks/.
    """
    return TagRemovePreprocessor(remove_single_output_tags={SAVED}).preprocess(notebook, {})[0]


def _strip_run_details(notebook: nbformat.NotebookNode) -> None:
    """Takes out what may differ between two runs.

    That is papermill's paths and times, the random id of the cell that it adds, and which Python 3.11 it was.
    """
    notebook.metadata.get("language_info", {}).pop("version", None)
    for part in (notebook, *notebook.cells):
        for key in ("papermill", "execution"):
            part.metadata.pop(key, None)
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"


def _mend_links(notebook: nbformat.NotebookNode) -> None:
    """Links to results/ and data/ as they are from results/notebooks, where the executed notebook lies."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(\.\./results/", "](../", cell.source)
            cell.source = re.sub(r"\]\(\.\./data/", "](../../data/", cell.source)


def _add_versions(notebook: nbformat.NotebookNode, scale: str) -> None:
    """A last cell that says with what the notebook was run. On which machine and how long stands in results/times."""
    machine = describe(pick_device())
    words = ", ".join(f"{package} {machine[package]}" for package in ("dpcip", *REPORTED_PACKAGES))
    cell = nbformat.v4.new_markdown_cell(f"*Run at scale `{scale}` with {words}.*", id="versions")
    notebook.cells.append(cell)


def train(name: str) -> None:
    """Trains a rival (depth_fcn, edof_net) at the scale of params.yaml; results/baselines/NAME gets the weights."""
    _ = NETWORKS[name]  # InputError if it is unknown
    with open(os.environ[PROGRESS_FILE], "a", encoding="utf-8") as bar, redirect_stderr(bar):
        run_training(name, read_params(), RESULTS / "baselines" / name, TOP / ".work" / "training")


def main() -> None:
    """`python -m dpcip.paper.pipeline extract`, `run NOTEBOOK`, or `train NETWORK`."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    actions = {"run": run, "train": train}
    if sys.argv[1:] == ["extract"]:
        extract()
        return
    if len(sys.argv) != 3 or sys.argv[1] not in actions:
        sys.exit("usage: python -m dpcip.paper.pipeline extract, run NOTEBOOK, or train NETWORK")
    action, name = sys.argv[1:]
    try:
        times = RESULTS / "times" / f"{read_params()['scale']}.json"
        with shown(name, TOP / ".work" / "progress", times):
            actions[action](name)
    except InputError as error:
        sys.exit(f"dpcip.paper.pipeline: {error}")
    except papermill.PapermillExecutionError as error:
        sys.exit(
            f"dpcip.paper.pipeline: notebook {name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}"
        )


if __name__ == "__main__":
    main()

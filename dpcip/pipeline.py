"""The pipeline's steps, called by DVC: run a notebook with its parameters, extract its source, train a rival."""

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

from dpcip.baselines.train import run as run_training
from dpcip.baselines.training import NETWORKS
from dpcip.errors import InputError
from dpcip.io import replacing
from dpcip.machine import REPORTED_PACKAGES, describe, pick_device
from dpcip.progress import shown
from dpcip.runner import PROGRESS_FILE

TOP = Path(__file__).resolve().parent.parent
NOTEBOOKS = TOP / "notebooks"
RESULTS = TOP / "results"
SHARED_PARAMETERS = ("scale", "seed", "dataset")  # entries of params.yaml that every notebook gets


def notebook_parameters(name: str, params: dict[str, Any], scale: str | None = None) -> dict[str, Any]:
    """The parameters of notebook `name` at a scale (params.yaml's own unless given), checked against its cell.

    params.yaml holds a section a notebook, in it a section a scale. Raises InputError for a scale or parameter that
    does not exist: papermill would only warn and run with the default.
    """
    scale = scale or params["scale"]
    section = params.get(name, {})
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
    missing = set(SHARED_PARAMETERS) - set(values)
    if missing:
        raise InputError(f"{path}: has no entry '{sorted(missing)[0]}'")
    return values


def extract(name: str) -> None:
    """Writes the notebook's text and code, without outputs and counters, to results/code/NAME.py.

    The notebook's stage depends on this file, so that running a notebook by hand, which changes its stored outputs,
    does not make the stage stale.
    """
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    exporter = PythonExporter()
    exporter.exclude_input_prompt = True
    source, _ = exporter.from_notebook_node(notebook)
    with replacing(RESULTS / "code" / f"{name}.py") as temporary:
        temporary.write_text(source, encoding="utf-8")


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
        executed = nbformat.read(temporary, as_version=4)
        _strip_run_details(executed)
        _mend_links(executed)
        _add_versions(executed, values["scale"])
        nbformat.write(executed, temporary)


def _strip_run_details(notebook: nbformat.NotebookNode) -> None:
    """Takes papermill's notes out of an executed notebook: this machine's paths, and the time of each cell."""
    for part in (notebook, *notebook.cells):
        for key in ("papermill", "execution"):
            part.metadata.pop(key, None)


def _mend_links(notebook: nbformat.NotebookNode) -> None:
    """Links to results/ and data/ as they are from results/notebooks, where the executed notebook lies."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\(\.\./results/", "](../", cell.source)
            cell.source = re.sub(r"\]\(\.\./data/", "](../../data/", cell.source)


def _add_versions(notebook: nbformat.NotebookNode, scale: str) -> None:
    """A last cell that says with what the notebook was run."""
    machine = describe(pick_device())
    packages = ("python", "dpcip", *REPORTED_PACKAGES)
    words = ", ".join(f"{package} {machine[package]}" for package in packages)
    where = f"{machine['device']}, {machine['device_name']}, {machine['threads']} threads"
    cell = nbformat.v4.new_markdown_cell(f"*Run at scale `{scale}` with {words}; {where}.*", id="versions")
    notebook.cells.append(cell)


def train(name: str) -> None:
    """Trains a rival (depth_fcn, edof_net) at the scale of params.yaml; results/baselines/NAME gets the weights."""
    if name not in NETWORKS:
        raise InputError(f"there is no network '{name}'; choose from {', '.join(NETWORKS)}")
    with open(os.environ[PROGRESS_FILE], "a", encoding="utf-8") as bar, redirect_stderr(bar):
        run_training(name, read_params(), RESULTS / "baselines" / name, TOP / ".work" / "training")


STAGES = {"run": "{}", "extract": "code@{}", "train": "{}"}  # action -> its stage in dvc.yaml


def main() -> None:
    """`python -m dpcip.pipeline run|extract NOTEBOOK`, or `train NETWORK`."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    actions = {"run": run, "extract": extract, "train": train}
    if len(sys.argv) != 3 or sys.argv[1] not in actions:
        sys.exit("usage: python -m dpcip.pipeline run|extract NOTEBOOK, or train NETWORK")
    action, name = sys.argv[1:]
    try:
        times = RESULTS / "times" / f"{read_params()['scale']}.json"
        with shown(STAGES[action].format(name), TOP / ".work" / "progress", times):
            actions[action](name)
    except InputError as error:
        sys.exit(f"dpcip.pipeline: {error}")
    except papermill.PapermillExecutionError as error:
        sys.exit(f"dpcip.pipeline: notebook {name} failed in cell {error.exec_count}: {error.ename}: {error.evalue}")


if __name__ == "__main__":
    main()

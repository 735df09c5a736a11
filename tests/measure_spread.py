"""Measures how far the numbers of checks differ: `python -m tests.measure_spread [NOTEBOOK or FILE OF TESTS ...]`.

Each notebook runs at scale tutorial under each setting, in a kernel of its own and with solves of its own
(.work/spread/SETTING/work; a setting's notebooks share theirs). tests/spread.csv gets a row a check. What is
measured is kept until what the notebook's code does changes (paper/digest.py), so that an interrupted run goes on;
delete .work/spread to measure anew. The rivals' weights are the stored ones in every setting: how far trainings differ
is not in the spread of the checks on them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import papermill

from dpcip.paper.digest import code_digest

TOP = Path(__file__).resolve().parent.parent
WORK = TOP / ".work" / "spread"
TABLE = TOP / "tests" / "spread.csv"
FLOAT32 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}  # a processor without AVX512 and bfloat16
TWO_THREADS = {"OMP_NUM_THREADS": "2"}  # said, or a solve takes fewer while other programs are busy
SETTINGS: dict[str, tuple[dict[str, str], int]] = {  # environment and seed
    "default": (TWO_THREADS, 0),
    "float32": ({**FLOAT32, **TWO_THREADS}, 0),
    "1 thread": ({"OMP_NUM_THREADS": "1"}, 0),
    "float32 1 thread": ({**FLOAT32, "OMP_NUM_THREADS": "1"}, 0),
    "seed 1": (TWO_THREADS, 1),
}
FREE = ("OMP_NUM_THREADS", *FLOAT32)  # are as SETTINGS says, whatever the caller has set
ORDER = ["notebook", "words", "above", "below", "spread", *SETTINGS, "range", "clears_by", "verdict"]


def code_of(path: Path) -> str:
    """The code alone, without a notebook's outputs."""
    if path.suffix == ".py":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def set_environment(values: dict[str, str]) -> None:
    """What the next kernel inherits; what another setting has set is taken back."""
    for name in FREE:
        os.environ.pop(name, None)
    os.environ.update({**values})


def run_notebook(path: Path, seed: int, home: Path) -> None:
    """At its own defaults, which are scale tutorial."""
    papermill.execute_notebook(
        str(path),
        str(home / path.name),
        parameters={"seed": seed, "results": str(home / "results")},
        cwd=str(path.parent),
        kernel_name="python3",
        progress_bar=False,
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns that it listens on the loopback
    )


def run_tests(path: Path) -> None:
    """Those tests of a file that state a margin; one that fails has said its number before."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    names = [f"{path}::{function.name}" for function in functions if "assert_clears" in ast.unparse(function)]
    subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=line", *names], cwd=TOP, check=False)


def measure(path: Path, setting: str) -> list[dict]:
    """The checks of a notebook or a file of tests under a setting: read back, or made."""
    home = WORK / setting.replace(" ", "_")
    home.mkdir(parents=True, exist_ok=True)
    kept = home / f"{path.stem}-{code_digest(code_of(path))[:12]}.jsonl"
    if not kept.exists():
        environment, seed = SETTINGS[setting]
        record = home / f"{path.stem}.unfinished"
        record.unlink(missing_ok=True)
        began = time.monotonic()
        set_environment({"DPCIP_CHECKS": str(record), "DPCIP_WORK": str(home / "work"), **environment})
        if path.suffix == ".py":
            run_tests(path)
        else:
            run_notebook(path, seed, home)
        record.rename(kept)
        print(f"{path.stem}, {setting}: {time.monotonic() - began:.0f} s", flush=True)
    return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]


def row_of(notebook: str, words: str, by_setting: dict[str, dict]) -> dict:
    """A check's row: its value under each setting, their range, and the least that it is away from another verdict."""
    if missing := [setting for setting, made in by_setting.items() if made is None]:
        sys.exit(f"tests.measure_spread: {notebook}: '{words}' was not reached under {', '.join(missing)}")
    stated = {key: by_setting["default"][key] for key in ("words", "above", "below", "spread")}
    values = {setting: float(f"{made['value']:.4g}") for setting, made in by_setting.items()}
    return {
        "notebook": notebook,
        **stated,
        **values,
        "range": float(f"{max(values.values()) - min(values.values()):.4g}"),
        "clears_by": float(f"{min(made['clears_by'] for made in by_setting.values()):.4g}"),
        "verdict": " / ".join(dict.fromkeys(made["verdict"] for made in by_setting.values())),
    }


def settings_of(path: Path) -> list[str]:
    """Tests have seeds of their own."""
    return [setting for setting, (_, seed) in SETTINGS.items() if seed == 0 or path.suffix == ".ipynb"]


def main(names: list[str]) -> None:
    """Measures the named notebooks and files of tests, or all; rows of others stay as they are."""
    tests = [p for p in sorted((TOP / "tests").glob("test_*.py")) if "from margins import" in p.read_text()]
    paths = sorted((TOP / "notebooks").glob("*.ipynb")) + [p for p in tests if p.stem != "test_notebook_checks"]
    if unknown := set(names) - {path.stem for path in paths}:
        sys.exit(f"tests.measure_spread: {', '.join(sorted(unknown))} is no notebook and no file of tests with margins")
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=ORDER)
    for path in (path for path in paths if not names or path.stem in names):
        found = {setting: {made["words"]: made for made in measure(path, setting)} for setting in settings_of(path)}
        rows = [row_of(path.stem, w, {s: checks.get(w) for s, checks in found.items()}) for w in found["default"]]
        others = [row for row in table.to_dict("records") if row["notebook"] != path.stem]
        table = pd.DataFrame(others + rows, columns=ORDER).sort_values("notebook", kind="stable")
        table.to_csv(TABLE, index=False, lineterminator="\n")
    print(table[["notebook", "words", "spread", "range", "clears_by", "verdict"]].to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1:])

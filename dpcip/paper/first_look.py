"""What `make repro` shows of results that are up to date: what is there, and a row of Table 1 solved anew beside it."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from dpcip.paper.effort import read_times
from dpcip.solver.cache import kept_solve
from dpcip.study.cases import Case, solve_case
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json
from dpcip.utils.keys import arithmetic
from dpcip.utils.machine import describe, pick_device

TABLE = Path("tables") / "table1_depth.csv"
SOLVES = Path("solves") / "02_depth"
MOST_WORK = 10e6  # pixels times iterations of a row that is solved anew: 6.6e6 took 93 s on two cores of a Xeon

# How far a row may come out elsewhere: a solve amplifies the last bit of its arithmetic. Measured on Table 1's rows
# (preset fast, 256x128, 200 iterations), any against any: on row 'table' up to 1.2 dB of PSNR, and a depth RMSE 33 %
# larger than the smaller one (Xeon, float32, two threads; AMD EPYC: float32 with AVX-512 and with AVX2, one thread;
# bfloat16, one thread and two); on 'room' 0.7 dB and 9 % (without AVX2); on the other three, Xeon in float32 against
# EPYC in bfloat16, 0.6 dB and 10 %.
MARGIN_PSNR_DB = 1.5
MARGIN_DEPTH_SHARE = 0.4


@dataclass(frozen=True)
class Row:
    """A solve and its scores, as results/solves holds it: `case` is the row, `report` how it was solved."""

    name: str
    case: Mapping[str, Any]
    report: Mapping[str, Any]

    @property
    def work(self) -> float:
        """What the solve costs, pixels times iterations: seconds would depend on what else the machine had to do."""
        return float(self.case["width"] * self.case["height"] * self.case["iterations"])

    def to_solve(self) -> Case:
        """The case behind the row, with the iterations that its recipe asked for: it may have converged before."""
        case = {field.name: self.case[field.name] for field in fields(Case)}
        return Case(**{**case, "iterations": self.report["settings"]["iterations"]})

    def cells(self) -> list[str]:
        """What is shown of it."""
        machine = self.report["machine"]
        return [
            f"{self.case['psnr_db']:.2f} dB",
            f"{self.case['depth_rmse_m']:.4f} m",
            f"{self.case['psi_mae']:.3f} rad",
            f"{self.case['seconds']:.0f} s",
            f"{machine['device_name']}, threads: {machine['threads']}, {self.report['generator_precision']}",
        ]


def there(home: Path, scale: str) -> list[str]:
    """What the clone `home` holds, when it was made and on what: two lines."""
    results = home / "results"
    tables, figures = (len(list((results / kind).glob(end))) for kind, end in (("tables", "*.csv"), ("figures", "*.*")))
    report = results / "REPORT.md"
    words = f"there: {tables} tables and {figures} figures in results/" + (
        f", what they say in results/{report.name}" if report.is_file() else ""
    )
    times = read_times(results / "times" / f"{scale}.json").values()
    machines = (
        "; ".join(sorted({str(values["machine"]) for values in times if "machine" in values})) or "machine not recorded"
    )
    dates = sorted({str(values["date"]) for values in times if "date" in values})
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else _committed(home)
    return [words, f"made: at scale {scale}, {when}, on {machines}"]


def _committed(home: Path) -> str:
    """When git got the results, for those made before stages recorded their date."""
    command = ["git", "log", "-1", "--format=%cs", "--", "dvc.lock"]
    try:
        found = subprocess.run(command, cwd=home, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or not a clone
        found = ""
    return f"committed {found}" if found else "date not recorded"


def cheapest(results: Path) -> Row | None:
    """The row of Table 1 that is the least work to solve, of equals the table's first; None if there is none."""
    try:
        with (results / TABLE).open(newline="", encoding="utf-8") as file:
            listed = [
                (line["what"], line["solves"])
                for line in csv.DictReader(file)
                if line["method"] == "DPCIP" and line["solves"]
            ]
    except (OSError, ValueError, KeyError, csv.Error):  # ValueError: not text
        return None
    rows = []
    for what, solve in listed:
        for path in (results / SOLVES).glob(f"{solve}*.json") if " " not in solve else ():  # a mean has several
            try:
                card = json.loads(path.read_text(encoding="utf-8"))
                row = Row(what, card["case"], card["report"])
                _ = row.work, row.to_solve(), row.cells()  # all that is wanted of it is there
                rows.append(row)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path}: is not the record of a solve; take it from git again") from error
    return min((row for row in rows if row.work <= MOST_WORK), key=lambda row: row.work, default=None)


def solved_anew(row: Row, work: Path) -> Row:
    """The row, solved and scored from nothing by the code that made it, with a progress bar on standard error."""
    case = row.to_solve()
    case.check()
    work.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(dir=work, prefix="proof-") as empty,  # no kept solve is found there
        tqdm(total=case.settings().iterations, desc=f"solving '{row.name}'", unit="it", mininterval=0.5) as bar,
    ):

        def show(iteration: int) -> None:
            bar.update(iteration - bar.n)

        scores = solve_case(case, Path(empty), show)
        solution = kept_solve(Path(empty) / "solves" / scores["solve"])
        assert solution is not None
        return Row(row.name, scores, solution.report)


def compared(stored: Row, anew: Row) -> list[str]:
    """The two rows beside each other, a line a number."""
    names = ["all-in-focus image, PSNR", "depth, RMSE", "psi, mean error", "time", "machine"]
    left = stored.cells()
    width = max(len(cell) for cell in left)
    lines = [("", "stored", "solved anew"), *zip(names, left, anew.cells(), strict=True)]
    return [f"  {name:<26}{a:<{width + 2}}{b}" for name, a, b in lines]


def verdict(stored: Row, anew: Row) -> tuple[bool, str]:
    """Whether the rows agree within the margin, and by how much they differ, in one line."""
    psnr_db = anew.case["psnr_db"] - stored.case["psnr_db"]
    ratio = anew.case["depth_rmse_m"] / stored.case["depth_rmse_m"]
    shown = (round(psnr_db, 2) + 0.0, round(100 * (ratio - 1), 1) + 0.0)  # no -0
    words = "PSNR {:+.2f} dB, depth RMSE {:+.1f} %".format(*shown)
    margin = f"({MARGIN_PSNR_DB:g} dB, {100 * MARGIN_DEPTH_SHARE:g} %)"
    if abs(psnr_db) <= MARGIN_PSNR_DB and max(ratio, 1 / ratio) - 1 <= MARGIN_DEPTH_SHARE:
        return True, f"same within the margin {margin} that processors and arithmetic account for: {words}"
    return False, f"off by more than the margin {margin} that processors and arithmetic account for: {words}"


def proof(home: Path, again: bool = False) -> bool:
    """Solves the cheapest row of Table 1 anew and prints it beside the stored one; whether they agree.

    It is done once for a row, a machine and what the code does, and then told in one line, unless `again`.
    """
    row = cheapest(home / "results")
    if row is None:
        print(f"proof: results/{TABLE} has no row that is solved within minutes, so none is solved anew")
        return True
    kept = home / ".work" / "proof.json"
    device, code = pick_device(), home / "results" / "code" / f"{SOLVES.name}.digest"
    machine = describe(device)
    margin = [MARGIN_PSNR_DB, MARGIN_DEPTH_SHARE]
    here = [machine[part] for part in ("device", "device_name", "torch")]
    here += [arithmetic(device), code.read_text(encoding="utf-8") if code.is_file() else ""]
    subject = hashlib.sha256(json.dumps([row.case, row.report, here, margin], sort_keys=True).encode()).hexdigest()
    former = {} if again else _read(kept)
    if former.get("subject") == subject:
        told = f"solved anew here on {former['date']}: {former['words']} (once more: make repro PROOF=1)"
        print(f"proof: row '{row.name}' of Table 1, {told}")
        return bool(former["same"])
    size = f"{row.case['width']}x{row.case['height']} pixels, {row.case['iterations']} iterations"
    took = f"took {row.case['seconds']:.0f} s when made"
    print(f"proof: row '{row.name}' of Table 1 ({size}; {took}) is solved anew here", flush=True)
    anew = solved_anew(row, home / ".work")
    same, words = verdict(row, anew)
    print("\n".join([*compared(row, anew), words]), flush=True)
    write_json(kept, {"subject": subject, "date": date.today().isoformat(), "same": same, "words": words})
    return same


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if {"subject", "date", "same", "words"} <= content.keys() else {}
    except (OSError, ValueError, AttributeError):
        return {}

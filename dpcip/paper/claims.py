"""The paper's claims, each read off a table of results: the paper's value, ours and the table's verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from dpcip.paper.tables import DEPTH, PSNR, PSNR_ALIGNED, SSIM, Metric, peak_verdict

NOT_MADE = "not made yet"
Answer = tuple[str, str, str]  # the paper's value, ours, the verdict
ANSWERS = ("reproduced", "in part", "not reproduced")  # verdicts on a claim, from good to bad


def _row(table: pd.DataFrame, what: str | None = None, method: str = "", metric: str | None = None) -> pd.DataFrame:
    """The lines of a table that compare: of one subject, methods that begin so, one metric."""
    kept = table["method"].astype(str).str.startswith(method)
    if what is not None:
        kept &= table["what"] == what
    if metric is not None:
        kept &= table["metric"] == metric
    if not kept.any():
        raise LookupError(f"no line of {what or 'any subject'}, {method or 'any method'}, {metric or 'any metric'}")
    return table[kept]


def value(table: pd.DataFrame, method: str, metric: Metric) -> Answer:
    """The first line with a value of the paper for a method (its name's beginning) and metric."""
    line = _row(table[table["paper"].notna()], method=method, metric=metric.name).iloc[0]
    return f"{line['paper']:.4g}", f"{line['ours']:.4g}", str(line["verdict"])


def wins(table: pd.DataFrame, method: str, metric: str, what: str = "DPCIP beats it") -> Answer:
    """Whether DPCIP beats a rival; of several lines (rivals, or ways to solve) the hardest verdict counts."""
    lines = _row(table, what, method, metric)
    worst = max(map(str, lines["verdict"]), key=_badness)
    said, _, detail = worst.partition(": ")
    return "yes", detail, said


def order(table: pd.DataFrame, method: str, paper: str) -> Answer:
    """Whether methods stand in the paper's order."""
    said, _, detail = str(_row(table, "order", method).iloc[0]["verdict"]).partition(": ")
    return paper, detail, said


def energies(table: pd.DataFrame) -> Answer:
    """The energies of Table 3, all of them: the largest difference, and one verdict."""
    worst = max(map(str, table["verdict"]), key=_badness)
    return f"{len(table)} values (%)", f"within {table['difference'].abs().max():.2g} points", worst


def peak(table: pd.DataFrame) -> Answer:
    """Figure 4: whether SelfDeblur's best kernel size lies inside the range that was tried."""
    said, _, detail = peak_verdict(table.set_index("kernel_px")[PSNR_ALIGNED.key]).partition(": ")
    return "in the middle", detail, said


def noise(table: pd.DataFrame) -> Answer:
    """The finding on noise, which stands as several statements: how many hold at every noise level, and at some."""
    said = [str(line).split(":")[0] for line in table["verdict"]]
    held = said.count("reproduced")
    if held == len(said):
        whole = "reproduced"
    else:
        whole = "not reproduced" if set(said) == {"not reproduced"} else "in part"
    more = f", {said.count('in part')} at some" if "in part" in said else ""
    return "yes", f"{held} of {len(said)} statements at every noise level{more}", whole


def _badness(verdict: str) -> int:
    return ANSWERS.index(verdict.split(":")[0]) if verdict.split(":")[0] in ANSWERS else len(ANSWERS)


@dataclass(frozen=True)
class Claim:
    """A claim in words, the table (of results/tables) that answers it, and how it is read off."""

    where: str
    words: str
    table: str
    answer: Callable[[pd.DataFrame], Answer]


GENERATOR_ORDER = "dip, pip, siren"  # by PSNR, best first (Table 4)
CLAIMS = (
    Claim(
        "Table 1",
        "depth error of DPCIP, unit as released",
        "table1_depth",
        partial(value, method="DPCIP", metric=DEPTH),
    ),
    Claim(
        *("Table 1", "better depth than the trained network [4]", "table1_depth"),
        partial(wins, method="depth network", metric="depth_rmse_m"),
    ),
    Claim("Table 2", "all-in-focus image, PSNR (dB)", "table2_edof", partial(value, method="DPCIP", metric=PSNR)),
    Claim("Table 2", "all-in-focus image, SSIM", "table2_edof", partial(value, method="DPCIP", metric=SSIM)),
    Claim(
        *("Table 2", "better PSNR than the trained network [7]", "table2_edof"),
        partial(wins, method="EDOF network", metric=PSNR.name),
    ),
    Claim("Table 3", "energy of the PSF in a box", "camera_psf_energy", energies),
    Claim(
        *("Table 4", "order of the generators by PSNR, best first (recipe cut short)", "table4_generators"),
        partial(order, method="paper-short", paper=GENERATOR_ORDER),
    ),
    Claim("Table 5", "deblurring, PSNR (dB)", "table5_deblurring", partial(value, method="DPCIP", metric=PSNR)),
    Claim(
        "Table 5",
        "deblurring, SelfDeblur's PSNR (dB)",
        "table5_deblurring",
        partial(value, method="SelfDeblur", metric=PSNR),
    ),
    Claim(
        *("Table 5", "deblurring, better PSNR than SelfDeblur (aligned)", "table5_deblurring"),
        partial(wins, what="beats SelfDeblur", method="DPCIP", metric=PSNR_ALIGNED.name),
    ),
    Claim("Figure 4", "the kernel size with which SelfDeblur is best", "figure4_kernel_size", peak),
    Claim("Section 4.2", "noise: DIP leaks texture into depth, PIP with TV less", "realworld_finding", noise),
)


def summary(tables: Path) -> pd.DataFrame:
    """A line a claim: where, claim, paper, ours, verdict; 'not made yet' where the table or its line is missing."""
    rows = []
    for claim in CLAIMS:
        path = tables / f"{claim.table}.csv"
        try:
            paper, ours, said = claim.answer(pd.read_csv(path))
        except (OSError, LookupError):
            paper, ours, said = "", "", NOT_MADE
        rows.append({"where": claim.where, "claim": claim.words, "paper": paper, "ours": ours, "verdict": said})
    return pd.DataFrame(rows)

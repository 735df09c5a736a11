"""results/REPORT.md: claim by claim and table by table, the paper's value, ours, the verdict and why."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dpcip.paper.claims import NOT_MADE, summary
from dpcip.paper.effort import effort, seconds_from_nothing
from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

BEGIN, END = "<!-- summary: written by the stage `report` -->", "<!-- end of summary -->"


@dataclass(frozen=True)
class Section:
    """A table of the paper: ours (of results/tables), a picture, the notebook that made them, why they differ."""

    title: str
    table: str
    figure: str
    notebook: str
    why: str


SECTIONS = (
    Section(
        "Table 1: depth",
        "table1_depth",
        "table1_depth.webp",
        "02_depth",
        "The scenes are rendered ones of our own, so the paper's value stands beside ours for orientation only. In the "
        "one frame of the paper's scenes that is public 86 % of the pixels lie beyond the range, at the one depth that "
        "this counts as; in ours far fewer do ([scenes.md](tables/scenes.md)), so there is more depth to find. "
        "Its unit is that of the released code, which puts psi scaled to [0, 1] where psi in radians belongs: what "
        "it prints is not metres (notebook 02). The columns `depth_rmse_m` of the full table are. The paper's "
        "rival cannot have been measured with that code, for its error is larger than anything the code can print.",
    ),
    Section(
        "Table 2: everything in focus",
        "table2_edof",
        "table2_edof.webp",
        "03_edof",
        "Other scenes and, at scales below `paper`, fewer pixels and iterations than the paper's. The PSF keeps its "
        "width in pixels, so that a smaller picture is blurred more in proportion. The rival was "
        "trained for minutes on what can be had freely. The released SSIM lacks the data range and flatters every "
        "method; sound values stand in the full table.",
    ),
    Section(
        "Table 3: the PSF",
        "camera_psf_energy",
        "camera_psf.webp",
        "01_camera",
        "The mask was identified from the one published capture, so this agreement tests the optical model. Only "
        "the far end of the range (psi from -4 to 0) is confirmed by that capture; the near end follows from the "
        "same physics.",
    ),
    Section(
        "Table 4: generators",
        "table4_generators",
        "table4_bars.webp",
        "05_generators",
        "One photograph at scales below `paper`, and the paper's recipe cut short: too few to rank methods that "
        "lie close together. The paper states no setting for SIREN. With preset fast every generator begins at the "
        "same start, which is the result where the network explains the capture less well: lines with the very same "
        "numbers are that start's, not a network's.",
    ),
    Section(
        "Table 5: deblurring",
        "table5_deblurring",
        "figure5_deblurring.webp",
        "04_deblurring",
        "SelfDeblur is blind: its images are aligned with the truth before they are scored, as its authors do. DPCIP "
        "knows the PSFs. The lead says little where SelfDeblur's image is worse than the capture as it is (both stand "
        "in the full table): with the few pixels and iterations of scales below `paper` it does not find so wide a "
        "PSF, though it does its own task, small motion blurs (notebook 04, 4.2).",
    ),
    Section(
        "Figure 4: SelfDeblur's kernel size",
        "figure4_kernel_size",
        "figure4_kernel_size.webp",
        "04_deblurring",
        "At scales below `paper` this is one photograph and one channel. "
        "In a short run large kernels are hardly learned at all, and the curve leans to the small ones (notebook 04). "
        "SelfDeblur's authors ran 5000 iterations, and the paper's photographs are larger.",
    ),
    Section(
        "Section 4.2: noise",
        "realworld_finding",
        "realworld_noise_maps.webp",
        "06_real_world",
        "The paper shows this on captures of its own, which are not published. Here a rendered scene gets noise, and "
        "the paper's recipe is cut short. The paper's weight of TV is not known to us; ours is as large as the data "
        "fit allows, chosen without the truth, which can leave the depth nearly flat. A leak is a correlation: below "
        "zero the depth varies least where the texture is, and is then noise rather than texture.",
    ),
)

PAPER_SOLVES, PAPER_ITERATIONS = 330, 5001  # `dpcip plan`: 110 photographs, three seeds; preset paper
OPEN = """\
## What could not be reproduced, and what it would take

- **The paper's own numbers.** They belong to TAUAgent, which may not be redistributed. Who has it copies it to
  `data/TAUAgent`, sets `dataset: tauagent` in params.yaml and runs `make repro`: the verdicts then compare like with
  like.
- **The paper's scale.** `dpcip plan` writes the list of its solves and `dpcip study --dry-run` says what they cost;
  `scale: paper` computes them, best on a cluster (CONTRIBUTING.md).{cost}
- **The unit of Table 1's rival and of SIREN's depth in Table 4.** Both exceed what the released metric can print. It
  would take the authors' evaluation script.
- **The near half of the camera's range.** No published capture shows it. One photograph of a near scene would do.
- **Real captures.** The paper's raw photographs are not published. It takes a phase-coded camera and `dpcip solve`.
  Notebook 06 simulates what differs there: sensors, noise, optics that are not those that the solver believes in.
- **The rivals as trained by their authors.** Their training data and weights are not public; ours learned far shorter,
  on what can be had freely.
"""


def _word(value: object) -> str:
    return f"{value:.4g}".replace("nan", "") if isinstance(value, float) else str(value)


def _markdown(table: pd.DataFrame) -> str:
    words = table.map(_word)
    return words.to_markdown(index=False, disable_numparse=True)


def lines_of_interest(table: pd.DataFrame) -> pd.DataFrame:
    """Of a comparison the lines that stand beside a value of the paper, and the verdicts on its claims."""
    if "paper" not in table:
        return table[[name for name in table if name != "scale" and not str(name).endswith("_spread")]]
    wanted = [*("what", "method", "box", "channel", "metric"), *("paper", "ours", "spread", "verdict")]
    kept = table[table["paper"].notna() | table["ours"].isna()]
    return kept[[name for name in wanted if name in kept]]


def _section(section: Section, results: Path) -> str:
    path = results / "tables" / f"{section.table}.csv"
    head = f"## {section.title}\n\n"
    if not path.is_file():
        return f"{head}{NOT_MADE.capitalize()}: `results/tables/{path.name}` is not there.\n"
    caption = path.with_suffix(".md").read_text(encoding="utf-8").split("\n", 1)[0]
    picture = (
        f"![{section.title}](figures/{section.figure})\n\n" if (results / "figures" / section.figure).is_file() else ""
    )
    return (
        f"{head}{caption}\n\n{_markdown(lines_of_interest(pd.read_csv(path)))}\n\n"
        f"**Why.** {section.why}\n\n{picture}"
        f"All lines: [{section.table}.md](tables/{section.table}.md). Made by [{section.notebook}]"
        f"(notebooks/{section.notebook}.ipynb).\n"
    )


def _beyond(results: Path) -> str:
    """What the project adds to the paper: its own solver against the paper's recipe, from the bench."""
    path = results / "bench" / "summary.json"
    if not path.is_file():
        return f"## Beyond the paper\n\n{NOT_MADE.capitalize()}: `results/bench/{path.name}` is not there.\n"
    bench = json.loads(path.read_text(encoding="utf-8"))
    rows = {
        "its time / that of the paper's recipe as released": bench["time_ratio_whole_solve_vs_released"],
        "its time / that of the paper's recipe, fast arithmetic": bench["time_ratio_whole_solve_vs_optimised"],
        "its PSNR - that of the paper's recipe (dB)": bench["psnr_gain_equal_time_db"],
        "its depth RMSE in range / that of the paper's recipe": bench["depth_rmse_ratio_equal_time"],
    }
    table = pd.DataFrame({"preset fast": rows.keys(), "median": rows.values()})
    return (
        "## Beyond the paper: preset fast against the paper's recipe\n\n"
        f"Medians over {len(bench['cases'])} solves (scene and seed), measured by `dpcip bench`. The paper's recipe is "
        f"stopped at {bench['paper_iterations']} of its 5001 iterations; as released its time is that of a few "
        "iterations, multiplied. PSNR and depth are compared when the recipe with fast arithmetic ends. "
        f"[summary.json](bench/summary.json) says how each number is defined:\n\n{_markdown(table)}\n\n"
        "![Quality over time](bench/bench.png)\n\nAll cases: [cases.md](bench/cases.md).\n"
    )


def _open(results: Path) -> str:
    """What is open; with the cost of the paper's scale where the bench has measured an iteration at its size."""
    path, cost = results / "bench" / "summary.json", ""
    bench = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    measured = bench.get("scaling", {}).get("512x1024")
    if measured:
        hours = PAPER_SOLVES * PAPER_ITERATIONS * measured["seconds_per_iteration"] / 3600
        threads = bench["machine"]["threads"]
        cost = (
            f" For Tables 1 and 2 they are {PAPER_SOLVES} solves of {PAPER_ITERATIONS} iterations. At the "
            f"{measured['seconds_per_iteration']:.3g} s that `dpcip bench` measured for one at 512x1024 pixels (preset "
            f"fast, {threads} threads, {bench['machine']['device_name']}) that is {hours:.0f} hours of that machine, "
            f"{threads * hours:.0f} core-hours: extrapolated, not run. No GPU was at hand."
        )
    return OPEN.replace("{cost}", cost)


def effort_page(results: Path, times: Path) -> str:
    """What it took, Markdown: a page of its own, so that a run that changes no number leaves the report as it is."""
    table = effort(results, times)
    body = _markdown(table) if len(table) else f"{NOT_MADE.capitalize()}."
    whole = seconds_from_nothing(results, times)
    return (
        f"# Time and machine\n\n{body}\n\nWall time, other work on the machine included. A stage's last run may have "
        "found its solves made; with every solve and training made anew, in sequence, all stages add up to "
        f"{whole / 60:.0f} minutes.\n"
    )


def page(results: Path, scale: str) -> str:
    """The whole report, Markdown. Links are relative to results/."""
    opening = (
        "# What became of the paper's claims\n\n"
        f'"Deep Phase Coded Image Prior" (arXiv 2404.03906), computed at scale `{scale}` by `make repro`. Every '
        "number is read from a table beside this page; a test compares them with dvc.lock. Symbols: psi is the "
        "defocus in radians, 0 in focus and larger nearer; PSF, the blur of a point; 'as released', the metric as the "
        "paper's public code computes it. What counts as reproduced (`tolerance` in the full tables): PSNR and SSIM "
        "within a fixed distance, depth within a factor. On other scenes than the paper's no value can be "
        "reproduced, and the verdict says so.\n\n"
        f"{_markdown(summary(results / 'tables'))}\n"
    )
    parts = [
        opening,
        *(_section(s, results) for s in SECTIONS),
        _beyond(results),
        _open(results),
        f"## Time and machine\n\nWhat it took, and on what: [{scale}.md](times/{scale}.md).\n",
    ]
    return "\n".join(parts)


def quote_summary(readme: Path, results: Path) -> None:
    """Puts the claims' table between the README's two marks. Raises InputError if they are not there."""
    text = readme.read_text(encoding="utf-8")
    quoted = f"{BEGIN}\n\n{_markdown(summary(results / 'tables'))}\n\n{END}"
    new, n = re.subn(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: quoted, text, flags=re.DOTALL)
    if n != 1:
        raise InputError(f"{readme}: needs the lines '{BEGIN}' and '{END}' once; take them from git again")
    if new != text:
        with replacing(readme) as temporary:
            temporary.write_text(new, encoding="utf-8")


def main() -> None:
    """`python -m dpcip.paper.page SCALE`: results/REPORT.md, results/times/SCALE.md, and the README's table."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dpcip.paper.page SCALE")
    scale, results = sys.argv[1], TOP / "results"
    times = results / "times" / f"{scale}.json"
    try:
        pages = {results / "REPORT.md": page(results, scale), times.with_suffix(".md"): effort_page(results, times)}
        for path, text in pages.items():
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        quote_summary(TOP / "README.md", results)
    except InputError as error:
        sys.exit(f"dpcip.paper.page: {error}")


if __name__ == "__main__":
    main()

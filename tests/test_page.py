"""The report: every number is a table's, what is missing is said, and the pages fit together."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dpcip.paper.claims import CLAIMS, NOT_MADE, summary
from dpcip.paper.effort import effort, seconds_from_nothing
from dpcip.paper.page import BEGIN, END, SECTIONS, page, quote_summary
from dpcip.paper.site import build
from dpcip.paper.tables import beats_verdict
from dpcip.utils.errors import InputError

RESULTS = Path(__file__).resolve().parent.parent / "results"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A copy of the committed results, without the notebooks."""
    return Path(
        shutil.copytree(
            RESULTS, tmp_path / "results", ignore=shutil.ignore_patterns("notebooks", "REPORT.md", "*.safetensors")
        )
    )


def change(results: Path, table: str, line: int, **values: object) -> None:
    path = results / "tables" / f"{table}.csv"
    frame = pd.read_csv(path)
    for column, value in values.items():
        frame[column] = frame[column].astype(object)
        frame.loc[line, column] = value
    frame.to_csv(path, index=False)


def line_of(results: Path, claim: str) -> dict[str, str]:
    rows = summary(results / "tables")
    return rows[rows["claim"].str.startswith(claim)].iloc[0].to_dict()


def test_every_claim_is_answered_by_its_table_or_said_to_be_open(results: Path) -> None:
    rows = summary(results / "tables")
    assert len(rows) == len(CLAIMS)
    for claim, said in zip(CLAIMS, rows["verdict"], strict=True):
        assert (said == NOT_MADE) != (results / "tables" / f"{claim.table}.csv").is_file(), claim.words


def test_values_and_verdicts_are_the_tables(results: Path) -> None:
    frame = pd.read_csv(results / "tables" / "table2_edof.csv")
    former = page(results, "laptop").count("12.35")
    line = int(frame.index[(frame["method"] == "DPCIP") & frame["paper"].notna()][0])
    change(results, "table2_edof", line, ours=12.345, verdict="reproduced")
    found = line_of(results, "all-in-focus image, PSNR")
    assert (found["paper"], found["ours"], found["verdict"]) == ("30.67", "12.35", "reproduced")
    text = page(results, "laptop")
    assert text.count("12.35") == former + 2, "in the claims and in the table"


def test_hardest_rival_decides(results: Path) -> None:
    frame = pd.read_csv(results / "tables" / "table1_depth.csv")
    line = int(frame.index[frame["what"] == "DPCIP beats it"][-1])
    lost = beats_verdict(pd.Series([1.0, 2.0]), pd.Series([0.5, 1.0]), larger_is_better=False)
    change(results, "table1_depth", line, verdict=lost)
    found = line_of(results, "better depth")
    assert (found["ours"], found["verdict"]) == ("better on 0 of 2 photographs", "not reproduced")


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [
        (("reproduced", "reproduced"), ("2 of 2 statements at every noise level", "reproduced")),
        (("reproduced", "not reproduced"), ("1 of 2 statements at every noise level", "in part")),
        (("not reproduced", "in part"), ("0 of 2 statements at every noise level, 1 at some", "in part")),
        (("not reproduced", "not reproduced"), ("0 of 2 statements at every noise level", "not reproduced")),
    ],
)
def test_finding_on_noise_holds_as_a_whole_or_in_part(
    results: Path, verdicts: tuple[str, ...], answer: tuple[str, str]
) -> None:
    table = pd.DataFrame({"verdict": [f"{verdict}: at 1 of 3 noise levels" for verdict in verdicts]})
    table.to_csv(results / "tables" / "realworld_finding.csv", index=False)
    found = line_of(results, "noise:")
    assert (found["ours"], found["verdict"]) == answer


def test_selfdeblur_is_beaten_and_its_best_kernel_size_is_read_off_the_curve(results: Path) -> None:
    assert line_of(results, "deblurring, better PSNR")["verdict"] == "reproduced"
    path = results / "tables" / "figure4_kernel_size.csv"
    curve = pd.read_csv(path)
    for scores, answer in (
        ([1, 2, 3, 2, 1], ("best at 19, inside the range", "reproduced")),
        ([5, 4, 3, 2, 1], ("best at 11, an end of the range", "not reproduced")),
    ):
        curve.assign(psnr_aligned_db=scores).to_csv(path, index=False)
        found = line_of(results, "the kernel size")
        assert (found["ours"], found["verdict"]) == answer


def test_every_section_names_a_picture_that_its_stage_makes() -> None:
    stages = yaml.safe_load((RESULTS.parent / "dvc.yaml").read_text())["stages"]
    for section in SECTIONS:
        made = [next(iter(out)) for out in stages[section.notebook]["outs"]]
        assert {f"results/figures/{section.figure}", f"results/tables/{section.table}.csv"} <= set(made), section.title


def test_cost_of_the_papers_scale_is_the_bench_extrapolated(results: Path) -> None:
    path = results / "bench" / "summary.json"
    bench = json.loads(path.read_text())
    bench["scaling"]["512x1024"]["seconds_per_iteration"] = 3.6
    path.write_text(json.dumps(bench))
    assert "1650 hours of that machine, 3301 core-hours" in page(results, "laptop")  # 330 x 5001 x 3.6 s
    path.unlink()
    assert "core-hours" not in page(results, "laptop")


def test_worst_energy_decides(results: Path) -> None:
    change(results, "camera_psf_energy", 3, difference=-2.5, verdict="not reproduced")
    found = line_of(results, "energy")
    assert (found["ours"], found["verdict"]) == ("within 2.5 points", "not reproduced")


def test_missing_table_and_bench_are_said_to_be_missing(results: Path) -> None:
    (results / "tables" / "table4_generators.csv").unlink()
    (results / "bench" / "summary.json").unlink()
    text = page(results, "laptop")
    assert "Not made yet: `results/tables/table4_generators.csv` is not there." in text
    assert "Not made yet: `results/bench/summary.json` is not there." in text
    assert line_of(results, "order of the generators")["verdict"] == NOT_MADE


def test_links_and_pictures_of_the_report_are_there(results: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page(results, "laptop")):
        assert (RESULTS / link).is_file(), link


def test_effort_adds_up_and_counts_a_shared_solve_once(tmp_path: Path) -> None:
    machine = {"device": "cpu", "device_name": "Chip", "threads": 2, "torch": "2"}
    for notebook in ("02_depth", "03_edof"):
        folder = tmp_path / "results" / "solves" / notebook
        folder.mkdir(parents=True)
        (folder / "same.json").write_text(
            json.dumps({"case": {"seconds": 90}, "report": {"seconds": 90, "machine": machine}})
        )
    times = tmp_path / "laptop.json"
    times.write_text(json.dumps({stage: {"seconds": 30, "machine": "Chip, 2 threads"} for stage in "abc"}))
    table = effort(tmp_path / "results", times)
    assert table["number"].tolist() == [1, 3] and table["minutes"].tolist() == [1.5, 1.5]
    assert table["machine"].tolist() == ["cpu, Chip, 2 threads, torch 2", "Chip, 2 threads"]


def test_time_from_nothing_counts_solves_that_were_found_made_and_trainings(tmp_path: Path) -> None:
    results, times = tmp_path / "results", tmp_path / "laptop.json"
    for folder, name, values in (
        ("solves/02_depth", "a", {"case": {"seconds": 90}, "report": {"seconds": 9}}),
        ("solves/03_edof", "a", {"case": {"seconds": 90}, "report": {"seconds": 9}}),  # the same solve
        ("solves/03_edof", "b", {"case": {"seconds": 10}, "report": {"seconds": 9}}),
        ("baselines/net", "c", {"seconds": 50, "machine": {}}),
    ):
        (results / folder).mkdir(parents=True, exist_ok=True)
        (results / folder / f"{name}.json").write_text(json.dumps(values))
    stages = {"02_depth": 5, "03_edof": 30, "x": 1}
    made = {stage: {"seconds": seconds, "machine": "Chip"} for stage, seconds in stages.items()}
    times.write_text(json.dumps({**made, "damaged": None, "too": {"seconds": None, "machine": "Chip"}}))
    assert seconds_from_nothing(results, times) == (5 + 90) + 30 + 50 + 1
    for damaged in (
        "<<<<<<< HEAD",
        "{}",
        "[1]",
        '{"case": {"seconds": null}, "report": {}}',
        '{"case": null, "report": null}',
    ):  # its stage will be made again
        (results / "solves" / "03_edof" / "c.json").write_text(damaged)
        assert seconds_from_nothing(results, times) == (5 + 90) + 30 + 50 + 1


def test_readme_gets_the_claims_between_its_marks(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# dpcip\n{BEGIN}\nold\n{END}\nrest\n")
    quote_summary(readme, results)
    text = readme.read_text()
    assert "old" not in text and text.startswith("# dpcip") and text.endswith("rest\n")
    assert all(claim.words in text for claim in CLAIMS)
    readme.write_text("no marks")
    with pytest.raises(InputError, match="README.md: needs the lines"):
        quote_summary(readme, results)


def test_site_holds_report_notebooks_and_what_they_link_to(results: Path, tmp_path: Path) -> None:
    (results / "notebooks").mkdir()
    for name in ("01_camera", "05_generators"):
        shutil.copy(RESULTS / "notebooks" / f"{name}.ipynb", results / "notebooks")
    with pytest.raises(InputError, match="run `make repro` first"):
        build(results, tmp_path / "site")
    (results / "REPORT.md").write_text(page(results, "laptop"))
    index = build(results, tmp_path / "site")
    html = index.read_text()
    assert 'name="viewport"' in html and "What became of the paper" in html
    links = set(re.findall(r'(?:href|src)="([^"#:]+)"', html))
    assert {"01_camera.html", "05_generators.html", "bench/bench.png"} <= links
    left_out = {f"{path.stem}.html" for path in (RESULTS / "notebooks").glob("*.ipynb")} - {
        "01_camera.html",
        "05_generators.html",
    }
    assert [link for link in links - left_out if not (index.parent / link).is_file()] == []
    for name in ("01_camera", "05_generators"):
        pictures = re.findall(r'<img[^>]*\bsrc="([^"]+)"', (index.parent / f"{name}.html").read_text())
        assert len(pictures) > 3 and [p for p in pictures if not (index.parent / p).is_file()] == []
    of_notebook = set(
        re.findall(r'href="((?:\.\./|tables/)[^"#:]+)"', (tmp_path / "site" / "05_generators.html").read_text())
    )
    assert (
        of_notebook == {"tables/table4_generators.md"}
        and (tmp_path / "site" / "tables" / "table4_generators.md").is_file()
    )

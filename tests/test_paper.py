"""Verdicts follow from the numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dpcip.data.datasets import TAUAGENT_PLACES
from dpcip.evaluation.metrics import depth_as_released
from dpcip.evaluation.scores import ALSO
from dpcip.optics.lens import PSI_RANGE, Lens
from dpcip.optics.psf import PsfBank
from dpcip.paper.tables import (
    AS_RELEASED_CEILING_M,
    DEPTH,
    PSNR,
    SSIM,
    TABLE_1,
    TABLE_2,
    TABLE_2_RIVAL,
    TABLE_4,
    Metric,
    beats_verdict,
    comparison,
    energy_comparison,
    margin_verdict,
    order_verdict,
    peak_verdict,
    verdict,
)


@pytest.mark.parametrize(
    ("metric", "paper", "ours", "begins"),
    [
        (PSNR, 30.0, 30.9, "reproduced"),
        (PSNR, 30.0, 31.5, "better"),
        (PSNR, 30.0, 28.5, "not reproduced"),
        (SSIM, 0.9, 0.92, "reproduced"),
        (DEPTH, 0.002, 0.0011, "reproduced"),
        (DEPTH, 0.002, 0.0009, "better"),
        (DEPTH, 0.002, 0.005, "not reproduced"),
        (DEPTH, 0.19, 0.01, "not comparable"),
        (PSNR, None, 30.0, "no value"),
    ],
)
def test_verdict_of_the_papers_own_scenes(metric: Metric, paper: float | None, ours: float, begins: str) -> None:
    assert verdict(metric, paper, ours, same_scenes=True).startswith(begins)


def test_verdict_on_other_scenes_claims_no_reproduction() -> None:
    for ours in (28.0, 30.0, 32.0):
        said = verdict(PSNR, 30.0, ours, same_scenes=False)
        assert "reproduced" not in said and said.startswith("not comparable (other scenes)")
    for metric, values in ((PSNR, (28.0, 30.0, 32.0)), (DEPTH, (70.0, 30.0, 10.0))):
        metric = replace(metric)  # the depth's ceiling does not matter here
        said = [verdict(metric, 30.0, ours, same_scenes=False).split(": ")[1] for ours in values]
        assert said == ["worse", "same size", "better"]


def test_line_of_a_table() -> None:
    rows = pd.DataFrame({"psnr_db": [29.0, 31.0], "solve": ["aaaaaaaaaa1", "bbbbbbbbbb2"], "device": "cpu"})
    rows = rows.assign(**{name: [1.0, 2.0] for name in ALSO})
    line = comparison("City", "DPCIP", PSNR, 29.73, rows, same_scenes=True)
    assert line["ours"] == 30 and line["spread"] == pytest.approx(np.sqrt(2))
    assert line["seconds"] == 1.5 and line["device"] == "cpu"
    assert line["difference"] == pytest.approx(0.27) and line["solves"] == "aaaaaaaa bbbbbbbb"
    assert line["tolerance"] == "1" and line["verdict"] == "reproduced"
    rows = rows.assign(**{name: float(n) for n, name in enumerate(ALSO)})
    line = comparison("City", "DPCIP", DEPTH, None, rows, same_scenes=True)
    assert [line[name] for name in ALSO] == list(range(len(ALSO)))
    assert line["tolerance"] == "x2" and line["difference"] is None


def test_numbers_are_the_papers() -> None:
    """Typed a second time, from the paper: Tables 1, 2 and 4 of arXiv 2404.03906v1."""
    assert list(TABLE_1.values()) == [0.1639, 0.0003]
    assert [v for row in TABLE_2_RIVAL.values() for v in row] == [
        *(24.01, 0.65, 28.54, 0.92, 26.12, 0.81, 26.94, 0.87, 23.67, 0.71)
    ]
    assert [v for row in TABLE_2.values() for v in row] == [
        *(29.73, 0.91, 31.28, 0.94, 30.04, 0.91, 31.45, 0.93, 30.86, 0.93)
    ]
    assert TABLE_4 == {"dip": (0.005, 30.15, 0.916), "pip": (0.006, 26.34, 0.82), "siren": (0.19, 25.85, 0.81)}
    assert list(TABLE_2) == list(TABLE_2_RIVAL) == list(TAUAGENT_PLACES)


def test_released_metric_cannot_pass_its_ceiling() -> None:
    worst = depth_as_released(np.full((4, 4), -4.0), np.full((4, 4), 10.0), Lens(), PSI_RANGE)
    assert worst == pytest.approx(AS_RELEASED_CEILING_M, abs=5e-4)


def test_order() -> None:
    paper = {"dip": 30.0, "pip": 26.0, "siren": 25.0}
    assert order_verdict(paper, {"dip": 28, "pip": 25, "siren": 24, "other": 99}, True).startswith("reproduced")
    assert order_verdict(paper, {"dip": 28, "pip": 24, "siren": 25}, True).startswith("in part")
    assert order_verdict(paper, {"dip": 23, "pip": 24, "siren": 25}, True).startswith("not reproduced")
    assert order_verdict(paper, {"dip": 28, "pip": 24, "siren": 24}, True) == "in part: dip is best, then pip = siren"
    tied = order_verdict(paper, {"dip": 28, "pip": 28, "siren": 24}, True)
    assert tied == "not reproduced: dip = pip, siren instead of dip, pip, siren"
    close = {"dip": 28.0, "pip": 24.0, "siren": 23.95}
    assert order_verdict(paper, close, True) == "reproduced: dip, pip, siren"
    assert order_verdict(paper, close, True, tolerance=0.1) == "in part: dip is best, then pip = siren"
    assert order_verdict(paper, {"dip": 28.0, "hashgrid": 29.0}, True).startswith("not comparable")


def test_who_beats_whom() -> None:
    ours = pd.Series([30.0, 28.0, 25.0], index=["a", "b", "c"])
    assert beats_verdict(ours, ours - 1, True) == "reproduced: better on 3 of 3 photographs"
    assert beats_verdict(ours, pd.Series({"c": 20.0, "b": 29.0, "a": 20.0}), True).startswith("in part: better on 2")
    assert beats_verdict(ours, ours - 1, False).startswith("not reproduced: better on 0")
    assert beats_verdict(ours, ours + [1, 1, -1], True) == "not reproduced: better on 1 of 3 photographs"
    for larger in (True, False):
        assert beats_verdict(ours, ours, larger).startswith("not reproduced: better on 0 of 3")
    assert beats_verdict(ours, pd.Series({"d": 1.0}), True).startswith("not comparable")
    assert beats_verdict(ours, pd.Series({"a": 29.0}), True).endswith("1 of 1 photographs")


def test_table_3_of_the_camera_and_of_another(bank: PsfBank) -> None:
    table = energy_comparison(bank)
    assert len(table) == 12 and set(table["verdict"]) == {"reproduced"}
    other = PsfBank(bank.psf.flip(0), bank.psi, bank.lens)
    assert "not reproduced" in set(energy_comparison(other)["verdict"])


@pytest.mark.parametrize(
    ("lead", "begins"), [(6.8, "reproduced"), (2.0, "in part: smaller"), (9.0, "in part: larger"), (-1.0, "refuted")]
)
def test_lead(lead: float, begins: str) -> None:
    rival = pd.Series([19.0, 21.0], index=["a", "b"])
    said = margin_verdict(6.78, rival + lead + [0.1, -0.1], rival, 1.0)
    assert said.startswith(begins) and "spread 0.14" in said and said.endswith("instead of 6.78")
    assert "one photograph" in margin_verdict(6.78, rival[:1] + lead, rival, 1.0)


def test_peak() -> None:
    assert peak_verdict(pd.Series([1, 3, 2], index=[11, 19, 31])) == "reproduced: best at 19, inside the range"
    for values in ([3, 2, 1], [1, 2, 3]):
        assert peak_verdict(pd.Series(values, index=[11, 19, 31])).startswith("not reproduced")

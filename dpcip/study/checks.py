"""Checks of a notebook: a claim, the bound that its number must clear, and the spread within which numbers differ.

Another processor, number of threads or seed moves the result of a solve. So a claim holds only where its number clears
the bound by more than that spread, and the printed line, which is compared with the stored one, holds no number.
tests/measure_spread.py measures the spreads; tests/spread.csv holds what it found.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

RECORD = "DPCIP_CHECKS"  # environment variable: the file that each check's numbers are appended to
_made: dict[str, Check] = {}  # by their words: a cell that is run again replaces its own


@dataclass(frozen=True)
class Check:
    """A claim in words, and its numbers. above, below: the bound; one of the two is None."""

    words: str
    value: float
    above: float | None
    below: float | None
    spread: float

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"check '{self.words}': give either above or below")
        if not (math.isfinite(self.margin()) and self.spread > 0):
            raise ValueError(f"check '{self.words}': value {self.value} must be finite, spread {self.spread} positive")

    def margin(self) -> float:
        """How far the value lies on the claimed side of the bound; negative on the other side."""
        if self.above is not None:
            return self.value - self.above
        assert self.below is not None
        return self.below - self.value

    def verdict(self) -> str:
        """`yes` or `no` where the value clears the bound by more than the spread, else `no difference`."""
        if abs(self.margin()) <= self.spread:
            return "no difference"
        return "yes" if self.margin() > 0 else "no"

    def clears_by(self) -> float:
        """How far the value may move before the verdict is another one."""
        return abs(abs(self.margin()) - self.spread)

    def record(self) -> None:
        """Appends the numbers as a line to the file that DPCIP_CHECKS names, if it names one."""
        if os.environ.get(RECORD):
            line: dict[str, Any] = {**asdict(self), "verdict": self.verdict(), "clears_by": self.clears_by()}
            with Path(os.environ[RECORD]).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def check(words: str, value: float, *, spread: float, above: float | None = None, below: float | None = None) -> None:
    """Prints `words: yes`, `words: no difference` or `words: no`, the same line on any machine.

    Args:
        words: What is claimed. The number itself is not printed; see `summary`.
        value: The number; for a claim about all photographs that of the worst one.
        above: The claim is that the value lies above this.
        below: Or below this.
        spread: By how much another processor, number of threads or seed may move the value.

    Raises:
        ValueError: Both bounds or none, a value that is not finite, a spread that is not positive.
    """
    made = Check(words, float(value), above, below, spread)
    _made[words] = made
    print(f"{words}: {made.verdict()}")
    made.record()


def summary() -> pd.DataFrame:
    """The checks that this notebook has made: value, bound, spread, and how far the value is from another verdict."""
    rows = [
        {
            "claim": made.words,
            "value": made.value,
            "must be": f"above {made.above:g}" if made.above is not None else f"below {made.below:g}",
            "by more than (spread)": made.spread,
            "verdict": made.verdict(),
            "from another verdict": made.clears_by(),
        }
        for made in _made.values()
    ]
    table = pd.DataFrame(rows)
    numbers = ["value", "by more than (spread)", "from another verdict"]
    return table.assign(**{name: table[name].map("{:.3g}".format) for name in numbers}) if rows else table

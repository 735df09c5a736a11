"""Assertions on results of solves: a bound, and the spread that the number must clear it by."""

from __future__ import annotations

from dpcip.study.checks import Check


def assert_clears(
    words: str, value: float, *, spread: float, above: float | None = None, below: float | None = None
) -> None:
    """Fails unless the value clears the bound by more than the spread; tests/measure_spread.py measures both."""
    made = Check(words, float(value), above, below, spread)
    made.record()
    bound = f"above {above:g}" if above is not None else f"below {below:g}"
    assert made.verdict() == "yes", f"{words}: {value:.4g} must be {bound} by more than the spread {spread:g}"

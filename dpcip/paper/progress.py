"""One progress line over a whole `make repro`, and the seconds of each stage for the next one."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TextIO

from dpcip.paper.effort import read_times
from dpcip.utils.files import write_json
from dpcip.utils.machine import describe, pick_device
from dpcip.utils.progress_stream import PROGRESS_FILE

PLAN = "DPCIP_PLAN"  # environment variable: the stages to make, in order, as JSON {stage: expected seconds or null}
POLL_SECONDS = 2.0
QUIET_SECONDS = 30.0  # between two lines where nobody looks on: a log


def time_words(seconds: float) -> str:
    """A time left, no finer than one can know it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class Line:
    """The line for a stage: which of how many, what it is at, and how long all that is left will take."""

    stage: str
    plan: dict[str, float | None] = field(default_factory=lambda: json.loads(os.environ.get(PLAN, "{}")))

    def text(self, bar: str, elapsed_s: float) -> str:
        """bar: the newest line of the stage's own progress bar, or nothing."""
        names = list(self.plan)
        place = f"stage {names.index(self.stage) + 1} of {len(names)}, " if self.stage in names else ""
        left_s, whole = self._left(bar, elapsed_s)
        left = f"; {'about' if whole else 'at least'} {time_words(left_s)} left" if place and left_s else ""
        return f"{place}{self.stage}, {time_words(elapsed_s)}{left}{' | ' if bar else ''}{bar}"

    def _left(self, bar: str, elapsed_s: float) -> tuple[float, bool]:
        """Seconds left of this stage and those after it, and whether every one of them is known."""
        names = list(self.plan)
        expected = self.plan.get(self.stage)
        later = [self.plan[name] for name in names[names.index(self.stage) + 1 :]] if self.stage in names else []
        found = re.search(r"(\d+)%\|", bar)
        share = int(found[1]) / 100 if found else 0.0
        if expected is not None:
            here: float | None = expected * (1 - share) if share else max(expected - elapsed_s, 0.0)
        else:
            here = elapsed_s * (1 - share) / share if share else None
        parts = [here, *later]
        return sum(part for part in parts if part is not None), None not in parts


@contextmanager
def shown(stage: str, work: Path, times: Path) -> Iterator[None]:
    """Shows a stage's progress on standard error while it runs, and writes its seconds to `times` when it is made.

    Solver and study write their bars to a file in `work`, for a notebook's kernel has no terminal. Seconds before a
    kill are counted, too. times: JSON {stage: {seconds, machine, date}}.
    """
    log, spent = work / f"{stage}.log", work / f"{stage}.seconds"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    os.environ[PROGRESS_FILE] = str(log)
    begin = time.monotonic() - _number(spent)
    finished = threading.Event()
    reporter = threading.Thread(target=_report, args=(Line(stage), log, spent, begin, finished), daemon=True)
    reporter.start()
    try:
        yield
        _record(times, stage, time.monotonic() - begin)
        spent.unlink(missing_ok=True)
    except Exception:
        spent.unlink(missing_ok=True)  # a fault, no kill: the next run is another one
        raise
    finally:
        finished.set()
        reporter.join()


def _number(path: Path) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return 0.0


def _report(line: Line, log: Path, spent: Path, begin: float, finished: threading.Event) -> None:
    stream: TextIO = sys.stderr
    is_terminal = stream.isatty()
    last_print = -QUIET_SECONDS
    while True:
        elapsed_s = time.monotonic() - begin
        bar = log.read_text(encoding="utf-8").replace("\n", "\r").rstrip("\r").rsplit("\r", 1)[-1].strip()
        if is_terminal or time.monotonic() - last_print >= QUIET_SECONDS:
            text = line.text(bar, elapsed_s)
            width = (os.get_terminal_size(stream.fileno()).columns or 80) - 1 if is_terminal else len(text)
            print(f"\r\x1b[K{text[:width]}" if is_terminal else text, end="" if is_terminal else "\n", file=stream)
            stream.flush()
            last_print = time.monotonic()
        if finished.wait(POLL_SECONDS):
            break
        spent.write_text(f"{time.monotonic() - begin:.1f}")
    if is_terminal:
        print(file=stream)


def _record(path: Path, stage: str, seconds: float) -> None:
    machine = describe(pick_device())
    words = f"{machine['device_name']}, {machine['threads']} threads"
    made = {"seconds": round(seconds, 1), "machine": words, "date": date.today().isoformat()}
    times = {**read_times(path), stage: made}
    write_json(path, dict(sorted(times.items())))

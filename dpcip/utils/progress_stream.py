"""Where progress bars are written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

PROGRESS_FILE = "DPCIP_PROGRESS"  # environment variable: where the progress bar goes instead of standard error


@contextmanager
def progress_stream() -> Iterator[TextIO]:
    """Where the progress bar is written: standard error, or the file that PROGRESS_FILE names."""
    path = os.environ.get(PROGRESS_FILE)
    if not path:
        yield sys.stderr
        return
    with open(path, "a", encoding="utf-8") as stream:
        yield stream

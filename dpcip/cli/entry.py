"""The program `dpcip`: the command line, which takes a second to load, and Ctrl-C during that second in one line."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Entry point. Until the command line is loaded, Ctrl-C ends it at once; from then on it is dpcip.cli.main's."""

    def stop(number: int, frame: object) -> None:
        sys.stderr.write("dpcip: interrupted\n")
        sys.stderr.flush()
        os._exit(130)  # an exception in the middle of an import would be shown with its traceback

    former = signal.signal(signal.SIGINT, stop)
    from dpcip.cli.main import main as run

    signal.signal(signal.SIGINT, former)
    run()

"""How a solve shares the machine: its time alone and beside two busy processes, as dpcip does it and as torch would.

    python tests/contention.py

Some ten minutes. Prints medians of three, the four ways taken in turn, and their ratios. Ours is a thread for each free
core (utils/machine.py) and a short spin (dpcip/__init__.py); torch's are all cores and GNU's own spin count. On two
cores a solve beside two busy processes may take 2.5 times its time alone, and alone no longer than torch's way. Times
are no test's business, so pytest does not collect this.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dpcip.data.images import write_image

ROUNDS, N_BUSY = 3, 2
SIDE_PX, ITERATIONS = 128, 70  # of preset `fast`: start, warm-up, network and the end all take part
CORES = str(os.cpu_count())
WAYS = {"ours": {}, "torch": {"GOMP_SPINCOUNT": "300000", "OMP_NUM_THREADS": CORES}}  # 300000 is GNU's own
OPENMP = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


def seconds(photo: Path, way: dict[str, str], n_busy: int) -> float:
    """Wall time of one `dpcip solve` beside `n_busy` processes that do nothing but compute."""
    environment = {name: value for name, value in os.environ.items() if name not in OPENMP}
    environment |= way
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_busy)]
    try:
        with tempfile.TemporaryDirectory() as out:
            command = [
                sys.executable,
                "-c",
                "from dpcip.cli.main import main; main()",
                "solve",
                str(photo),
                "--out",
                out,
            ]
            begin = time.monotonic()
            subprocess.run([*command, "--iterations", str(ITERATIONS), "--quiet"], env=environment, check=True)
            return time.monotonic() - begin
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    ways = [(name, n_busy) for n_busy in (0, N_BUSY) for name in WAYS]
    times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        blocks = np.random.default_rng(0).random((3, SIDE_PX // 8, SIDE_PX // 8))
        write_image(photo, np.kron(blocks, np.ones((1, 8, 8))))
        for _ in range(ROUNDS):
            for name, n_busy in ways:
                times[name, n_busy].append(seconds(photo, WAYS[name], n_busy))
    median = {way: statistics.median(taken) for way, taken in times.items()}
    for (name, n_busy), taken in times.items():
        print(f"{name}, {n_busy} busy processes: {median[name, n_busy]:.1f} s of", np.round(taken, 1))
    for name in WAYS:
        print(f"{name}: beside / alone {median[name, N_BUSY] / median[name, 0]:.2f}")
    for n_busy, where in ((0, "alone"), (N_BUSY, "beside")):
        print(f"{where}: ours / torch's {median['ours', n_busy] / median['torch', n_busy]:.2f}")


if __name__ == "__main__":
    main()

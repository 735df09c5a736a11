"""What this machine is and can do: device, fast arithmetic, versions, memory."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from dpcip import __version__
from dpcip.utils.errors import InputError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_LOOK_SECONDS = 0.1  # at what other programs do
_MOST = _chosen = torch.get_num_threads()  # as torch has it: the cores, without their second threads
REPORTED_PACKAGES = ("torch", "numpy", "scipy", "scikit-image")


def pick_device(name: str = "auto") -> torch.device:
    """The device to compute on: CUDA if there is one, else Apple's MPS, else the CPU; or the one named."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name not in available:
        raise InputError(f"device '{name}' is unknown; choose from auto, {', '.join(available)}")
    if not available[name]:
        raise InputError(f"device '{name}' is not available on this machine; use --device auto")
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are quicker than float32 ones: on a CPU that needs AMX, or AMD's AVX512-BF16.

    Intel's AVX512-BF16 without AMX is slower than float32: 0.46 instead of 0.31 s an iteration of preset `fast` at
    256x128 pixels (Xeon, 2 threads). AMD's is quicker: 0.18 instead of 0.25 s (EPYC of family 26, 2 threads, medians of
    8). ONEDNN_MAX_CPU_ISA=AVX2 in the environment makes any processor one without.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type == "cpu":
        if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
            return False  # held to these by ATEN_CPU_CAPABILITY, bfloat16 would be emulated
        amd = "AMD" in _cpu_name()
        has_it = torch.cpu._is_amx_tile_supported() or (amd and torch.cpu._is_avx512_bf16_supported())
        return bool(has_it and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def use_threads(n_threads: int) -> None:
    """Computes on the CPU with so many threads, whatever else the machine does."""
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    torch.set_num_threads(n_threads)


def free_cores(cores: int, busy: float, most: int) -> int:
    """Threads, `most` at most, that find a core for each beside programs that keep `busy` of the cores busy."""
    return max(1, min(most, round(cores - busy)))


def share_cores() -> None:
    """As many threads as there are cores that no other program keeps busy now.

    Threads wait for each other, the more so where they wait for a core: beside two busy processes on two cores a solve
    of two threads takes 2.7 times as long as alone, and one of one thread 2.2 times (`python tests/contention.py`).
    Does nothing where somebody has said how many: by OMP_NUM_THREADS or by torch.set_num_threads.
    """
    global _chosen
    if "OMP_NUM_THREADS" in os.environ or torch.get_num_threads() != _chosen:
        return
    ours = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    own_seconds = time.process_time()  # OpenBLAS' threads spin for a while
    percent = psutil.cpu_percent(_LOOK_SECONDS, percpu=True)
    busy = sum(percent[core] for core in ours if core < len(percent)) / 100
    _chosen = free_cores(len(ours), busy - (time.process_time() - own_seconds) / _LOOK_SECONDS, _MOST)
    torch.set_num_threads(_chosen)


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed for the next request instead of returning it to the system.

    A solve frees and asks for the same gigabytes in every step; fetched anew they are zeroed page by page, which took
    37 % of the time at 256x256 pixels and 60 % at 512x1024. Holds for the whole process. Elsewhere than on glibc
    nothing happens.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never


def return_freed_memory() -> None:
    """Gives back to the system what `keep_freed_memory` has kept and nobody uses now."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def describe(device: torch.device) -> dict[str, object]:
    """Versions and hardware, to be stored with every result."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {
        "device": device.type,
        "device_name": name,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "dpcip": __version__,
        **{package: version(package) for package in REPORTED_PACKAGES},
    }


def _cpu_name() -> str:
    """The processor's model, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def available_gib() -> float:
    """Memory that can still be taken, in GiB."""
    return psutil.virtual_memory().available / 2**30


def peak_gib() -> float:
    """Largest memory that this process has held so far, in GiB (on the CPU side)."""
    with suppress(OSError):  # Linux; there a child's ru_maxrss begins at its parent's, even after exec
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
        if found:
            return int(found[1]) / 2**20
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 2**30
    import resource  # not there on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


share_cores()  # for what begins without asking: a likelihood, a simulation

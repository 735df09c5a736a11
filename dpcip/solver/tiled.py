"""A solve of a photograph too large for the memory: tile by tile, each kept on disk, then stitched."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dpcip.data.images import MIN_SIDE_PX
from dpcip.learnt.depth import LearntDepth
from dpcip.optics.psf import PsfBank
from dpcip.solver.cache import keep_solution, kept_solve
from dpcip.solver.cost import BASE_GIB, Cost, estimate_cost
from dpcip.solver.runner import check_capture, fingerprint, solve
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution
from dpcip.solver.tiling import Tile, largest_tile_px, overlap_px, stitched, tiles
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_json
from dpcip.utils.machine import available_gib, describe, peak_gib, pick_device
from dpcip.utils.progress_stream import progress_stream

CHECKPOINT = "checkpoint.pt"
TILES = "tiles"  # folder of solved tiles, below that of the results
MAPS = ("sharp", "psi", "psi_std", "coded")
PLAN = "plan.json"  # which tile size an interrupted solve had chosen: free memory differs when it goes on
MEMORY_SHARE = 0.6  # of the free memory, for a tile: the estimate leaves out start and finish, the results take some
GIB_PER_MEGAPIXEL = 16.0  # more than any solve takes (paper 11.6, fast 7.6, siren 13.2): spares small ones the estimate
LEAST_SECONDS = 1e-6  # of a time budget: enough for one step
FLAT = 1 / 255  # a tile whose levels differ by less holds nothing to solve

log = logging.getLogger("dpcip")


def tiled_identity(identity: str, tile_px: int | None) -> str:
    """A solve's fingerprint, told from that of the same solve in tiles of another size; None: not asked for tiles."""
    return identity if tile_px is None else hashlib.sha256(f"{identity} {tile_px}".encode()).hexdigest()


def solve_within_memory(
    capture: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    folder: Path,
    *,
    identity: str,
    tile_px: int | None = None,
    device: str = "auto",
    max_seconds: float | None = None,
    progress: bool = True,
    network: LearntDepth | None = None,
) -> Solution | None:
    """`solve`, in tiles if they are asked for or if the memory would not do for the whole photograph.

    folder: keeps checkpoints and solved tiles until `forget` is called; identity: what the report calls the solve's
    fingerprint. Returns None when `max_seconds` are over before the last tile is solved. Raises InputError if the
    folder keeps the beginnings of another solve, and what `solve` raises.
    """
    home = folder / TILES
    checkpoint = folder / CHECKPOINT
    if tile_px and max(capture.shape[1:]) > tile_px and checkpoint.exists():
        raise InputError(f"{checkpoint}: belongs to a solve without --tile; delete it or choose another folder")
    side = tile_px or chosen_tile_px(capture, bank, settings, device, home, identity)
    if side and max(capture.shape[1:]) > side:
        return solve_in_tiles(
            capture,
            bank,
            settings,
            side,
            home,
            identity=identity,
            device=device,
            max_seconds=max_seconds,
            progress=progress,
            network=network,
        )
    _check_plan(home, identity)
    solution = solve(
        capture,
        bank,
        settings,
        device=device,
        max_seconds=max_seconds,
        checkpoint=checkpoint,
        progress=progress,
        network=network,
    )
    solution.report["fingerprint"] = identity
    return solution


def forget(folder: Path) -> None:
    """Removes what `solve_within_memory` kept: its result is safe."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    if _read_plan(folder / TILES):  # else it is not ours
        shutil.rmtree(folder / TILES, ignore_errors=True)


def chosen_tile_px(
    capture: np.ndarray, bank: PsfBank, settings: Settings, device: str, folder: Path, identity: str
) -> int | None:
    """Side of the tiles that an automatic solve takes: what it took before it was interrupted, or what fits; or None.

    None: the whole photograph fits the memory. folder: where the tiles are kept. Only on a CPU: how much memory a GPU
    has left is not asked.
    """
    plan = _read_plan(folder)
    if plan.get("identity") == identity:
        return int(plan["tile_px"])
    chosen = pick_device(device)
    free = available_gib()
    smallest = max(2 * overlap_px(bank.size), MIN_SIDE_PX)
    megapixels = capture.shape[1] * capture.shape[2] / 2**20
    if chosen.type != "cpu" or max(capture.shape[1:]) <= smallest or megapixels * GIB_PER_MEGAPIXEL < free:
        return None
    whole = estimate_cost(torch.Size(capture.shape), bank, settings, chosen)
    if whole.memory_gib <= free:
        return None
    per_pixel = (whole.memory_gib - BASE_GIB) / (capture.shape[1] * capture.shape[2])
    return largest_tile_px(lambda side: BASE_GIB + per_pixel * side**2, MEMORY_SHARE * free, smallest)


def solve_in_tiles(
    capture: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    tile_px: int,
    folder: Path,
    *,
    identity: str,
    device: str = "auto",
    max_seconds: float | None = None,
    progress: bool = True,
    network: LearntDepth | None = None,
) -> Solution | None:
    """`solve` for each tile of at most `tile_px` a side, and the whole picture stitched from them.

    folder: keeps the tiles that are solved, and the checkpoint of the one that is not; the same call goes on from
    there. identity: what the report calls its fingerprint. Psi is blended where tiles overlap and depth follows from
    it. Returns None when `max_seconds` are over before the last tile is solved. Raises what `solve` raises.
    """
    check_capture(capture, bank)
    _check_plan(folder, identity)
    size = (capture.shape[1], capture.shape[2])
    grid = tiles(size, tile_px, bank.size)
    write_json(folder / PLAN, {"identity": identity, "tile_px": tile_px})
    if progress:
        _announce(grid, size, bank, settings, device)
    end = math.inf if max_seconds is None else time.monotonic() + max_seconds
    worked = False
    with _bar(len(grid), progress) as bar:
        for number, tile in enumerate(grid):
            home, part = folder / tile.name, tile.of(capture)
            if not _is_solved(home, fingerprint(part, bank, settings, device, network)):
                left = end - time.monotonic()
                if left <= 0 and worked:  # a call takes one step at least, as `solve` does
                    return None
                worked = True
                if not _solve_tile(part, bank, settings, home, device, max(left, LEAST_SECONDS), bar, network):
                    return None
            bar.update(number + 1 - bar.n)
    return _whole(capture, bank, settings, grid, folder, identity, device)


def _is_solved(home: Path, identity: str) -> bool:
    kept = kept_solve(home)
    return kept is not None and kept.report.get("fingerprint") == identity


def _solve_tile(
    part: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    home: Path,
    device: str,
    max_seconds: float,
    bar: tqdm,
    network: LearntDepth | None,
) -> bool:
    """Solves one tile and keeps it; False if the time was over first."""
    checkpoint, done = home / CHECKPOINT, bar.n

    def note(steps: int) -> None:
        bar.update(done + min(steps / settings.iterations, 1) - bar.n)

    if np.ptp(part) < FLAT:
        solution = _of_nothing(part, bank, fingerprint(part, bank, settings, device, network))
    else:
        solution = solve(
            part,
            bank,
            settings,
            device=device,
            max_seconds=max_seconds,
            checkpoint=checkpoint,
            progress=False,
            on_step=note,
            network=network,
        )
    if solution.report["stopped_by"] == "max_seconds":
        return False
    keep_solution(home, solution)
    checkpoint.unlink(missing_ok=True)
    return True


def _of_nothing(part: np.ndarray, bank: PsfBank, identity: str) -> Solution:
    """The result of a tile without any contrast: its colour, and a depth that might be any in the range."""
    low, high = bank.psi_range
    psi = np.full(part.shape[1:], (low + high) / 2, np.float32)
    psi_std = np.full_like(psi, (high - low) / np.sqrt(12))  # of a uniform distribution
    report: dict[str, object] = {"fingerprint": identity, "stopped_by": "no contrast", "iterations": 0, "seconds": 0.0}
    part = part.astype(np.float32)
    sharp = bank.in_latent(torch.from_numpy(part)).numpy()
    return Solution(sharp, psi, bank.lens.depth_from_psi(psi), psi_std, part, np.empty(0), report)


def _whole(
    capture: np.ndarray,
    bank: PsfBank,
    settings: Settings,
    grid: list[Tile],
    folder: Path,
    identity: str,
    device: str,
) -> Solution:
    """The picture stitched from the kept tiles, and its report."""
    reports: list[dict] = []

    def parts() -> Iterator[tuple[Tile, dict[str, np.ndarray]]]:
        for tile in grid:
            solution = kept_solve(folder / tile.name)
            assert solution is not None  # solved a moment ago, and the folder is claimed
            reports.append(solution.report)
            yield tile, {name: getattr(solution, name) for name in MAPS}

    maps = stitched((capture.shape[1], capture.shape[2]), parts())
    squared_error = float(np.mean(np.square(maps["coded"] - capture), dtype=np.float64))
    solved = next((r for r in reports if "psf_bank" in r), None)
    if solved is None:
        raise InputError("solve: no tile has any contrast; there is nothing in the photograph to solve")
    stops = Counter(str(r["stopped_by"]) for r in reports)
    report = {key: solved[key] for key in ("settings", "seed", "psf_bank", "generator_precision")} | {
        "fingerprint": identity,
        "image_size": [capture.shape[2], capture.shape[1]],
        "machine": describe(pick_device(device)),
        "tiles": {
            "count": len(grid),
            "size": list(grid[0].size[::-1]),
            "overlap": overlap_px(bank.size),
            "stopped_by": dict(stops),
            "optics": [r["optics"] for r in reports if "optics" in r],  # as learnt, each tile's own
        },
        "stopped_by": max(stops, key=stops.__getitem__),
        "iterations": max(int(r["iterations"]) for r in reports),
        "seconds": round(sum(float(r["seconds"]) for r in reports), 2),
        "peak_memory_gib": round(peak_gib(), 2),
        "data_fit_db": round(-10 * math.log10(max(squared_error, 1e-12)), 3),
    }
    depth_m = bank.lens.depth_from_psi(maps["psi"])
    return Solution(depth_m=depth_m, fits_db=np.empty(0), report=report, capture=capture.astype(np.float32), **maps)


def _announce(grid: list[Tile], size: tuple[int, int], bank: PsfBank, settings: Settings, device: str) -> None:
    height, width = grid[0].size
    cost: Cost = estimate_cost(torch.Size((bank.n_channels, height, width)), bank, settings, pick_device(device))
    log.info(
        f"{size[1]}x{size[0]} pixels in {len(grid)} tiles of {width}x{height}: "
        f"about {cost.seconds * len(grid) / 60:.1f} min and {cost.memory_gib:.1f} GiB"
    )


@contextmanager
def _bar(total: int, progress: bool) -> Iterator[tqdm]:
    """One bar over all tiles, with the time left; parts of a tile count as they are solved."""
    layout = "{l_bar}{bar}| {n:.2f}/{total} tiles [{elapsed}<{remaining}]"
    with (
        progress_stream() as stream,
        tqdm(total=total, desc="solve", file=stream, disable=not progress, bar_format=layout) as bar,
    ):
        yield bar


def _check_plan(folder: Path, identity: str) -> None:
    """Raises InputError if the folder keeps tiles of another solve."""
    if _read_plan(folder).get("identity", identity) != identity:
        raise InputError(
            f"{folder}: holds tiles of other input, settings or algorithm; delete it or choose another folder"
        )


def _read_plan(folder: Path) -> dict:
    try:
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan if isinstance(plan, dict) and isinstance(plan.get("tile_px"), int) else {}

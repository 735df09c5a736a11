"""Large photographs in tiles: weights add up to 1, stitching leaves no seam, solved tiles survive a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from margins import assert_clears

from dpcip.camera.simulator import simulate
from dpcip.data.images import MIN_SIDE_PX
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.solver import tiled as tiled_solve
from dpcip.solver.settings import PRESETS, with_iterations
from dpcip.solver.tiled import chosen_tile_px, forget, solve_in_tiles, solve_within_memory, tiled_identity
from dpcip.solver.tiling import BLEND_PX, largest_tile_px, overlap_px, spans, stitched, tiles
from dpcip.utils.errors import InputError

SMALL_TAPS = 15  # overlap 46: tiles of 92 px at least
START = with_iterations(PRESETS["fast"], 1)  # the start, refined


@pytest.fixture(scope="module")
def small_bank() -> PsfBank:
    return PsfBank.synthesise(psi=psi_planes(-2, 2, 2), size=SMALL_TAPS)


@pytest.fixture(scope="module")
def capture(small_bank: PsfBank) -> np.ndarray:
    """A slanted texture, 96x140, through the camera."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.random((3, 32, 47)), np.ones((1, 3, 3)))[:, :96, :140]
    psi = np.broadcast_to(np.linspace(-2, 2, 140), (96, 140))
    return simulate(blocks, psi, small_bank).astype(np.float32)


@given(
    height=st.integers(64, 3000),
    width=st.integers(64, 4000),
    radius=st.integers(1, 40),
    extra=st.integers(0, 1000),
)
def test_weights_add_up_to_one_exactly(height: int, width: int, radius: int, extra: int) -> None:
    n_taps = 2 * radius + 1
    tile_px = 2 * overlap_px(n_taps) + extra
    for length in (height, width):
        parts = spans(length, tile_px, n_taps)
        assert np.array_equal(sum(part.weight for part in parts), np.ones(length))
        assert parts[0].start == 0 and parts[-1].stop == length
        for part in parts:
            assert MIN_SIDE_PX <= part.stop - part.start <= tile_px
            assert part.weight.min() >= 0
            known_from = 0 if part.start == 0 else part.start + radius
            known_to = length if part.stop == length else part.stop - radius
            assert not part.weight[:known_from].any() and not part.weight[known_to:].any()
        for former, later in zip(parts[:-1], parts[1:], strict=True):
            assert former.stop - later.start >= overlap_px(n_taps)


def test_no_tile_is_too_short_for_the_generator() -> None:
    assert [part.stop - part.start for part in spans(75, 72, 3)] == [64, 64]


@given(height=st.integers(64, 400), width=st.integers(64, 400), seed=st.integers(0, 9))
def test_tiles_of_a_map_give_it_back(height: int, width: int, seed: int) -> None:
    whole = np.random.default_rng(seed).random((2, height, width), dtype=np.float32)
    grid = tiles((height, width), 2 * overlap_px(SMALL_TAPS), SMALL_TAPS)
    assert sum(tile.weight.sum(dtype=np.float64) for tile in grid) == height * width
    back = stitched((height, width), ((tile, {"map": tile.of(whole)}) for tile in grid))["map"]
    assert np.allclose(back, whole, atol=1e-6)
    ones = stitched((height, width), ((tile, {"map": np.ones(tile.size, np.float32)}) for tile in grid))["map"]
    assert np.array_equal(ones, np.ones((height, width), np.float32))


def test_no_step_where_tiles_disagree() -> None:
    """Tiles whose results differ by 1 fade into each other: no step above that of the raised cosine."""
    grid = tiles((100, 300), 150, SMALL_TAPS)
    assert [tile.row for tile in grid] == [0] * len(grid) and len(grid) == 3
    parts = ((tile, {"psi": np.full(tile.size, tile.column % 2, np.float32)}) for tile in grid)
    psi = stitched((100, 300), parts)["psi"]
    steps = np.abs(np.diff(psi, axis=1))
    assert psi[:, 0].max() == 0 and psi[:, 150].min() == 1
    assert steps.max() <= 1.01 * np.pi / 2 / BLEND_PX


def test_too_small_tiles_are_refused() -> None:
    with pytest.raises(InputError, match="91 px are too few; kernels of 15 taps need tiles of 92 px"):
        spans(500, 91, SMALL_TAPS)


def test_largest_tile_fits_the_memory() -> None:
    side = largest_tile_px(lambda px: 0.5 + 7.6 * px**2 / 2**20, 4.0, 204)
    assert 0.5 + 7.6 * side**2 / 2**20 <= 4.0 < 0.5 + 7.6 * (side + 64) ** 2 / 2**20
    assert largest_tile_px(lambda px: 99.0, 4.0, 204) == 204


@pytest.mark.slow
def test_a_tiled_solve_has_no_seams(capture: np.ndarray, small_bank: PsfBank, tmp_path: Path) -> None:
    """Stitched from the starts of two tiles, steps from pixel to pixel are no larger where they meet than elsewhere."""
    solution = solve_in_tiles(capture, small_bank, START, 96, tmp_path, identity="x", progress=False)
    assert solution is not None
    grid = tiles((96, 140), 96, SMALL_TAPS)
    assert solution.report["tiles"]["count"] == len(grid) == 2
    assert solution.report["image_size"] == [140, 96] and solution.report["fingerprint"] == "x"
    assert_clears("tiles: the capture is explained (dB)", solution.report["data_fit_db"], above=30, spread=1)
    blended = (grid[0].horizontal.weight > 0) & (grid[1].horizontal.weight > 0)
    assert 0 < blended.sum() <= BLEND_PX
    seams = []
    for values in (solution.sharp, solution.psi[None]):
        steps = np.abs(np.diff(values, axis=2)).mean(axis=(0, 1))
        inside = blended[1:] & blended[:-1]
        seams.append(steps[inside].max() / steps[~inside].max())
    assert_clears("tiles: largest step where they meet by that elsewhere", max(seams), below=1.2, spread=0.1)
    assert np.allclose(solution.depth_m, small_bank.lens.depth_from_psi(solution.psi))


@pytest.mark.slow
def test_solved_tiles_are_not_solved_again(capture: np.ndarray, small_bank: PsfBank, tmp_path: Path) -> None:
    """Stopped after each step, the same call goes on: as many calls as steps, and the first tile stays as it was."""
    settings = with_iterations(PRESETS["paper-short"], 2)
    first = tmp_path / tiles((96, 140), 96, SMALL_TAPS)[0].name / "solution.npz"

    def call(max_seconds: float | None) -> tiled_solve.Solution | None:
        return solve_in_tiles(
            capture, small_bank, settings, 96, tmp_path, identity="x", max_seconds=max_seconds, progress=False
        )

    written = []
    for _ in range(2):
        assert call(1e-9) is None
        written.append(first.stat().st_mtime_ns if first.exists() else None)
    assert written[0] is None and written[1] is not None
    solution = call(None)
    assert solution is not None and solution.report["iterations"] == 2
    assert first.stat().st_mtime_ns == written[1]
    with pytest.raises(InputError, match="holds tiles of other input"):
        solve_in_tiles(capture, small_bank, settings, 96, tmp_path, identity="y", progress=False)


@pytest.mark.slow
def test_the_report_tells_what_each_tile_learnt(capture: np.ndarray, small_bank: PsfBank, tmp_path: Path) -> None:
    settings = replace(with_iterations(PRESETS["paper-short"], 1), learn_phases_rad=0.5)
    solution = solve_in_tiles(capture, small_bank, settings, 96, tmp_path, identity="x", progress=False)
    assert solution is not None
    learnt = solution.report["tiles"]["optics"]
    assert len(learnt) == 2 and all(len(optics["phases_rad"]) == 3 for optics in learnt)


@pytest.mark.slow
def test_a_tile_without_contrast_is_passed_over(small_bank: PsfBank, tmp_path: Path) -> None:
    """A white sky beside a texture: its colour comes back, and its depth is told to be unknown."""
    half = np.random.default_rng(0).random((3, 93, 50), dtype=np.float32)
    photograph = np.concatenate([half, np.ones((3, 93, 136), np.float32)], axis=2)
    solution = solve_in_tiles(photograph, small_bank, START, 96, tmp_path, identity="x", progress=False)
    assert solution is not None
    assert solution.report["tiles"]["stopped_by"]["no contrast"] >= 1
    assert np.all(solution.sharp[:, :, -20:] == 1)
    assert solution.psi_std[:, -20:] == pytest.approx(4 / np.sqrt(12), rel=1e-3)


@pytest.mark.slow
def test_tiles_when_the_memory_would_not_do(
    capture: np.ndarray, small_bank: PsfBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --tile: whole when there is memory enough; in tiles when not, and in the same ones when it goes on."""

    def chosen(identity: str = "x") -> int | None:
        return chosen_tile_px(capture, small_bank, START, "cpu", tmp_path, identity)

    assert chosen() is None
    monkeypatch.setattr(tiled_solve, "available_gib", lambda: 0.1)
    assert chosen() == 92  # the smallest
    (tmp_path / "plan.json").write_text(json.dumps({"identity": "x", "tile_px": 100}))
    assert chosen() == 100 and chosen("y") == 92
    monkeypatch.setattr(tiled_solve, "available_gib", lambda: 100.0)
    assert chosen() == 100 and chosen("y") is None


@pytest.mark.slow
def test_whole_or_in_tiles(capture: np.ndarray, small_bank: PsfBank, tmp_path: Path) -> None:
    """A photograph no larger than a tile is solved whole; the report bears the identity in either case."""
    assert tiled_identity("x", None) == "x" != tiled_identity("x", 96) != tiled_identity("x", 97)
    settings = with_iterations(PRESETS["paper-short"], 1)
    counts = []
    for tile_px in (None, 140, 96):
        solution = solve_within_memory(
            capture, small_bank, settings, tmp_path, identity="x", tile_px=tile_px, progress=False
        )
        assert solution is not None and solution.report["fingerprint"] == "x"
        counts.append(solution.report.get("tiles", {}).get("count"))
        forget(tmp_path)
        assert not any(tmp_path.iterdir())
    assert counts == [None, None, 2]


@pytest.mark.slow
def test_the_beginnings_of_another_solve_are_kept(capture: np.ndarray, small_bank: PsfBank, tmp_path: Path) -> None:
    """A solve in tiles and one of the whole, each stopped after a step: the other kind does not do away with it."""
    settings = with_iterations(PRESETS["paper-short"], 2)

    def call(folder: str, identity: str, tile_px: int | None) -> tiled_solve.Solution | None:
        return solve_within_memory(
            *(capture, small_bank, settings, tmp_path / folder),
            **{"identity": identity, "tile_px": tile_px, "max_seconds": 1e-9, "progress": False},
        )

    assert call("tiled", "x", 96) is None and call("whole", "x", None) is not None
    with pytest.raises(InputError, match="tiles: holds tiles of other input"):
        call("tiled", "y", None)
    with pytest.raises(InputError, match=r"checkpoint.pt: belongs to a solve without --tile"):
        call("whole", "y", 96)

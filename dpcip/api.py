"""What `import dpcip` offers: photograph a scene, solve a capture, score what came out. NumPy in, NumPy out.

Images are channels first, [C, H, W], float in [0, 1], linear in light; maps [H, W]; depth in metres, psi in radians.
Arrays of torch are accepted wherever NumPy's are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.scenes import Scene
from dpcip.evaluation.scores import scores
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.solver.prepare import Depth, prepared, recipe, with_learnt_depth
from dpcip.solver.runner import check_capture
from dpcip.solver.runner import solve as run
from dpcip.solver.settings import Settings
from dpcip.solver.solution import Solution

Array: TypeAlias = np.ndarray | torch.Tensor


def photograph(scene: Scene, bank: PsfBank | None = None, sensor: Sensor | None = None, seed: int = 0) -> np.ndarray:
    """The coded capture of a scene, float32 [C, H, W] in [0, 1]: layers of equal psi, each blurred with its own PSF.

    bank: the camera's PSFs; None: the published one's, 0.1 rad apart. sensor: its noise and bits; None: 8 bits without
    noise; seed: of the noise. Raises InputError where the scene's channels are not the bank's.

    >>> chequers = np.kron(np.indices((16, 16)).sum(axis=0) % 2, np.ones((4, 4)))
    >>> scene = Scene.of(np.stack(3 * [chequers]), np.full((64, 64), 0.6))
    >>> capture = photograph(scene, PsfBank.synthesise())
    >>> capture.shape, capture.dtype, bool(np.ptp(capture) < np.ptp(scene.sharp))
    ((3, 64, 64), dtype('float32'), True)
    """
    bank = bank or PsfBank.synthesise(psi=psi_planes(step=0.1))
    return (sensor or Sensor()).expose(simulate(scene.sharp, scene.psi(bank.lens), bank), seed)


def solve(
    capture: Array,
    bank: PsfBank | None = None,
    settings: Settings | None = None,
    *,
    preset: str = "fast",
    iterations: int | None = None,
    noise: float | None = None,
    mismatch: float | None = None,
    depth: Depth = "auto",
    seed: int = 0,
    device: str = "auto",
    max_seconds: float | None = None,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Solution:
    """All-in-focus image and depth of one coded capture, as `dpcip solve` finds them (paper, section 3).

    capture: [C, H, W], or [H, W] of one channel; in [0, 1], linear in light. bank: the camera's PSFs; None: the
    published camera's. preset: "fast", "paper-short" or "paper"; iterations: another number of them; noise: standard
    deviation of the sensor's, full scale 1, and mismatch: the share of the texture that the PSFs do not explain; None:
    both estimated from the capture. depth: what the solve begins with; "auto": a network's where one is known for the
    bank. settings: all of these settled otherwise; then nothing is estimated. device: "auto", "cpu", "cuda" or "mps".
    max_seconds: stop after so long. checkpoint: a file, which an interrupted solve goes on from. Raises InputError,
    which says what is wrong with the input and what to do.

    >>> capture = np.random.default_rng(0).random((3, 64, 64))
    >>> solution = solve(capture, preset="paper-short", iterations=2, progress=False)
    >>> solution.sharp.shape, solution.depth_m.shape
    ((3, 64, 64), (64, 64))
    """
    light = _numpy(capture)
    light = light[None] if light.ndim == 2 else light
    bank = bank.integer_planes() if bank else PsfBank.synthesise()
    check_capture(light, bank)
    network = None
    if settings is None:
        settings = recipe(preset, iterations=iterations, seed=seed)
        settings = prepared(light, bank, settings, noise=noise, mismatch=mismatch)
        settings, network = with_learnt_depth(settings, bank, depth)
    return run(
        light,
        bank,
        settings,
        device=device,
        max_seconds=max_seconds,
        checkpoint=checkpoint,
        progress=progress,
        network=network,
    )


def evaluate(solution: Solution, scene: Scene) -> dict[str, float]:
    """Scores of a solution whose scene is known: PSNR (dB), SSIM, depth errors in metres and rad, uncertainty.

    See dpcip/evaluation/metrics.py for each. The true psi is clipped to what the camera tells.
    """
    bank: dict[str, Any] = solution.report["psf_bank"]
    psi_min, psi_max = bank["psi_range"]
    return scores(solution.sharp, solution.psi, solution.psi_std, scene, Lens(**bank["lens"]), (psi_min, psi_max))


def _numpy(values: Array) -> np.ndarray:
    """float32 on the CPU; integers are left for the caller's checks to refuse."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return array.astype(np.float32) if array.dtype.kind == "f" else array

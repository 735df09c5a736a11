"""A small result made by hand: a near square in front of a far wall, each with a texture of its own colour."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from dpcip.optics.lens import Lens, Optics
from dpcip.solver.solution import Solution

NEAR_M, FAR_M = 0.6, 1.2


def made_solution(
    height: int = 96, width: int = 128, channels: int = 3, latent: int = 3, depth: str = "square", **report: object
) -> Solution:
    """Red square in the middle, a third as wide, blue wall. depth: "square", "flat", or "sky" (wall at infinity)."""
    rng = np.random.default_rng(0)
    lens = Lens()
    square = np.zeros((height, width), bool)
    square[height // 3 : -(height // 3), width // 3 : -(width // 3)] = True
    texture = 0.5 + 0.4 * np.kron(rng.random((height // 8 + 1, width // 8 + 1)), np.ones((8, 8)))[:height, :width]
    colours = np.where(square, np.array([0.9, 0.1, 0.1])[:, None, None], np.array([0.1, 0.2, 0.9])[:, None, None])
    sharp = (np.resize(colours, (latent, height, width)) * texture).astype(np.float32)
    capture = np.resize(0.5 * sharp + 0.25, (channels, height, width)).astype(np.float32)
    far_m = {"square": FAR_M, "flat": NEAR_M, "sky": np.inf}[depth]
    depth_m = np.where(square, NEAR_M, far_m).astype(np.float32)
    psi = lens.psi_from_depth(depth_m).astype(np.float32)
    psi_std = np.where(square, 0.2, 2.0 if depth != "flat" else 0.2).astype(np.float32)
    bank = {"lens": asdict(lens), "psi_range": [-4.0, 10.0], "latent": list(range(latent))}
    told = {
        "psf_bank": {**bank, "focal_px": Optics(lens=lens).focal_px},
        "data_fit_db": 40.0,
        "iterations": 3,
        "photograph": {"file": "made.png", "written_with_gamma": "srgb"},
        **report,
    }
    return Solution(sharp, psi, depth_m, psi_std, capture.copy(), np.array([40.0]), told, capture)

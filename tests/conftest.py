"""Shared fixtures: small banks and scenes, and the published sample where a developer has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dpcip.optics.psf import PsfBank, psi_planes

PUBLISHED_SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "headbutt_0058"


@pytest.fixture(scope="session")
def bank() -> PsfBank:
    """The published camera's bank, as the solver uses it: 15 planes, 71 taps."""
    return PsfBank.synthesise()


@pytest.fixture(scope="session")
def fine_bank() -> PsfBank:
    """The published camera's bank, as the simulator uses it: 141 planes, 0.1 rad apart."""
    return PsfBank.synthesise(psi=psi_planes(step=0.1))


@pytest.fixture
def odd_bank() -> PsfBank:
    """A bank unlike the published one: 4 unevenly spaced planes, 2 channels, 7 asymmetric taps, float64."""
    psf = torch.rand(4, 2, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return PsfBank(psf / psf.sum(dim=(2, 3), keepdim=True), np.array([-3.0, -1.5, 0.0, 4.0]))


@pytest.fixture(scope="session")
def published_sample() -> Path:
    """Folder with sharp.png, psi.dpt and coded.png of the authors' one published capture (not part of a clone)."""
    if not PUBLISHED_SAMPLE.is_dir():
        pytest.skip("the published sample is not on this machine")
    return PUBLISHED_SAMPLE


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    torch.manual_seed(0)

"""Made-up scenes photographed through a bank, and what the network reads of the photographs; kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from dpcip.camera.models import MaskedDCM
from dpcip.camera.noise import ROUNDING
from dpcip.learnt.pictures import KINDS, SIDE_PX, Pictures
from dpcip.learnt.volumes import Volumes, VolumeTables, network_planes
from dpcip.optics.psf import PsfBank
from dpcip.utils.files import replacing

NOISES = (ROUNDING, 0.003, 0.01)  # of the photographs, told to the likelihood
NOISE_SHARES = (0.5, 0.25, 0.25)  # of the photographs that have each
DARK = 0.2  # share of the noise's variance that is there without light; the rest grows with it
WRONG_SHARE = 0.5  # of the photographs, taken through kernels that are a little off the bank's
LARGEST_SCALE, LARGEST_BLUR_PX, LARGEST_SHIFT_PX = 0.04, 0.6, 0.3  # of those kernels, against the bank's


@dataclass(frozen=True)
class LearntSample:
    """What the network reads of one made-up photograph, and what it shall say.

    capture: float16 [C, S, S]; psi: float32 [S, S], rad; noise: of NOISES; kind: of the scene (pictures.py).
    """

    volumes: Volumes
    capture: Tensor
    psi: Tensor
    noise: float
    kind: str


class Photographer:
    """Takes photographs of made-up scenes through a bank, its optics now and then a little wrong."""

    def __init__(self, bank: PsfBank) -> None:
        self.bank = _fine(bank)
        self.camera = self._camera(self.bank)
        planes = network_planes(bank)
        self.tables = {noise: VolumeTables(planes, noise) for noise in NOISES}

    def take(self, pictures: Pictures, number: int) -> LearntSample:
        """The picture of this number: the same whenever and wherever it is taken, up to rounding."""
        picture = pictures[number]
        rng = np.random.default_rng([pictures.seed, number, pictures.held_out, 1])
        low, high = self.bank.psi_range
        psi = torch.from_numpy(low + (high - low) * picture.nearness)
        sharp = torch.from_numpy(in_latent_channels(picture.sharp, self.bank.n_latent))
        camera = self._camera(_changed(self.bank, rng)) if rng.random() < WRONG_SHARE else self.camera
        with torch.no_grad():
            light = camera(sharp, psi).clamp(0, 1).numpy()
        noise = NOISES[rng.choice(len(NOISES), p=NOISE_SHARES)]
        if noise > ROUNDING:
            light = light + rng.normal(size=light.shape) * noise * np.sqrt(DARK + (1 - DARK) * light)
        capture = torch.from_numpy(np.round(np.clip(light, 0, 1) * 255) / 255).float()
        return LearntSample(self.tables[noise].read(capture), capture.half(), psi, noise, picture.kind)

    @staticmethod
    def _camera(bank: PsfBank) -> MaskedDCM:
        return MaskedDCM(bank, (SIDE_PX, SIDE_PX))


def in_latent_channels(sharp: np.ndarray, n_latent: int) -> np.ndarray:
    """A colour picture [3, H, W] for a camera with any number of latent channels: [L, H, W]; one is their mean."""
    return sharp.mean(axis=0, keepdims=True) if n_latent == 1 else sharp[np.arange(n_latent) % 3]


def _fine(bank: PsfBank) -> PsfBank:
    """The bank for a simulator: float32, with planes computed between its own where its optics are known."""
    if bank.optics is not None:
        psi = np.interp(np.arange(2 * len(bank.psi) - 1) / 2, np.arange(len(bank.psi)), bank.psi)
        bank = PsfBank.synthesise(bank.optics, psi, bank.size)
    return replace(bank, psf=bank.psf.float())


def _changed(bank: PsfBank, rng: np.random.Generator) -> PsfBank:
    """The bank with kernels a little larger or smaller, blurred, and shifted channel by channel."""
    n_planes, n_channels, taps, _ = bank.psf.shape
    scale = 1 + rng.uniform(-LARGEST_SCALE, LARGEST_SCALE)
    shifts = rng.uniform(-LARGEST_SHIFT_PX, LARGEST_SHIFT_PX, (n_channels, 2)) * 2 / taps
    matrix = torch.zeros(n_channels, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / scale
    matrix[:, :, 2] = torch.from_numpy(shifts)
    where = F.affine_grid(matrix, [n_channels, n_planes, taps, taps], align_corners=False)
    moved = F.grid_sample(bank.psf.transpose(0, 1), where, mode="bilinear", align_corners=False).transpose(0, 1)
    sigma = rng.uniform(0, LARGEST_BLUR_PX)
    kernels = torch.from_numpy(gaussian_filter(moved.double().numpy(), sigma, axes=(2, 3)))
    kernels = kernels / kernels.sum(dim=(2, 3), keepdim=True)
    return replace(bank, psf=kernels.float(), optics=None)


def take_all(
    photographer: Photographer,
    pictures: Pictures,
    n: int,
    folder: Path,
    on_picture: Callable[[int], None] = lambda done: None,
) -> list[LearntSample]:
    """The first `n` pictures, those that `folder` has read from there and the others written to it."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number in range(n):
        path = folder / f"{number:05d}.npz"
        if not path.is_file():
            _write(path, photographer.take(pictures, number))
        samples.append(_read(path))
        on_picture(number + 1)
    return samples


def _write(path: Path, sample: LearntSample) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            costs=sample.volumes.costs.numpy(),
            evidence=sample.volumes.evidence.numpy(),
            capture=sample.capture.numpy(),
            psi=sample.psi.numpy(),
            noise=sample.noise,
            kind=KINDS.index(sample.kind),
        )


def _read(path: Path) -> LearntSample:
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in ("costs", "evidence", "capture", "psi")}
        noise, kind = float(file["noise"]), KINDS[int(file["kind"])]
    return LearntSample(Volumes(arrays["costs"], arrays["evidence"]), arrays["capture"], arrays["psi"], noise, kind)

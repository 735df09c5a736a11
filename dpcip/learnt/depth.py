"""Learnt depth of a photograph, and the weights' file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from scipy.fft import dctn
from torch import Tensor

from dpcip.camera.noise import ROUNDING, Level, typical
from dpcip.initialization.initialize import DepthPrior, depth_prior
from dpcip.initialization.likelihood import STRIDE_PX
from dpcip.learnt.network import RANGE, DepthNet, Shape
from dpcip.learnt.volumes import VolumeTables, network_planes
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

WEIGHTS = Path(__file__).resolve().parent / "weights"  # what comes with dpcip
FREQUENCIES = 8  # along each axis, of a kernel's cosine transform, by which weights know their bank
AGREE = 1.0  # of the network's units, 1 rad for the published camera; of 0.75 to 2 the best on frames 07
SAME_KERNEL = 2e-3  # how far these may lie apart; a kernel's sum is 1


def bank_signature(bank: PsfBank) -> np.ndarray:
    """The lowest frequencies of every kernel: float32 [P, C, 8, 8]; equal for equal banks on any machine."""
    transformed = dctn(bank.psf.double().numpy(), axes=(2, 3))[:, :, :FREQUENCIES, :FREQUENCIES]
    return (transformed / 4).astype(np.float32)


@dataclass(frozen=True)
class LearntDepth:
    """A trained network and the bank that it was trained for. Use `fits` before `prior`.

    signature, psi: of that bank. card: how it came about. sha256: of the weights' file, "" if there is none.
    """

    network: DepthNet
    signature: np.ndarray
    psi: np.ndarray
    card: dict[str, object]
    sha256: str = ""
    _tables: dict[float, VolumeTables] = field(default_factory=dict, compare=False)

    def fits(self, bank: PsfBank) -> bool:
        """Whether `bank` is the one that the network was trained for."""
        own = bank_signature(bank)
        return (
            own.shape == self.signature.shape
            and np.allclose(bank.psi, self.psi, atol=1e-6)
            and bool(np.abs(own - self.signature).max() < SAME_KERNEL)
        )

    @torch.no_grad()
    def prior(self, capture: Tensor, bank: PsfBank, noise: Level = ROUNDING) -> DepthPrior:
        """Depth and its standard deviation: [C, H, W] in [0, 1] -> two maps [H, W], rad.

        The network avoids gross errors, the likelihood alone is the finer of the two where it is right: where both
        nearly agree (AGREE), depth by likelihood is taken.
        """
        level = typical(noise)
        if level not in self._tables:
            self._tables[level] = VolumeTables(network_planes(bank), level)
        volumes = self._tables[level].read(capture, noise if isinstance(noise, Tensor) else None)
        height, width = capture.shape[-2:]
        missing = (0, -width % STRIDE_PX, 0, -height % STRIDE_PX)
        whole = F.pad(capture.float().cpu()[None], missing, mode="replicate")
        guess = self.network(volumes.costs.float()[None], volumes.evidence.float()[None], whole)
        low, high = bank.psi_range
        psi, scale = guess.psi[0, :height, :width], guess.log_scale[0, :height, :width].exp()
        unit = (high - low) / RANGE  # rad
        psi, std = low + unit * psi, unit * 2**0.5 * scale  # of a Laplace distribution
        alone = depth_prior(capture.float().cpu(), bank, noise).psi
        return DepthPrior(torch.where((alone - psi).abs() < AGREE * unit, alone, psi), std)

    def save(self, path: Path) -> None:
        """Writes a safetensors file in float16, the bank's signature and the card within."""
        tensors = {name: tensor.half().contiguous() for name, tensor in self.network.state_dict().items()}
        tensors["planes"] = self.network.planes
        tensors |= {"bank.signature": torch.from_numpy(self.signature), "bank.psi": torch.from_numpy(self.psi)}
        card = {**self.card, "shape": self.network.shape.as_dict()}
        with replacing(path) as temporary:
            temporary.write_bytes(save(tensors, metadata={"card": json.dumps(card, sort_keys=True)}))

    @classmethod
    def of(cls, network: DepthNet, bank: PsfBank, card: dict[str, object]) -> LearntDepth:
        """A network just trained for `bank`."""
        return cls(network, bank_signature(bank), np.asarray(bank.psi, np.float64), card)

    @classmethod
    def load(cls, path: Path) -> LearntDepth:
        """Raises InputError for a file that is missing or holds no such network."""
        if not path.is_file():
            raise InputError(f"{path}: no such file; `dpcip train --psf BANK --out {path}` makes it")
        try:
            with safe_open(path, "pt") as file:
                card = json.loads(file.metadata()["card"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            signature, psi = tensors.pop("bank.signature").numpy(), tensors.pop("bank.psi").numpy()
            shape = Shape(**card["shape"])
            network = DepthNet(shape, torch.zeros(shape.n_planes))
            network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path}: holds no weights of the depth network; train it again") from error
        return cls(network.eval(), signature, psi, card, hashlib.sha256(path.read_bytes()).hexdigest())


def weights_for(bank: PsfBank) -> LearntDepth:
    """The network that comes with dpcip for this bank. Raises InputError if there is none."""
    found = shipped(bank)
    if found is None:
        raise InputError(
            f"{bank.source}: no learnt depth comes with dpcip for these PSFs; train it, or take likelihood"
        )
    return found


def shipped(bank: PsfBank) -> LearntDepth | None:
    """The network that comes with dpcip for this bank, or None."""
    return next((network for network in _all_shipped() if network.fits(bank)), None)


@cache
def _all_shipped() -> list[LearntDepth]:
    return [LearntDepth.load(path) for path in sorted(WEIGHTS.glob("*.safetensors"))]

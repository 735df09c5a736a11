"""The camera of a solve: its model and PSFs, fixed, or with optics that are learnt beside the generator."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from dpcip.camera.learnable_optics import LearnableOptics
from dpcip.camera.models import CAMERAS, KERNEL_ERROR
from dpcip.optics.psf import PsfBank
from dpcip.solver.settings import Settings
from dpcip.utils.errors import InputError


class CameraInUse:
    """What a solve photographs its drawings with (Fig. 1 of the paper).

    bank: the PSFs as they are now, on the CPU. model: the camera model with them. optics: what is learnt of them, or
    None. Raises InputError if optics are to be learnt of a bank of which only the kernels are known.
    """

    def __init__(
        self, bank: PsfBank, size: tuple[int, int], settings: Settings, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.bank = dataclasses.replace(bank, psf=bank.psf.to(dtype))
        self.size, self.settings, self.device = size, settings, device
        self.optics: LearnableOptics | None = None
        if settings.learn_phases_rad or settings.learn_scale:
            if bank.optics is None:
                raise InputError(f"{bank.source}: has no optics to learn; give them as YAML (--optics), not as a bank")
            reaches = settings.learn_phases_rad or None, settings.learn_scale or None
            self.optics = LearnableOptics(bank.optics, bank.psi, bank.size, *reaches, dtype=dtype).to(device)
        self.model = self._model()

    def _model(self) -> nn.Module:
        make, error = CAMERAS[self.settings.camera], 0 if self.optics else KERNEL_ERROR
        return make(self.bank, self.size, kernel_error=error, convolution=self.settings.convolution).to(self.device)

    def __call__(self, sharp: Tensor, psi: Tensor) -> Tensor:
        """The photograph of a drawing, differentiable in the drawing and in the optics if they are learnt."""
        self._renew()
        return self.model(sharp, psi)

    def settle(self) -> None:
        """Takes over the optics as learnt so far, without a graph: what results are judged and refined with."""
        with torch.no_grad():
            self._renew()

    def _renew(self) -> None:
        if self.optics is not None:
            self.bank = dataclasses.replace(self.bank, psf=self.optics().cpu())
            self.model = self._model()

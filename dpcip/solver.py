"""The solver's algorithm: settings, presets and the stepper that takes one optimisation step at a time."""

from __future__ import annotations

import copy
import dataclasses
import math
import statistics
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dpcip.camera import Convolution, InterpolatedDCM, MaskedDCM
from dpcip.deconvolution import deconvolve
from dpcip.errors import InputError
from dpcip.generators import make_generator
from dpcip.losses import ssim
from dpcip.machine import has_fast_bfloat16
from dpcip.psf import PsfBank
from dpcip.start import Start, depth_prior, find_start

SNAPSHOT_EVERY = 50  # iterations between the states that a loss spike is rolled back to
RECENT = 30  # losses that a new one is compared with
MAX_ROLLBACKS = 10  # after so many the solve is given up and the best state returned
GUIDE_WEIGHT = 0.3  # of the mean distance from the start's psi, as a share of the psi range, beside the data loss
CHOICES = {
    "precision": ("float32", "auto"),
    "convolution": ("fft", "direct"),
    "camera": ("interpolated", "masked"),
}


@dataclass(frozen=True)
class Settings:
    """Everything that determines a solve besides the capture, the PSF bank and the machine."""

    generator: str = "dip"
    iterations: int = 5001
    l2_iterations: int = 500  # mean squared error for so long, then 1 - SSIM
    learning_rate: float = 0.01  # Adam
    halve_rate_at: int | None = 4000  # iteration from which the learning rate is half
    precision: Literal["float32", "auto"] = "float32"  # auto: bfloat16 in the generator where it is quicker
    channels_last: bool = False
    convolution: Convolution = "fft"  # of the interpolated camera
    camera: Literal["interpolated", "masked"] = "interpolated"  # the paper's DCM, or the one that knows occlusion
    warmup_iterations: int = 0  # first the generator is fitted for so long to depth and image from the local spectra
    guide_iterations: int = 0  # then the pull towards that depth fades away over so many
    cooldown_iterations: int = 0  # over the last so many the learning rate falls to zero, as a cosine
    deconvolve: bool = False  # at the end the image is deconvolved at the depth that was found
    spike_factor: float | None = None  # a loss above so many times the recent median is rolled back; NaN always is
    convergence_window: int | None = None  # stop when the loss fell by less than 2 % in so many iterations
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "l2_iterations", "warmup_iterations", "guide_iterations", "cooldown_iterations"):
            if getattr(self, name) < (name == "iterations"):
                raise InputError(f"settings: {name} is {getattr(self, name)}; it must be positive")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"settings: {name} is {getattr(self, name)!r}; choose from {', '.join(choices)}")
        if not 0 < self.learning_rate < 1:
            raise InputError(f"settings: learning_rate is {self.learning_rate}; it must lie between 0 and 1")


# "paper" is the paper and its released code: 5001 iterations, float32. Its blurs go through the FFT, which gives the
# same numbers as the released code's direct convolution (tests/test_camera.py) in a fraction of the time.
PRESETS: dict[str, Settings] = {
    "paper": Settings(),
    "fast": Settings(
        iterations=400,
        l2_iterations=0,
        halve_rate_at=None,
        precision="auto",
        channels_last=True,
        camera="masked",
        warmup_iterations=60,
        guide_iterations=150,
        cooldown_iterations=80,
        deconvolve=True,
        spike_factor=5.0,
        convergence_window=200,
    ),
}


def uses_bfloat16(settings: Settings, device: torch.device) -> bool:
    """Whether the generator's convolutions run in bfloat16."""
    return settings.precision == "auto" and has_fast_bfloat16(device)


@dataclass
class Estimate:
    """What a solve has found: all-in-focus image [C, H, W] in [0, 1], defocus psi [H, W] in rad, and where."""

    sharp: Tensor
    psi: Tensor
    iteration: int = -1
    loss: float = math.inf


class Diverged(RuntimeError):
    """The loss kept spiking or turning NaN however often the solve was rolled back."""


class Stepper:
    """One solve's state and its step. It sees the capture and the optics, nothing else.

    capture: float32 [C, H, W] in [0, 1]. Two steppers with equal arguments take equal steps, and `state_dict` carries
    all that a step depends on, so that a solve resumed from it ends as if never interrupted.
    """

    def __init__(self, capture: Tensor, bank: PsfBank, settings: Settings, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.capture = capture.to(device)
        size = (capture.shape[-2], capture.shape[-1])
        generator = make_generator(settings.generator, size, bank.psi_range, len(capture), settings.seed)
        memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.generator = generator.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]
        single = dataclasses.replace(bank, psf=bank.psf.float())
        self.bank = single
        self.size = size
        self.camera = (
            MaskedDCM(single, size)
            if settings.camera == "masked"
            else InterpolatedDCM(single, size, settings.convolution)
        ).to(device)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), lr=settings.learning_rate)
        self.bfloat16 = uses_bfloat16(settings, device)
        self.iteration = 0
        self.rate_scale = 1.0  # halved at each rollback
        self.n_rollbacks = 0
        self.losses: list[float] = []
        self.fits_db: list[float] = []
        self.best = Estimate(torch.zeros_like(self.capture), torch.zeros_like(self.capture[0]))
        self._snapshot: dict[str, object] = {}
        self.start: Start | None = None  # what the generator is fitted to first

    @property
    def done(self) -> bool:
        """Whether all iterations are taken."""
        return self.iteration >= self.settings.iterations

    @property
    def stage_start(self) -> int:
        """First iteration of the current loss: losses of the stages (warm-up, L2, SSIM) cannot be compared."""
        warmup = self.settings.warmup_iterations
        return max(first for first in (0, warmup, warmup + self.settings.l2_iterations) if first <= self.iteration)

    def learning_rate(self) -> float:
        """The rate of the coming step."""
        settings = self.settings
        rate = settings.learning_rate * self.rate_scale
        if settings.halve_rate_at is not None and self.iteration >= settings.halve_rate_at:
            rate /= 2
        to_go = settings.iterations - self.iteration
        if to_go < settings.cooldown_iterations:
            rate *= (1 - math.cos(math.pi * to_go / settings.cooldown_iterations)) / 2
        return rate

    def step(self) -> None:
        """One iteration: generate, photograph, compare, keep the best, update the weights.

        Raises Diverged when rolling back has not helped.
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            sharp, psi = self.generator()
        loss, guide, fit_db = self._loss(sharp, psi)
        value = loss.item()
        if not math.isfinite(value) or value > self._spike_level():
            self._roll_back()
            return
        if (
            self.iteration % SNAPSHOT_EVERY == 0
        ):  # these weights have just shown a sound loss; anew after a rollback, too
            self._snapshot = self._copy_of_state()
        self._keep(Estimate(sharp.detach(), psi.detach(), self.iteration, value))
        self.losses.append(value)
        self.fits_db.append(fit_db)
        self._update(loss + guide)
        self.iteration += 1

    def _loss(self, sharp: Tensor, psi: Tensor) -> tuple[Tensor, Tensor, float]:
        """The loss that rates a state, the pull towards the start beside it, and the data fit (dB; NaN in warm-up)."""
        settings, age = self.settings, self.iteration - self.settings.warmup_iterations
        guide = torch.zeros((), device=self.device)
        if age < settings.guide_iterations:
            low, high = self.bank.psi_range
            start = self.first_estimate()
            distance = (psi - start.psi).abs() / (high - low)
            if age < 0:
                return F.mse_loss(sharp, start.sharp), GUIDE_WEIGHT * distance.mean(), math.nan
            guide = GUIDE_WEIGHT * (start.trusted * distance).mean()
            guide = guide * (1 - age / settings.guide_iterations)
        coded = self.camera(sharp, psi)
        squared_error = F.mse_loss(coded, self.capture)
        loss = squared_error if age < settings.l2_iterations else 1 - ssim(coded, self.capture)
        return loss, guide, -10 * math.log10(max(squared_error.item(), 1e-12))

    def first_estimate(self) -> Start:
        """Image and psi from the capture's local spectra, computed once."""
        if self.start is None:
            with torch.no_grad():
                self.start = find_start(self.capture, self.bank)
        return self.start

    def psi_std(self) -> Tensor:
        """The depth prior's ranking of the errors of psi, [H, W], rad, whether or not the solve began with it."""
        return (self.start or depth_prior(self.capture, self.bank)).psi_std

    def finished(self) -> Estimate:
        """The best estimate, its image deconvolved at the depth found if the settings say so."""
        if not self.settings.deconvolve:
            return self.best
        with torch.no_grad():
            camera = MaskedDCM(self.bank, self.size).to(self.device).at(self.best.psi)
            return dataclasses.replace(self.best, sharp=deconvolve(camera, self.capture, self.best.sharp))

    def _update(self, loss: Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def _keep(self, new: Estimate) -> None:
        """Remembers the estimate with the smallest loss of the current stage."""
        if self.best.iteration < self.stage_start or new.loss < self.best.loss:
            self.best = new

    def _spike_level(self) -> float:
        recent = self.losses[max(self.stage_start, len(self.losses) - RECENT) :]
        factor = self.settings.spike_factor
        return factor * statistics.median(recent) if factor and len(recent) >= RECENT // 3 else math.inf

    def _roll_back(self) -> None:
        self.n_rollbacks += 1
        if self.n_rollbacks > MAX_ROLLBACKS or not self._snapshot:
            raise Diverged(f"the loss spiked {self.n_rollbacks} times; lower the learning rate or check the PSF bank")
        self._restore(self._snapshot)
        self.rate_scale /= 2

    def _copy_of_state(self) -> dict[str, object]:
        state = {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
        }
        return copy.deepcopy(state)

    def _restore(self, state: dict) -> None:
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # Adam keeps and changes what it is given
        self.iteration = state["iteration"]
        del self.losses[self.iteration :], self.fits_db[self.iteration :]

    def state_dict(self) -> dict[str, object]:
        """All that the coming steps depend on, as tensors and plain values."""
        return {
            **self._copy_of_state(),
            "rate_scale": self.rate_scale,
            "n_rollbacks": self.n_rollbacks,
            "losses": list(self.losses),
            "fits_db": list(self.fits_db),
            "best": vars(self.best).copy(),
            "snapshot": self._snapshot,
            "start": self.start and vars(self.start).copy(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Goes on from where `state_dict` was taken."""
        self.losses, self.fits_db = list(state["losses"]), list(state["fits_db"])
        self._restore(state)
        self.rate_scale, self.n_rollbacks = state["rate_scale"], state["n_rollbacks"]
        self.best = Estimate(**state["best"])
        self._snapshot = state["snapshot"]
        self.start = Start(**state["start"]) if state["start"] else None

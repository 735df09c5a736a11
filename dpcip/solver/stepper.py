"""The solver's algorithm: the stepper, which takes one optimisation step at a time."""

from __future__ import annotations

import copy
import dataclasses
import math
import statistics
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpcip.camera.noise import at_least, noise_level, typical
from dpcip.generators.registry import make_generator
from dpcip.initialization.initialize import Start, depth_prior, find_start, start_at, uncertainty
from dpcip.learnt.depth import LearntDepth, weights_for
from dpcip.optics.psf import PsfBank
from dpcip.restoration.deconvolution import NOISE, gradient
from dpcip.restoration.refinement import refined
from dpcip.solver.camera_in_use import CameraInUse
from dpcip.solver.losses import LOSSES
from dpcip.solver.settings import Settings
from dpcip.solver.stopping import converged, explained, oscillates
from dpcip.utils.machine import has_fast_bfloat16, keep_freed_memory, share_cores

# Version of what a solve computes: raise it when a change moves the numbers of tests/test_golden.py, and with it every
# kept solve is made anew. It stands for this file and for all that it uses: initialization, generators, camera
# models, losses, refinement.
ALGORITHM = 2
SNAPSHOT_EVERY = 50  # iterations between the states that a loss spike is rolled back to
RECENT = 30  # losses that a new one is compared with
MAX_ROLLBACKS = 10  # after so many the solve is given up and the best state returned
GUIDE_WEIGHT = 0.3  # of the mean distance from the start's psi, as a share of the psi range, beside the data loss
RAMP_ITERATIONS = 30  # after the warm-up the learning rate rises over so many: the new loss must not undo the fit
OPTICS_SHARE = 0.3  # of the generator's learning rate: the optics' own, whose parameters lie between -1 and 1 or so


def uses_bfloat16(settings: Settings, device: torch.device) -> bool:
    """Whether the generator's convolutions run in bfloat16."""
    return settings.precision == "auto" and has_fast_bfloat16(device)


@dataclass
class Estimate:
    """What a solve has found: all-in-focus image [L, H, W] in [0, 1], psi [H, W] in rad, and where (-1: before)."""

    sharp: Tensor
    psi: Tensor
    iteration: int = -1
    loss: float = math.inf


class Diverged(RuntimeError):
    """The loss kept spiking or turning NaN however often the solve was rolled back."""


class Stepper:
    """One solve's state and its step. It sees the capture and the optics, nothing else.

    capture: float32 [C, H, W] in [0, 1]; of float64 all but the depth's likelihood is computed in it. Two steppers with
    equal arguments and threads take equal steps, and `state_dict` carries all that a step depends on, so that a solve
    resumed from it ends as if never interrupted. learnt: the network, where settings.depth is "learnt"; default: that
    which comes with dpcip for this bank (InputError if there is none).
    """

    def __init__(
        self,
        capture: Tensor,
        bank: PsfBank,
        settings: Settings,
        device: torch.device,
        learnt: LearntDepth | None = None,
    ) -> None:
        keep_freed_memory()
        share_cores()
        self.settings = settings
        self.device = device
        self.capture = capture.to(device)
        self.noise = noise_level(self.capture, settings.noise, settings.shot)
        self._misfit = at_least(self.noise, settings.model_error)  # what an image need not explain of the capture
        self.learnt = learnt or weights_for(bank) if settings.depth == "learnt" else None
        size = (capture.shape[-2], capture.shape[-1])
        generator = make_generator(
            settings.generator, size, bank.psi_range, bank.n_latent, settings.seed, settings.finest_channels
        )
        memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.generator = generator.to(device, capture.dtype, memory_format=memory_format)  # type: ignore[call-overload]
        self.in_use = CameraInUse(bank, size, settings, device, capture.dtype)
        self.optimizer = self._adam()
        self.bfloat16 = uses_bfloat16(settings, device)
        self.iteration = 0
        self.converged_at: int | None = None  # iteration from which the loss hardly fell
        self.oscillating = False  # whether the best estimate was found to be no photograph when the solve ended
        self.rate_scale = 1.0  # halved at each rollback
        self.n_rollbacks = 0
        self.losses: list[float] = []
        self.fits_db: list[float] = []
        nothing = self.capture.new_zeros(bank.n_latent + 1, *size)
        self.best = Estimate(nothing[:-1], nothing[-1])
        self._snapshot: dict[str, object] = {}
        self.start: Start | None = None  # what the generator is fitted to first
        self._refined_start: Estimate | None = None

    def _adam(self) -> torch.optim.Adam:
        groups = [{"params": list(self.generator.parameters()), "share": 1.0}]
        if self.in_use.optics is not None:
            groups.append({"params": list(self.in_use.optics.parameters()), "share": OPTICS_SHARE})
        return torch.optim.Adam(groups, lr=self.settings.learning_rate)

    @property
    def bank(self) -> PsfBank:
        """The PSFs as the solve knows them now."""
        return self.in_use.bank

    @property
    def camera(self) -> nn.Module:
        """The camera model with them."""
        return self.in_use.model

    @property
    def stage_start(self) -> int:
        """First iteration of the current loss: losses of the stages (warm-up, L2, SSIM) cannot be compared."""
        warmup = self.settings.warmup_iterations
        return max(first for first in (0, warmup, warmup + self.settings.l2_iterations) if first <= self.iteration)

    @property
    def end(self) -> int:
        """Iteration at which the solve ends: the settings', or a cooldown after the loss has converged.

        A solve that would end in its warm-up has no step to take: its result is the start.
        """
        last = self.settings.iterations
        if last <= self.settings.warmup_iterations:
            return 0
        return last if self.converged_at is None else min(last, self.converged_at + self.settings.cooldown_iterations)

    @property
    def done(self) -> bool:
        """Whether there is no step left to take."""
        return self.iteration >= self.end

    def learning_rate(self) -> float:
        """The rate of the coming step."""
        settings = self.settings
        rate = settings.learning_rate * self.rate_scale
        if settings.halve_rate_at is not None and self.iteration >= settings.halve_rate_at:
            rate /= 2
        age = self.iteration - settings.warmup_iterations
        if settings.warmup_iterations and 0 <= age < RAMP_ITERATIONS:
            rate *= (age + 1) / RAMP_ITERATIONS
        to_go = self.end - self.iteration
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
        if self.iteration % SNAPSHOT_EVERY == 0:  # weights of a sound loss; anew after a rollback, too
            self._snapshot = self._copy_of_state()
        self._keep(Estimate(sharp.detach(), psi.detach(), self.iteration, value))
        self.losses.append(value)
        self.fits_db.append(fit_db)
        self._update(loss + guide)
        self.iteration += 1
        self._note_convergence()

    def _note_convergence(self) -> None:
        """Done is a loss that hardly falls once the guide has gone, or a residual that is no more than noise."""
        settings = self.settings
        first = settings.warmup_iterations + max(settings.l2_iterations, settings.guide_iterations)
        window, begun = settings.convergence_window, self.iteration > settings.warmup_iterations
        fitted = window is not None and begun and explained(self.fits_db[-1], typical(self._misfit))
        if self.converged_at is None and (fitted or converged(self.losses[first:], window)):
            self.converged_at = self.iteration

    def _loss(self, sharp: Tensor, psi: Tensor) -> tuple[Tensor, Tensor, float]:
        """The loss that rates a state, the pull of start and smoothness beside it, and the fit (dB; NaN in warm-up)."""
        settings, age = self.settings, self.iteration - self.settings.warmup_iterations
        guide = torch.zeros((), device=self.device)
        if age < settings.guide_iterations:
            start = self.first_estimate()
            share, goal = self._share(psi), self._share(start.psi)
            if age < 0:  # cross-entropy: a distance has no slope left where the sigmoid has gone to the wrong end
                pull = F.binary_cross_entropy(share, goal)
                return F.mse_loss(sharp, start.sharp), GUIDE_WEIGHT * pull, math.nan
            guide = GUIDE_WEIGHT * (start.trusted * (share - goal).abs()).mean()
            guide = guide * (1 - age / settings.guide_iterations)
        coded = self.in_use(sharp, psi)
        squared_error = F.mse_loss(coded, self.capture)
        loss = squared_error if age < settings.l2_iterations else LOSSES[settings.loss](coded, self.capture)
        if settings.psi_tv:
            guide = guide + settings.psi_tv * gradient(self._share(psi)[None]).abs().sum(dim=0).mean()
        return loss, guide, -10 * math.log10(max(squared_error.item(), 1e-12))

    def _share(self, psi: Tensor) -> Tensor:
        """Where psi lies in its range: 0 to 1."""
        low, high = self.bank.psi_range
        return ((psi - low) / (high - low)).clamp(0, 1)

    def first_estimate(self) -> Start:
        """Image and psi from the capture's local spectra, computed once."""
        if self.start is None:
            with torch.no_grad():
                noise, error = self.noise, self.settings.model_error
                if self.learnt:
                    prior = self.learnt.prior(self.capture, self.bank, noise)
                    self.start = start_at(self.capture, self.bank, prior, noise, error)
                else:
                    self.start = find_start(self.capture, self.bank, noise, self.settings.mismatch, error)
        return self.start

    def psi_std(self, psi: Tensor) -> Tensor:
        """How uncertain psi [H, W] is, whether or not the solve began with the depth prior: [H, W], rad."""
        if self.start:
            prior = self.start.prior
        else:
            prior = depth_prior(self.capture, self.bank, self.noise, self.settings.mismatch)
        return uncertainty(psi, prior, self.bank)

    def finished(self) -> Estimate:
        """The result if the solve ended now, its edges and detail refined if the settings say so.

        That is the best estimate; or the start, as long as the generator is still being fitted to it, and afterwards
        if it explains the capture better, or if the best estimate is no photograph (`oscillates`).
        """
        warmup = self.settings.warmup_iterations
        if not warmup:
            return self._refined(self.best)
        if self._refined_start is None:
            start = self.first_estimate()
            found = Estimate(start.sharp, start.psi)
            # Its image is a deconvolution already: with PSFs that are not right, a longer one would draw their errors.
            self._refined_start = found if self.settings.model_error else self._refined(found)
        if self.best.iteration < warmup:
            return self._refined_start
        found, start = self._refined(self.best), self.first_estimate()
        self.oscillating = oscillates(found.sharp, start.sharp)
        if self.oscillating:
            return Estimate(start.sharp, start.psi)
        return min(found, self._refined_start, key=self._squared_error)

    def _refined(self, found: Estimate) -> Estimate:
        """The estimate as restoration/refinement.py improves it, unless that spoils how it explains the capture."""
        if not self.settings.refine:
            return found
        with torch.no_grad():
            sharp, psi = refined(self.capture, self.bank, found.sharp, found.psi, self._misfit)
        better = dataclasses.replace(found, sharp=sharp, psi=psi)
        noise = max(NOISE, typical(self._misfit))
        return better if self._squared_error(better) <= max(self._squared_error(found), noise**2) else found

    def _squared_error(self, found: Estimate) -> float:
        with torch.no_grad():
            return F.mse_loss(self.camera(found.sharp, found.psi), self.capture).item()

    def _update(self, loss: Tensor) -> None:
        if self.iteration == self.settings.warmup_iterations > 0:
            self.optimizer = self._adam()  # what it remembers is of the warm-up's loss
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate() * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.in_use.settle()

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
            "optics": self.in_use.optics and self.in_use.optics.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
            "converged_at": self.converged_at,
        }
        return copy.deepcopy(state)

    def _restore(self, state: dict) -> None:
        self.generator.load_state_dict(state["generator"])
        if self.in_use.optics is not None:
            self.in_use.optics.load_state_dict(state["optics"])
            self.in_use.settle()
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))  # Adam keeps and changes what it is given
        self.iteration, self.converged_at = state["iteration"], state["converged_at"]
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

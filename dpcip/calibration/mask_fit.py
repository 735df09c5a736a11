"""A ring mask's parameters from measured PSFs: a search over masks, then least squares on the photograph's pixels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from dpcip.calibration.profiles import Level, RadialBasis
from dpcip.optics.lens import Optics, RingMask
from dpcip.optics.rings import ring_amplitudes
from dpcip.utils.errors import InputError

N_SHAPES = 100  # sets of edges, scale and defocus offset that the search tries
N_PHASES = 3000  # sets of phases that it tries with each
PHASE_REACH_RAD = 15.0  # of the phases that it tries, either side of 0
SCALE_REACH = 0.15  # relative, of airy_px that it tries around the given one
PSI_REACH = 1.0  # rad, of the defocus offset that it tries around 0
FARTHEST = 3.0  # a factor of airy_px that no fit goes beyond: a camera whose pixels are not known is not known at all
MOST_OFFSET = 20.0  # rad, the same for the defocus offset
LEAST_RING = 0.04  # width of the narrowest ring, as a share of the aperture's radius
LEAST_CANDIDATES, MOST_CANDIDATES = 3, 12  # of the search's best that are refined
WELL_FITTED = 2.0  # mean square of the residuals, in units of the noise, at which no further candidate is tried
MODEL_ERROR = 0.02 / 255  # of the kernels as sums of splines: residuals cannot be told smaller


@dataclass(frozen=True)
class MaskFit:
    """The optics that explain the measured levels best, and how well.

    optics: the lens's focus takes up psi_offset, so that its psi of a known distance is the one found.
    psi_offset: rad, what was found minus what the depth map said.
    standard_error: of each number in `parameters`, from the pixels' noise alone; infinite where undetermined.
    profiles: [levels, C, n], the fitted kernels' coefficients, of sum 1.
    """

    optics: Optics
    psi_offset: float
    parameters: dict[str, float]
    standard_error: dict[str, float]
    profiles: np.ndarray


@dataclass(frozen=True)
class _Shape:
    """What the amplitudes of the rings depend on."""

    edges: tuple[float, ...]
    airy_px: float
    psi_offset: float


class _Model:
    """The physical model as a function of a vector: inner edges, phases but the first, airy_px, psi offset or not."""

    def __init__(self, levels: list[Level], basis: RadialBasis, optics: Optics, n_rings: int, fit_focus: bool) -> None:
        self.levels, self.basis, self.optics = levels, basis, optics
        self.psi = np.array([level.psi for level in levels])
        self.n_inner = n_rings - 1
        self.fit_focus = fit_focus
        # Residuals in units of the noise, that of the measured profile: their squares add up over channels and levels.
        self.noise = [np.maximum(level.rmse, MODEL_ERROR) for level in levels]

    def names(self) -> list[str]:
        rings = range(1, self.n_inner + 1)
        names = [*(f"edge_{k}" for k in rings), *(f"phase_{k}_rad" for k in rings), "airy_px"]
        return [*names, "psi_offset_rad"] if self.fit_focus else names

    def split(self, vector: np.ndarray) -> tuple[_Shape, np.ndarray]:
        """Shape, and phases [n_rings] with the first 0: a phase common to all rings leaves no trace."""
        inner, phases = vector[: self.n_inner], vector[self.n_inner : 2 * self.n_inner]
        edges = (0.0, *(float(edge) for edge in inner), 1.0)
        psi_offset = float(vector[2 * self.n_inner + 1]) if self.fit_focus else 0.0
        return _Shape(edges, float(vector[2 * self.n_inner]), psi_offset), np.append(0.0, phases)

    def vector(self, shape: _Shape, phases: np.ndarray) -> np.ndarray:
        last = [shape.airy_px, shape.psi_offset] if self.fit_focus else [shape.airy_px]
        return np.concatenate([shape.edges[1:-1], phases[1:], last])

    def steps(self) -> np.ndarray:
        """How far a parameter may reasonably go at once."""
        rings = np.ones(self.n_inner)
        last = [0.03 * self.optics.airy_px, 0.2] if self.fit_focus else [0.03 * self.optics.airy_px]
        return np.concatenate([0.05 * rings, 0.5 * rings, last])

    def amplitudes(self, shape: _Shape) -> list[np.ndarray]:
        """For each channel: complex [n_rings, levels, n_radii]."""
        mask = RingMask(shape.edges, (0.0,) * (self.n_inner + 1))
        optics = dataclasses.replace(self.optics, mask=mask, airy_px=shape.airy_px)
        psi = self.psi + shape.psi_offset
        return [ring_amplitudes(optics, psi, w, self.basis.radii_px) for w in optics.wavelengths_nm]

    def ratios(self) -> np.ndarray:
        return self.optics.lens.reference_wavelength_nm / np.array(self.optics.wavelengths_nm)

    def profiles(self, vector: np.ndarray) -> np.ndarray:
        """Coefficients [levels, C, n] of the kernels."""
        shape, phases = self.split(vector)
        waves = np.exp(1j * np.outer(self.ratios(), phases))
        intensity = [
            np.abs(np.tensordot(wave, amplitude, axes=1)) ** 2
            for wave, amplitude in zip(waves, self.amplitudes(shape), strict=True)
        ]
        return self.basis.coefficients(np.stack(intensity, axis=1))

    def residuals(self, vector: np.ndarray) -> np.ndarray:
        shape, _ = self.split(vector)
        scale = shape.airy_px / self.optics.airy_px
        too_far = not 1 / FARTHEST < scale < FARTHEST or abs(shape.psi_offset) > MOST_OFFSET
        if too_far or np.diff(shape.edges).min() <= 0:  # refuse the step
            return np.full(self.n_residuals, 1e6)
        parts = []
        for level, noise, profiles in zip(self.levels, self.noise, self.profiles(vector), strict=True):
            for channel, sigma, profile in zip(level.data, noise, profiles, strict=True):
                parts.append((channel.gain(profile) * (channel.triangle @ profile) - channel.target) / sigma)
        return np.concatenate(parts)

    @property
    def n_residuals(self) -> int:
        return sum(len(channel.target) for level in self.levels for channel in level.data)

    def search(self, rng: np.random.Generator) -> list[np.ndarray]:
        """The best of many masks, as vectors; of each set of edges only the best phases."""
        found = []
        phases = rng.uniform(-PHASE_REACH_RAD, PHASE_REACH_RAD, (N_PHASES, self.n_inner + 1))
        phases[:, 0] = 0
        for _ in range(N_SHAPES):
            shape = self._random_shape(rng)
            cost = self._costs(shape, phases)
            best = int(cost.argmin())
            found.append((float(cost[best]), self.vector(shape, phases[best])))
        return [vector for _, vector in sorted(found, key=lambda pair: pair[0])]

    def _random_shape(self, rng: np.random.Generator) -> _Shape:
        while True:
            inner = np.sort(rng.uniform(0.1, 0.95, self.n_inner))
            if np.diff([0.0, *inner, 1.0]).min() > LEAST_RING:
                break
        scale = 1 + rng.uniform(-SCALE_REACH, SCALE_REACH)
        return _Shape(
            (0.0, *(float(edge) for edge in inner), 1.0),
            self.optics.airy_px * scale,
            float(rng.uniform(-PSI_REACH, PSI_REACH)) if self.fit_focus else 0.0,
        )

    def _costs(self, shape: _Shape, phases: np.ndarray) -> np.ndarray:
        """Distance of the kernels from the measured profiles, for each set of phases [n, n_rings].

        The intensity is a sum over pairs of rings, so phases cost no new amplitudes.
        """
        cost = np.zeros(len(phases))
        first, second = np.triu_indices(phases.shape[1])
        weight = np.where(first == second, 1.0, 2.0)
        difference = phases[:, first] - phases[:, second]
        for c, amplitude in enumerate(self.amplitudes(shape)):
            turn = weight * np.exp(1j * self.ratios()[c] * difference)
            for index, level in enumerate(self.levels):
                pair = amplitude[first, index] * amplitude[second, index].conj()  # [pairs, n_radii]
                kernels = np.concatenate([pair.real, pair.imag]) @ self.basis.fit.T
                mixed = np.concatenate([turn.real, -turn.imag], axis=1)
                total = mixed @ (kernels @ self.basis.sums)
                triangle = level.data[c].triangle / self.noise[index][c]
                predicted, wanted = kernels @ triangle.T, triangle @ level.profiles[c]
                square = np.einsum("ij,ij->i", mixed @ (predicted @ predicted.T), mixed)
                cost += square / total**2 - 2 * (mixed @ (predicted @ wanted)) / total + wanted @ wanted
        return cost


def fit_mask(
    levels: list[Level], basis: RadialBasis, optics: Optics, n_rings: int, fit_focus: bool, seed: int = 0
) -> MaskFit:
    """Fits edges, phases and airy_px of a mask of `n_rings` to the measured levels, and the focus distance if asked to.

    optics: its lens and wavelengths are taken as known, its airy_px as the middle of what is searched; its mask is not
    looked at. All of 13 charts of 160x160 pixels and random masks of three rings (edges 0.25 to 0.9, phases +-12 rad;
    one or three distances, no noise or 1 %) gave the true mask from an airy_px up to 15 % and psi up to 1 rad wrong:
    31-tap PSFs from psi -4 to 10 within 2.1 % of their sum.
    fit_focus: whether all psi may be off by one number, as they are if they come from metres and the focus distance is
    not quite right. Raises InputError for a single distance near focus, where a mask and its negative cast the same
    light.
    """
    if len(levels) == 1 and abs(levels[0].psi) < PSI_REACH:
        raise InputError(
            f"the only distance (psi = {levels[0].psi:.1f}) is within {PSI_REACH:g} rad of focus, where a mask and its "
            "negative cannot be told apart; add a photograph at another distance"
        )
    model = _Model(levels, basis, optics, n_rings, fit_focus)
    best: OptimizeResult | None = None
    for tried, candidate in enumerate(model.search(np.random.default_rng(seed))[:MOST_CANDIDATES], 1):
        result = least_squares(model.residuals, candidate, x_scale=model.steps(), max_nfev=60)
        if best is None or result.cost < best.cost:
            best = result
        if tried >= LEAST_CANDIDATES and 2 * best.cost < WELL_FITTED * len(best.fun):
            break
    assert best is not None
    return _result(model, best)


def _result(model: _Model, best: OptimizeResult) -> MaskFit:
    shape, phases = model.split(best.x)
    optics = dataclasses.replace(
        model.optics,
        lens=model.optics.lens.refocused(shape.psi_offset),
        mask=RingMask(shape.edges, tuple(float(phase) for phase in phases)),
        airy_px=shape.airy_px,
    )
    names, errors = model.names(), _standard_errors(best.jac)
    return MaskFit(
        optics,
        shape.psi_offset,
        dict(zip(names, map(float, best.x), strict=True)),
        dict(zip(names, map(float, errors), strict=True)),
        model.profiles(best.x),
    )


def _standard_errors(jacobian: np.ndarray) -> np.ndarray:
    """Square roots of the diagonal of (J^T J)^-1; infinite for what the residuals do not determine."""
    _, value, direction = np.linalg.svd(jacobian, full_matrices=False)
    known = value > 1e-9 * value[0]
    variance = np.square(direction[known] / value[known, None]).sum(axis=0)
    undetermined = np.square(direction[~known]).sum(axis=0) > 1e-6
    return np.where(undetermined, np.inf, np.sqrt(variance))

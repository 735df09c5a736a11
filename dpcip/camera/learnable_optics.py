"""A PSF bank that is learnt: a differentiable function of mask phases, aperture scale and defocus offset, in bounds.

Fig. 1 of the paper lets the camera's parameters be optimised together with the generator; the released code keeps them
constant. What can be learnt from one capture is limited. The PSFs depend on psi alone, and psi is free at every pixel:
a wrong focus distance leaves the image as it is and shifts 1/z of the whole depth map by one constant. So the defocus
offset is learnt only where psi is known (a chart), or, weakly, from pixels at the ends of the bank's range. With psi
free, leave it out, and find the focus afterwards from one known distance: `dpcip.optics.lens.focus_from_known`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from scipy.special import j0
from torch import Tensor, nn

from dpcip.optics.lens import Optics, RingMask
from dpcip.optics.psf import RADIAL_STEP_PX, SUBSAMPLES
from dpcip.optics.rings import n_nodes_for, radial_frequency, ring_nodes
from dpcip.utils.errors import InputError


class Bounded(nn.Module):
    """Numbers `middle + reach * tanh(raw)`: they begin at `middle` and never leave `middle` +- `reach`."""

    def __init__(self, middle: Tensor, reach: float) -> None:
        super().__init__()
        self.middle: Tensor
        self.register_buffer("middle", middle)
        self.reach = reach
        self.raw = nn.Parameter(torch.zeros_like(middle))

    def forward(self) -> Tensor:
        return self.middle + self.reach * torch.tanh(self.raw)


class LearnableOptics(nn.Module):
    """PSFs as a function of optics near nominal ones: forward() = [P, C, K, K], each non-negative with sum 1.

    optics, psi [P] (rad), size: as in `PsfBank.synthesise`, whose bank forward() equals before anything is learnt.
    phase_reach_rad: how far the phase of each ring but the first may go from nominal (at the reference wavelength; a
    phase that all rings share leaves no trace). scale_reach: how far the scale, the factor on `airy_px` (a smaller
    aperture makes it larger), may go from 1; below 0.5. psi_reach: how far the defocus offset, added to every plane's
    psi, may go from 0 (rad). None holds a parameter at its nominal value.

    The quadrature of `synthesise_psf`: J0 at fixed nodes and radii is constant, the pupil is not; the scale stretches
    the radial profile (cubic interpolation), and only the taps of one octant are computed.
    """

    def __init__(
        self,
        optics: Optics,
        psi: np.ndarray,
        size: int,
        phase_reach_rad: float | None = None,
        scale_reach: float | None = None,
        psi_reach: float | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        for name, reach in (("phase", phase_reach_rad), ("scale", scale_reach), ("psi", psi_reach)):
            if reach is not None and not (np.isfinite(reach) and reach > 0):
                raise InputError(
                    f"learnable optics: the reach of the {name} is {reach}; give a positive number or None"
                )
        if scale_reach is not None and scale_reach >= 0.5:
            raise InputError(f"learnable optics: the reach of the scale is {scale_reach}; it must be below 0.5")
        if size < 1 or size % 2 == 0:
            raise InputError(f"learnable optics: kernel size {size}; use an odd, positive number of taps")
        self.nominal = optics
        n_rings = len(optics.mask.phases_rad)
        self.phases = _bounded(np.zeros(n_rings - 1), phase_reach_rad if n_rings > 1 else None, dtype)
        self.scale = _bounded(np.ones(1), scale_reach, dtype)
        self.psi_offset = _bounded(np.zeros(1), psi_reach, dtype)
        self._make_radial(np.asarray(psi, dtype=np.float64), size, scale_reach or 0.0, psi_reach or 0.0, dtype)
        self._make_taps(size, dtype)

    def _make_radial(
        self, psi: np.ndarray, size: int, scale_reach: float, psi_reach: float, dtype: torch.dtype
    ) -> None:
        """Constants of the radial intensity: J0, the pupil of the nominal phases and psi, nodes and wavelengths."""
        optics = self.nominal
        n_radii = int(np.ceil(((size // 2 + 1) * np.sqrt(2) + RADIAL_STEP_PX) / RADIAL_STEP_PX))
        # Two more than a stretched profile reaches: the cubic looks at them.
        n_computed = int(np.ceil(n_radii / (1 - scale_reach))) + 2
        radius_px = RADIAL_STEP_PX * np.arange(n_computed)
        ratio = optics.lens.reference_wavelength_nm / np.array(optics.wavelengths_nm)
        frequency = np.stack([radial_frequency(optics, w, radius_px) for w in optics.wavelengths_nm])  # [C, n_computed]
        n_nodes = n_nodes_for((np.abs(psi).max() + psi_reach) * ratio.max() * np.ones(1), frequency)
        rho, weight = (part.ravel() for part in ring_nodes(np.array(optics.mask.edges), n_nodes))
        phase = (psi[:, None] * rho**2 + optics.mask.phase_rad(rho)) * ratio[:, None, None]  # [C, P, nodes]
        constants = {
            "rho": rho,
            "ratio": ratio[:, None, None],
            "pupil": rho * weight * np.exp(1j * phase),
            "kernel": j0(rho[:, None] * frequency[:, None, :]),  # [C, nodes, n_computed]
            "ring": np.repeat(np.arange(len(optics.mask.phases_rad)), n_nodes),
            "position": np.arange(n_radii),
        }
        kinds = {"pupil": torch.complex(*[torch.empty(0, dtype=dtype)] * 2).dtype, "ring": torch.int64}
        for name, value in constants.items():
            self.register_buffer(name, torch.tensor(value, dtype=kinds.get(name, dtype)), persistent=False)

    def _make_taps(self, size: int, dtype: torch.dtype) -> None:
        """Constants that turn a radial profile into taps: the octant's averages, and where each tap finds its own."""
        half = size // 2
        n_radii = len(self.get_buffer("position"))
        offset = np.abs(np.arange(-half, half + 1))
        low, high = (f(offset[:, None], offset) for f in (np.minimum, np.maximum))
        octant, index, count = np.unique(low + high * size, return_inverse=True, return_counts=True)
        row, column = octant % size, octant // size
        shift = (np.arange(SUBSAMPLES) - (SUBSAMPLES - 1) / 2) / SUBSAMPLES
        radius = np.hypot(row[:, None, None] + shift[:, None], column[:, None, None] + shift)  # [taps, 5, 5]
        place = radius.reshape(len(octant), -1) / RADIAL_STEP_PX
        below = np.floor(place).astype(int)
        average = np.zeros((n_radii, len(octant)))
        tap = np.broadcast_to(np.arange(len(octant))[:, None], below.shape)
        np.add.at(average, (below, tap), (1 - (place - below)) / SUBSAMPLES**2)
        np.add.at(average, (below + 1, tap), (place - below) / SUBSAMPLES**2)
        self.size = size
        self.register_buffer("average", torch.tensor(average, dtype=dtype), persistent=False)
        self.register_buffer("tap", torch.tensor(index.reshape(-1)), persistent=False)
        self.register_buffer("count", torch.tensor(count, dtype=dtype), persistent=False)

    def forward(self) -> Tensor:
        taps = self._stretched(self._intensity()) @ self.get_buffer("average")  # [C, P, taps of the octant]
        taps = taps / (taps @ self.get_buffer("count"))[..., None]
        square = taps.index_select(-1, self.get_buffer("tap")).unflatten(-1, (self.size, self.size))
        return square.transpose(0, 1)

    def _intensity(self) -> Tensor:
        """Radial intensity at nominal scale: [C, P, n_computed]."""
        rho, ratio = self.get_buffer("rho"), self.get_buffer("ratio")
        pupil, kernel = self.get_buffer("pupil"), self.get_buffer("kernel")
        change = torch.zeros_like(rho)
        if self.phases is not None:
            each_ring = torch.cat([rho.new_zeros(1), self.phases()])
            change = change + each_ring[self.get_buffer("ring")]
        if self.psi_offset is not None:
            change = change + self.psi_offset() * rho**2
        pupil = pupil * torch.polar(torch.ones_like(change), change * ratio)  # change * ratio: [C, 1, nodes]
        return (pupil.real @ kernel).square() + (pupil.imag @ kernel).square()

    def _stretched(self, profile: Tensor) -> Tensor:
        """The profile at radii divided by the scale: [..., n_computed] -> [..., n_radii], Catmull-Rom in between."""
        position = self.get_buffer("position")
        if self.scale is None:
            return profile[..., : len(position)]
        place = position / self.scale()
        below = place.detach().floor()
        t = place - below
        index = below.long()
        # The profile is even in the radius: sample -1 equals sample 1.
        before, here, after, beyond = (profile.index_select(-1, (index + k).abs()) for k in (-1, 0, 1, 2))
        slope, next_slope = (after - before) / 2, (beyond - here) / 2
        cubic = 2 * (here - after) + slope + next_slope
        square = 3 * (after - here) - 2 * slope - next_slope
        return (((cubic * t + square) * t + slope) * t + here).clamp_min(0)

    def optics(self) -> Optics:
        """The optics as learnt so far; a defocus offset moves the lens's focus."""
        nominal = self.nominal
        with torch.no_grad():
            scale = float(self.scale()) if self.scale is not None else 1.0
            offset = float(self.psi_offset()) if self.psi_offset is not None else 0.0
            change = self.phases().tolist() if self.phases is not None else [0.0] * (len(nominal.mask.phases_rad) - 1)
        phases = tuple(p + c for p, c in zip(nominal.mask.phases_rad, [0.0, *change], strict=True))
        return dataclasses.replace(
            nominal,
            lens=nominal.lens.refocused(offset),
            mask=RingMask(nominal.mask.edges, phases),
            airy_px=nominal.airy_px * scale,
        )


def _bounded(middle: np.ndarray, reach: float | None, dtype: torch.dtype) -> Bounded | None:
    return None if reach is None else Bounded(torch.tensor(middle, dtype=dtype), reach)

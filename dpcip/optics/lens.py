"""The optics of a phase-coded camera: defocus psi against depth, the ring mask and the pupil function."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import yaml

from dpcip.utils.errors import InputError

Array = TypeVar("Array", float, np.ndarray, torch.Tensor)

PSI_RANGE = (-4.0, 10.0)  # rad, the range that the published camera codes (paper, section 3)
# What a camera can be; a number beyond is in another unit. Metres, millimetres and nanometres lie far enough apart.
POSSIBLE = {
    "aperture_radius_mm": (0.01, 200.0, "millimetres"),
    "reference_wavelength_nm": (200.0, 20_000.0, "nanometres"),
    "focus_m": (0.001, 300.0, "metres"),
}
WAVELENGTHS_NM = (200.0, 20_000.0)  # ultraviolet to thermal infrared
AIRY_PX = (0.01, 1000.0)
MOST_RINGS, MOST_WAVELENGTHS = 100, 32


@dataclass(frozen=True)
class Lens:
    """The three numbers that tie defocus to depth, `psi = (pi R^2 / lambda) (1/z_o - 1/z_n)` (paper, eq. 1).

    The defaults are those of the published camera (released code, `utils/psf_utils.py`).

    >>> Lens().psi_from_depth(np.array([0.5, 0.9, 2.0])).round(2)
    array([ 7.98,  0.  , -5.48])
    >>> round(Lens().depth_from_psi(10.0), 3)
    0.449
    """

    aperture_radius_mm: float = 1.14
    reference_wavelength_nm: float = 455.0  # the wavelength at which psi is stated
    focus_m: float = 0.9  # the depth that is in focus, psi = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"lens: {name} is {value}; it must be a positive number")
            least, most, unit = POSSIBLE[name]
            if not least <= value <= most:
                raise InputError(f"lens: {name} is {value:g}; give {unit}, {least:g} to {most:g}")

    @property
    def dioptres_per_psi(self) -> float:
        """Change of inverse depth (1/m) for a change of psi by 1 rad: lambda / (pi R^2)."""
        return (self.reference_wavelength_nm * 1e-9) / (np.pi * (self.aperture_radius_mm * 1e-3) ** 2)

    def psi_from_depth(self, depth_m: Array) -> Array:
        """Defocus psi (rad at the reference wavelength) of a point at `depth_m` (m, > 0); nearer is larger (eq. 1)."""
        return (1.0 / depth_m - 1.0 / self.focus_m) / self.dioptres_per_psi

    def psi_from_dioptres(self, inverse_depth: Array) -> Array:
        """Defocus psi (rad) of a point at 1 / `inverse_depth` metres; 0 dioptres is infinitely far (eq. 1)."""
        return (inverse_depth - 1.0 / self.focus_m) / self.dioptres_per_psi

    def depth_from_psi(self, psi: Array) -> Array:
        """Depth (m) of a point with defocus `psi` (rad), the inverse of eq. 1.

        Only meaningful for psi > -1 / (focus_m * dioptres_per_psi), where the depth reaches infinity (-9.97 rad for
        the published camera).
        """
        return 1.0 / (psi * self.dioptres_per_psi + 1.0 / self.focus_m)

    def refocused(self, psi_offset: float) -> Lens:
        """The lens whose psi of any depth is this one's plus `psi_offset` (rad): only the focus distance differs."""
        if psi_offset == 0:
            return self
        return dataclasses.replace(self, focus_m=1.0 / (1.0 / self.focus_m - psi_offset * self.dioptres_per_psi))


def focus_from_known(psi: np.ndarray, depth_m: np.ndarray, lens: Lens) -> Lens:
    """The lens with the focus distance that suits points of known distance: psi found (rad) at depths known (m), [N].

    A solve finds psi whether or not the focus distance is right, as PSFs depend on psi alone; only the depths made
    from psi are then off, by one constant in 1/z (eq. 1). A single known distance tells the constant; of several, the
    mean over 1/z is taken. Raises InputError for no points, unequal numbers, or points that imply no real focus.
    """
    psi, depth_m = np.atleast_1d(psi).astype(float), np.atleast_1d(depth_m).astype(float)
    if psi.shape != depth_m.shape or psi.size == 0:
        raise InputError(f"focus: got {psi.size} values of psi and {depth_m.size} depths; give both for each point")
    if not (np.isfinite(psi).all() and (depth_m > 0).all()):
        raise InputError("focus: psi must be finite and the known depths positive (metres); leave other points out")
    dioptres = float(np.mean(1.0 / depth_m - psi * lens.dioptres_per_psi))
    if dioptres <= 0:
        raise InputError(f"focus: the points put it beyond infinity ({dioptres:.3g} dioptres); check their unit")
    return dataclasses.replace(lens, focus_m=1.0 / dioptres)


@dataclass(frozen=True)
class RingMask:
    """A phase mask of concentric rings, flat within each ring.

    `edges` are the rings' borders as fractions of the aperture radius, from 0 to 1; `phases_rad` holds one phase a ring
    at the lens's reference wavelength. The defaults are the published camera's mask, identified from the published
    capture, which they reproduce down to its 8-bit rounding.
    """

    edges: tuple[float, ...] = (0.0, 0.55, 0.80, 1.0)
    phases_rad: tuple[float, ...] = (0.0, 6.0, 12.3)

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.phases_rad) + 1:
            raise InputError(
                f"mask: {len(self.phases_rad)} phases need {len(self.phases_rad) + 1} edges, got {len(self.edges)}"
            )
        if len(self.phases_rad) > MOST_RINGS:
            raise InputError(f"mask: has {len(self.phases_rad)} rings; {MOST_RINGS} are the most")
        if self.edges[0] != 0 or self.edges[-1] != 1 or not np.all(np.diff(self.edges) > 0):
            raise InputError(f"mask: edges {self.edges} must rise from 0 to 1 (fractions of the aperture radius)")
        if not np.all(np.isfinite(self.phases_rad)):
            raise InputError(f"mask: phases {self.phases_rad} must be finite (radians)")

    def phase_rad(self, rho: np.ndarray) -> np.ndarray:
        """Mask phase (rad at the reference wavelength) at normalised pupil radius `rho` in [0, 1]."""
        ring = np.clip(np.searchsorted(self.edges, rho, side="right") - 1, 0, len(self.phases_rad) - 1)
        return np.asarray(self.phases_rad)[ring]


@dataclass(frozen=True)
class Optics:
    """Everything that determines the PSFs: lens, mask, one wavelength a channel and the sensor's sampling.

    `airy_px` is lambda F# / pixel pitch at the reference wavelength: the width of one diffraction unit in pixels.
    """

    lens: Lens = field(default_factory=Lens)
    mask: RingMask = field(default_factory=RingMask)
    wavelengths_nm: tuple[float, ...] = (600.0, 535.0, 455.0)  # R, G, B
    airy_px: float = 1.9044

    def __post_init__(self) -> None:
        if not self.wavelengths_nm or not all(np.isfinite(w) and w > 0 for w in self.wavelengths_nm):
            raise InputError(f"optics: wavelengths {self.wavelengths_nm} must be positive (nanometres)")
        low, high = WAVELENGTHS_NM
        if len(self.wavelengths_nm) > MOST_WAVELENGTHS or not all(low <= w <= high for w in self.wavelengths_nm):
            raise InputError(
                f"optics: wavelengths {self.wavelengths_nm}; give nanometres, {low:g} to {high:g}, and "
                f"{MOST_WAVELENGTHS} at most"
            )
        if not (np.isfinite(self.airy_px) and self.airy_px > 0):
            raise InputError(f"optics: airy_px is {self.airy_px}; it must be positive (pixels)")
        if not AIRY_PX[0] <= self.airy_px <= AIRY_PX[1]:
            raise InputError(f"optics: airy_px is {self.airy_px:g}; give pixels, {AIRY_PX[0]:g} to {AIRY_PX[1]:g}")

    @property
    def focal_px(self) -> float:
        """Focal length in pixels, `airy_px 2 R / lambda`: what makes rays of pixels, seen as through a pinhole."""
        return 2 * self.airy_px * self.lens.aperture_radius_mm * 1e-3 / (self.lens.reference_wavelength_nm * 1e-9)

    def pupil(self, rho: np.ndarray, psi: float, wavelength_nm: float) -> np.ndarray:
        """Generalised pupil `P(rho) = circ(rho) exp(j (psi rho^2 + phi(rho)) lambda_ref / lambda)`, complex.

        `rho` is the pupil radius as a fraction of the aperture's. Defocus and mask phase are path lengths, so both
        grow as the wavelength shrinks (paper, section 3).
        """
        phase_rad = (psi * rho**2 + self.mask.phase_rad(rho)) * self.lens.reference_wavelength_nm / wavelength_nm
        return np.where(rho <= 1.0, np.exp(1j * phase_rad), 0.0)


def read_optics(path: Path) -> Optics:
    """Optics from a YAML file; whatever it leaves out is the published camera's.

    Keys: lens (aperture_radius_mm, reference_wavelength_nm, focus_m), mask (edges, phases_rad), wavelengths_nm,
    airy_px. Raises InputError for a missing file, an unknown key or an impossible value.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a YAML file of the optics")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        lens = Lens(**values.pop("lens", {}))
        mask = RingMask(**{key: tuple(map(float, value)) for key, value in values.pop("mask", {}).items()})
        if "wavelengths_nm" in values:
            values["wavelengths_nm"] = tuple(map(float, values["wavelengths_nm"]))
        return Optics(lens=lens, mask=mask, **values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (yaml.YAMLError, TypeError, AttributeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as optics ({reason}); see 'read_optics' for its keys") from error

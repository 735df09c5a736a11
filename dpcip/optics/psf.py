"""The PSF bank: one blur kernel for each defocus plane and colour channel, synthesised, loaded, saved and validated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from scipy.io import loadmat, savemat
from scipy.special import j0

from dpcip.optics.lens import PSI_RANGE, Lens, Optics
from dpcip.utils.errors import InputError
from dpcip.utils.files import one_line, replacing

SUBSAMPLES = 5  # a pixel averages the intensity over its area: 5 x 5 points
RADIAL_STEP_PX = 0.05  # spacing of the radial intensity profile
MAT_UNITS = "mm, nm, mm"  # of radius, ref_wl and focus_point in a data.mat that we wrote
MAT_FIELDS = {  # of the released data.mat, and ours
    *("radius", "ref_wl", "focus_point", "Psi", "min_dist", "psf_kernels", "map_interval", "num_psi_classes"),
    *("downsample_factor", "dn_fs", "units"),
}
MAX_PLANES = 2000  # 1400 planes of 71 taps fill 85 MB and take a minute to synthesise
SUM_TOLERANCE = 1e-3  # how far a PSF's sum may be from 1
MOST_TAPS = 301  # along a side of a synthesised kernel: 15 planes of 3 colours take half a minute
MOST_VALUES = 4 * 10**7  # of a bank: 160 MB, a minute or two to synthesise
MOST_NODES = 1000  # of the quadrature in a ring: finer oscillations than a pixel could show


def psi_planes(psi_min: float = PSI_RANGE[0], psi_max: float = PSI_RANGE[1], step: float = 1.0) -> np.ndarray:
    """Evenly spaced planes from `psi_min` to `psi_max` inclusive (rad), rounded to 1e-9 so that integers are exact."""
    if not (np.isfinite([psi_min, psi_max, step]).all() and step > 0 and psi_max > psi_min):
        raise InputError(f"psi planes: need MIN < MAX and STEP > 0, got {psi_min} {psi_max} {step}")
    n_planes = int(np.floor((psi_max - psi_min) / step + 1e-6)) + 1
    if n_planes < 2:
        raise InputError(f"psi planes: a step of {step} leaves one plane from {psi_min} to {psi_max}; use a smaller")
    if n_planes > MAX_PLANES:
        raise InputError(f"psi planes: a step of {step} makes {n_planes} planes of at most {MAX_PLANES}; use a larger")
    return np.round(psi_min + step * np.arange(n_planes), 9)


def _radial_intensity(optics: Optics, psi: float, wavelength_nm: float, radius_px: np.ndarray) -> np.ndarray:
    """|Hankel transform of the pupil|^2 at image radii `radius_px`, by Gauss-Legendre quadrature ring by ring.

    Amplitude `U(r) = int_0^1 P(rho) J0(pi rho r / (airy_px lambda / lambda_ref)) rho d rho`: within a ring the
    integrand is smooth, so the quadrature converges exponentially once it has a node for each oscillation.
    """
    scale = wavelength_nm / optics.lens.reference_wavelength_nm
    frequency = np.pi * radius_px / (optics.airy_px * scale)
    n_nodes = 40 + int(0.6 * (abs(psi) / scale + frequency.max()))
    if n_nodes > MOST_NODES:
        raise InputError(
            f"PSF: psi = {psi:g}, airy_px {optics.airy_px:g} and {wavelength_nm:g} nm make {n_nodes // 2} rings of "
            "light within its taps; check their units, or ask for fewer taps (--size) or planes (--psi)"
        )
    node, weight = np.polynomial.legendre.leggauss(n_nodes)
    amplitude = np.zeros(radius_px.shape, dtype=complex)
    for inner, outer in zip(optics.mask.edges[:-1], optics.mask.edges[1:], strict=True):
        rho = inner + (node + 1) / 2 * (outer - inner)
        d_rho = weight / 2 * (outer - inner)
        amplitude += j0(np.outer(frequency, rho)) @ (optics.pupil(rho, psi, wavelength_nm) * rho * d_rho)
    return np.abs(amplitude) ** 2


def synthesise_psf(optics: Optics, psi: float, wavelength_nm: float, size: int) -> np.ndarray:
    """PSF of one plane and wavelength: float64 [size, size], averaged over each pixel's area, sum 1."""
    half = size // 2
    offset = (np.arange(SUBSAMPLES) - (SUBSAMPLES - 1) / 2) / SUBSAMPLES
    coordinate = (np.arange(-half, half + 1)[:, None] + offset).ravel()  # sub-pixel positions along one axis
    radius_px = np.arange(0, (half + 1) * np.sqrt(2) + RADIAL_STEP_PX, RADIAL_STEP_PX)
    profile = _radial_intensity(optics, psi, wavelength_nm, radius_px)
    fine = np.interp(np.hypot(coordinate[:, None], coordinate), radius_px, profile)
    psf = fine.reshape(size, SUBSAMPLES, size, SUBSAMPLES).mean(axis=(1, 3))
    return psf / psf.sum()


@dataclass(frozen=True)
class PsfBank:
    """Blur kernels for planes of defocus: any number of planes, channels and taps, symmetric or not.

    psf: float32 or float64 tensor [P, C, K, K], K odd, non-negative, each kernel summing to 1.
    psi: float64 array [P], rad, strictly increasing.
    lens: what turns psi into metres.
    latent: for each observed channel the channel of the all-in-focus image that it sees. Default: its own. A dual-pixel
    sensor's two views of one grey image are (0, 0).
    optics: what the bank was computed from, if that is known.

    >>> bank = PsfBank.synthesise()  # the published camera's; others: PsfBank.load, PsfBank.synthesise(Optics(...))
    >>> tuple(bank.psf.shape), bank.psi_range
    ((15, 3, 71, 71), (-4.0, 10.0))
    """

    psf: torch.Tensor
    psi: np.ndarray
    lens: Lens = field(default_factory=Lens)
    source: str = "PSF bank"
    latent: tuple[int, ...] = ()
    optics: Optics | None = None

    def __post_init__(self) -> None:
        if not self.latent and self.psf.ndim == 4:
            object.__setattr__(self, "latent", tuple(range(self.psf.shape[1])))
        problem = self._problem()
        if problem:
            raise InputError(f"{self.source}: {problem}")

    def _problem(self) -> str | None:
        """What is wrong with the arrays and what to do, or None."""
        psf, psi = self.psf, self.psi
        if psf.ndim != 4:
            return f"psf has shape {tuple(psf.shape)}; store it as [planes, channels, K, K]"
        if psf.dtype not in (torch.float32, torch.float64):
            return f"psf is {psf.dtype}; store it as float32"
        if psf.shape[2] != psf.shape[3] or psf.shape[2] % 2 == 0:
            return f"kernels are {psf.shape[2]}x{psf.shape[3]}; they must be square with an odd number of taps"
        if psi.ndim != 1 or len(psi) != len(psf):
            return f"psi has shape {psi.shape} for {len(psf)} planes of psf; give one psi a plane"
        if len(psi) < 2:
            return "there is one plane; a camera model needs at least two"
        if not np.isfinite(psi).all():
            return "psi must be finite; leave other planes out"
        if (twice := psi[1:][np.diff(psi) == 0]).size:
            return f"psi = {twice[0]:g} is there twice; keep one plane of each"
        if np.any(np.diff(psi) < 0):
            return "psi must be strictly increasing; sort the planes"
        if not torch.isfinite(psf).all():
            return "psf contains NaN or infinity; make the bank anew"
        if psf.min() < 0:
            return f"psf has negative values (down to {psf.min():.3g}); intensities cannot be negative"
        worst = (psf.sum(dim=(2, 3)) - 1).abs().max().item()
        if worst > SUM_TOLERANCE:
            return f"a kernel's sum is off 1 by {worst:.3g}; divide each kernel by its sum"
        if len(self.latent) != psf.shape[1] or set(self.latent) != set(range(self.n_latent)):
            return f"latent is {self.latent} for {psf.shape[1]} channels; give each the number of what it sees, from 0"
        nearest_m = self.lens.depth_from_psi(float(psi[0]))
        if nearest_m <= 0 or not np.isfinite(nearest_m):
            return f"psi = {psi[0]:g} lies beyond infinity for this lens; check psi, aperture radius and focus"
        return None

    @property
    def n_channels(self) -> int:
        return self.psf.shape[1]

    @property
    def n_latent(self) -> int:
        """Channels of the all-in-focus image."""
        return max(self.latent) + 1

    def in_latent(self, capture: torch.Tensor) -> torch.Tensor:
        """The mean of the observed channels that see the same latent one: [C, H, W] -> [L, H, W]."""
        if self.latent == tuple(range(len(capture))):
            return capture
        seen = torch.tensor(self.latent, device=capture.device)
        return torch.stack([capture[seen == number].mean(dim=0) for number in range(self.n_latent)])

    @property
    def size(self) -> int:
        """Taps along one side of a kernel."""
        return self.psf.shape[2]

    @property
    def psi_range(self) -> tuple[float, float]:
        return float(self.psi[0]), float(self.psi[-1])

    @classmethod
    def synthesise(cls, optics: Optics | None = None, psi: np.ndarray | None = None, size: int = 71) -> PsfBank:
        """The bank of `optics` (default: the published camera) on planes `psi` (default: -4 to 10 by 1)."""
        optics = optics or Optics()
        psi = psi_planes() if psi is None else np.asarray(psi, dtype=np.float64)
        if size < 1 or size % 2 == 0:
            raise InputError(f"kernel size {size}: use an odd, positive number of taps")
        if size > MOST_TAPS:
            raise InputError(f"kernel size {size}: use {MOST_TAPS} taps at most")
        if (n_values := len(psi) * len(optics.wavelengths_nm) * size**2) > MOST_VALUES:
            raise InputError(
                f"PSF bank: {len(psi)} planes of {size}x{size} taps are {n_values:.2g} numbers, over "
                f"{MOST_VALUES:.0e}; use fewer planes (--psi) or taps (--size)"
            )
        kernels = [[synthesise_psf(optics, p, w, size) for w in optics.wavelengths_nm] for p in psi]
        psf = torch.tensor(np.array(kernels), dtype=torch.float32)
        return cls(psf, psi, optics.lens, "synthesised bank", optics=optics)

    def integer_planes(self) -> PsfBank:
        """The bank's planes at integer psi, as the paper's DCM uses them, if they cover the bank; else the bank itself.

        They cover it when they are one apart and include its first and last plane.
        """
        keep = np.isclose(self.psi, np.round(self.psi), atol=1e-6)
        covers = keep[0] and keep[-1] and np.allclose(np.diff(self.psi[keep]), 1)
        if keep.all() or not covers:
            return self
        return replace(self, psf=self.psf[torch.from_numpy(keep)], psi=self.psi[keep])

    def energy(self, box: int) -> np.ndarray:
        """Share of each kernel's energy inside a centred `box` x `box` window: [P, C] in [0, 1] (paper, Table 3)."""
        if not 0 < box <= self.size or box % 2 == 0:
            raise InputError(f"energy box {box}: use an odd size up to the kernel's {self.size} taps")
        lo = (self.size - box) // 2
        return self.psf[:, :, lo : lo + box, lo : lo + box].sum(dim=(2, 3), dtype=torch.float64).numpy()

    def save(self, path: Path) -> None:
        """Writes .npz (`psf`, `psi` and the lens), or .mat in the released code's layout, by the file's ending."""
        suffix = path.suffix.lower()
        if suffix not in (".npz", ".mat"):
            raise InputError(f"{path}: a PSF bank is saved as .npz or .mat")
        if suffix == ".mat" and self.n_latent != self.n_channels:
            raise InputError(f"{path}: the released code's layout knows no latent channels; save the bank as .npz")
        with replacing(path) as temporary:
            if suffix == ".mat":
                savemat(temporary, {"data": _mat_fields(self)}, appendmat=False)
                return
            with temporary.open("wb") as file:
                lens = {name: np.float64(value) for name, value in vars(self.lens).items()}
                latent = np.array(self.latent)
                np.savez(file, allow_pickle=False, psf=self.psf.numpy(), psi=self.psi, latent=latent, **lens)

    @classmethod
    def load(cls, path: Path | str) -> PsfBank:
        """Reads .npz or the released `data.mat`.

        .npz holds the arrays `psf` [P, C, K, K] and `psi` [P] (rad) or `dioptres` [P] (1/m); the lens's numbers and
        `latent` [C] are optional. Planes may stand in any order. Raises InputError for a file that is missing,
        unreadable or does not hold a valid bank.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; make a bank with 'dpcip psf --out bank.npz'")
        readers = {".npz": _read_npz, ".mat": _read_mat}
        if path.suffix.lower() not in readers:
            raise InputError(f"{path}: a PSF bank is a .npz or .mat file")
        try:
            psf, psi, lens, latent = readers[path.suffix.lower()](path)
        except InputError as error:
            told = str(error)
            raise InputError(told if told.startswith(str(path)) else f"{path}: {told}") from error
        except NotImplementedError as error:  # scipy's for MATLAB's HDF5
            raise InputError(f"{path}: is a MATLAB 7.3 file; save it with 'save -v7'") from error
        except (Exception, MemoryError) as error:  # the readers raise many kinds for a damaged file
            raise InputError(f"{path}: cannot be read as a PSF bank ({one_line(error)[:120]}); make it anew") from error
        if psi.ndim == 1 and len(psi) == len(psf):
            order = np.argsort(psi, kind="stable")
            psf, psi = np.ascontiguousarray(psf[order]), psi[order]
        return cls(torch.from_numpy(psf), psi, lens, str(path), latent)


Contents = tuple[np.ndarray, np.ndarray, Lens, tuple[int, ...]]  # psf, psi, lens, latent


def _read_npz(path: Path) -> Contents:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        missing = {"psf"} - set(archive.files) | ({"psi"} if not {"psi", "dioptres"} & set(archive.files) else set())
        if missing:
            names = " and ".join(sorted(missing))
            raise InputError(f"{path}: has no array {names}; it needs psf [P, C, K, K] and psi (or dioptres) [P]")
        known = {"psf", "psi", "dioptres", "latent", *vars(Lens())}
        strange = [name for name in archive.files if name not in known and archive[name].size == 1]
        if strange:  # a lens's number under another name would be taken for the published camera's
            raise InputError(
                f"{path}: has unknown numbers {', '.join(strange)}; the lens's are {', '.join(vars(Lens()))}"
            )
        lens = Lens(**{name: float(archive[name].item()) for name in vars(Lens()) if name in archive.files})
        psf = archive["psf"]
        if "psi" in archive.files:
            psi = np.asarray(archive["psi"], dtype=np.float64)
        else:
            psi = lens.psi_from_dioptres(np.asarray(archive["dioptres"], dtype=np.float64))
        latent = tuple(int(number) for number in np.ravel(archive["latent"])) if "latent" in archive.files else ()
    if not np.issubdtype(psf.dtype, np.floating):
        raise InputError(f"{path}: psf is {psf.dtype}; store it as float32")
    return psf.astype(np.float64 if psf.dtype == np.float64 else np.float32), psi, lens, latent


def _mat_fields(bank: PsfBank) -> dict[str, object]:
    """The struct of the released `data.mat` (released code, `networks/DCM.py`); lengths in mm, wavelength in nm."""
    psi = bank.psi
    return {
        "radius": bank.lens.aperture_radius_mm,
        "ref_wl": bank.lens.reference_wavelength_nm,
        "focus_point": bank.lens.focus_m * 1e3,
        "Psi": psi[None],
        "min_dist": bank.lens.depth_from_psi(float(psi[-1])) * 1e3,
        "psf_kernels": np.ascontiguousarray(bank.psf.numpy().transpose(1, 2, 3, 0)).astype(np.float64),
        "map_interval": float(psi[1] - psi[0]),
        "num_psi_classes": float(len(psi)),
        "downsample_factor": 1.0,
        "dn_fs": 1.0,
        "units": MAT_UNITS,  # an eleventh field, which the released code does not look at
    }


def _read_mat(path: Path) -> Contents:
    contents = loadmat(path)
    if "data" not in contents:
        raise InputError(f"{path}: has no struct 'data'; expected the released code's data.mat layout")
    struct = contents["data"][0, 0]
    missing = {"psf_kernels", "Psi"} - set(struct.dtype.names or ())
    if missing:
        raise InputError(f"{path}: struct 'data' has no field {' and '.join(sorted(missing))}")
    kernels = np.asarray(struct["psf_kernels"], dtype=np.float64)  # [C, K, K, P]
    if kernels.ndim != 4:
        raise InputError(f"{path}: psf_kernels has shape {kernels.shape}; expected [channels, K, K, planes]")
    psi = np.asarray(struct["Psi"], dtype=np.float64).ravel()
    psf = np.ascontiguousarray(kernels.transpose(3, 0, 1, 2))
    return psf, psi, _mat_lens(struct, path), ()


def _mat_lens(struct: np.void, path: Path) -> Lens:
    """The lens of a data.mat, whose lengths are in metres or in the released code's own units (mm, nm)."""
    names = struct.dtype.names or ()

    def value(name: str, default: float) -> float:
        return float(np.asarray(struct[name]).item()) if name in names else default

    lengths = {"radius", "ref_wl", "focus_point"}
    if (missing := lengths - set(names)) and (strange := set(names) - MAT_FIELDS):
        raise InputError(f"{path}: has no {', '.join(sorted(missing))}, but {', '.join(sorted(strange))}; rename them")
    radius, wavelength, focus = value("radius", 1.14), value("ref_wl", 455.0), value("focus_point", 900.0)
    if "units" in names and str(np.asarray(struct["units"]).item()) == MAT_UNITS:
        return Lens(radius, wavelength, focus * 1e-3)
    if radius < 0.05:  # no aperture is 0.05 mm: the value is in metres
        radius *= 1e3
    if wavelength < 1e-2:  # 455e-9 m or 455e-6 mm
        wavelength *= 1e9 if wavelength < 1e-5 else 1e6
    if focus > 20:  # millimetres: no coded camera focuses at 20 m
        focus *= 1e-3
    return Lens(radius, wavelength, focus)

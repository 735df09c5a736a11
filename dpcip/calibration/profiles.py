"""PSFs from photographs of known scenes: a radial profile a distance and channel, by non-negative least squares.

A photograph `y` of a scene at one distance is its sharp original `x` convolved with one PSF a channel. The PSF of a
mask of rings depends on the distance from its centre alone, so `h = sum_i c_i K_i`, where K_i is a B-spline in the
radius, averaged over the pixel's area; `y = sum_i c_i (K_i * x)` is linear in the coefficients c_i >= 0. Only pixels
that see one distance within the kernel's reach enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.interpolate import BSpline
from scipy.linalg import qr
from scipy.optimize import nnls

from dpcip.optics.psf import SUBSAMPLES
from dpcip.utils.errors import InputError

LEVEL_STEP = 0.1  # rad: psi within such a step count as one distance
KNOT_STEP_PX = 0.5  # between the splines' knots: a synthesised PSF is met to 5e-4 of its sum, 71 taps
MOST_PIXELS = 60_000  # of a level that enter the fit, evenly spread; more add nothing but time
PIXELS_PER_COEFFICIENT = 10  # below which a level is left out
LEAST_TEXTURE = 2 / 255  # standard deviation of the sharp image's departure from its mean over a kernel
UNEXPLAINED = 0.25  # share of the capture's variance that no blur explains: above it the two are not the same view
SUSPICIOUS = 0.03  # the same share, above which a capture with more detail than its original is taken for the original
MOST_TAPS = 151  # along a side of a kernel: the splines of larger ones take gigabytes
MOST_SHIFT_PX = 1.0  # between capture and sharp original


@dataclass(frozen=True)
class Chart:
    """One photograph of a known scene: coded and sharp [C, H, W] in [0, 1], registered, and psi [H, W] (rad)."""

    coded: np.ndarray
    sharp: np.ndarray
    psi: np.ndarray
    name: str = "chart"

    def __post_init__(self) -> None:
        for what, shape in (("sharp original", self.sharp.shape[1:]), ("depth map", self.psi.shape)):
            if shape != self.coded.shape[1:]:
                ours, theirs = (f"{s[1]}x{s[0]}" for s in (self.coded.shape[1:], shape))
                raise InputError(f"{self.name}: is {ours} pixels, its {what} {theirs}; crop them to the same view")
        if len(self.sharp) != len(self.coded):
            raise InputError(f"{self.name}: has {len(self.coded)} channels, its sharp original {len(self.sharp)}")


class RadialBasis:
    """Kernels `K_i` of `size` x `size` taps whose sums are the radial kernels: cubic B-splines of the radius."""

    def __init__(self, size: int) -> None:
        if size < 3 or size % 2 == 0:
            raise InputError(f"kernel size {size}: use an odd number of taps, at least 3")
        if size > MOST_TAPS:
            raise InputError(f"kernel size {size}: use {MOST_TAPS} taps at most to calibrate")
        self.size = size
        half = size // 2
        self.reach_px = (half + 1) * np.sqrt(2)
        n_spans = int(np.ceil(self.reach_px / KNOT_STEP_PX))
        self._knots = KNOT_STEP_PX * np.arange(-3, n_spans + 4)
        offset = (np.arange(SUBSAMPLES) - (SUBSAMPLES - 1) / 2) / SUBSAMPLES
        coordinate = (np.arange(-half, half + 1)[:, None] + offset).ravel()
        splines = self.at(np.hypot(coordinate[:, None], coordinate).ravel())
        tiled = splines.reshape(size, SUBSAMPLES, size, SUBSAMPLES, -1)
        self.kernels = tiled.mean(axis=(1, 3)).transpose(2, 0, 1)  # [n, K, K]
        self.sums = self.kernels.sum(axis=(1, 2))

    def __len__(self) -> int:
        return len(self._knots) - 4

    def at(self, radius_px: np.ndarray) -> np.ndarray:
        """The splines' values at radii [n_radii] within reach: [n_radii, n]."""
        return BSpline.design_matrix(radius_px, self._knots, 3).toarray()

    @cached_property
    def radii_px(self) -> np.ndarray:
        """Radii that determine the coefficients of a smooth profile."""
        return np.arange(0, self.reach_px, KNOT_STEP_PX / 2)

    @cached_property
    def fit(self) -> np.ndarray:
        return np.linalg.pinv(self.at(self.radii_px), rcond=1e-10)

    def coefficients(self, profile: np.ndarray) -> np.ndarray:
        """Coefficients of kernels that sum to 1, from profiles at `radii_px`: [..., n_radii] -> [..., n]."""
        found = profile @ self.fit.T
        return found / (found @ self.sums)[..., None]

    def kernel(self, coefficients: np.ndarray) -> np.ndarray:
        """[..., n] -> [..., K, K]."""
        return np.tensordot(coefficients, self.kernels, axes=1)


@dataclass(frozen=True)
class LevelData:
    """What one channel's pixels at one distance say about its PSF, condensed to a triangle.

    The sum of squares of `y - A c` over `n_pixels` is `|triangle @ c - target|^2 + rest` for any coefficients c [n]:
    the QR decomposition of the pixels' equations.
    """

    triangle: np.ndarray  # [n, n]
    target: np.ndarray  # [n]
    rest: float
    n_pixels: int

    def gain(self, coefficients: np.ndarray) -> float:
        """Exposure of the capture relative to its sharp original that suits a PSF best (1 for a simulated one)."""
        predicted = self.triangle @ coefficients
        return float(predicted @ self.target / (predicted @ predicted))

    def rmse(self, coefficients: np.ndarray) -> float:
        """Root mean square error of the capture predicted with a PSF at its best gain, of full scale."""
        residual = self.gain(coefficients) * (self.triangle @ coefficients) - self.target
        return float(np.sqrt((residual @ residual + self.rest) / self.n_pixels))


@dataclass(frozen=True)
class Level:
    """One distance: defocus psi (rad), what the pixels say [C], and the measured profiles [C, n], of sum 1.

    shift_px: [C, 2], how far down and right the capture lies of its sharp original; of several photographs, the most.
    """

    psi: float
    data: tuple[LevelData, ...]
    profiles: np.ndarray
    shift_px: np.ndarray

    @property
    def rmse(self) -> np.ndarray:
        """What the measured profiles leave of the capture, of full scale: [C]. Noise, if the PSFs are radial."""
        return np.array([channel.rmse(p) for channel, p in zip(self.data, self.profiles, strict=True)])


def measure(charts: list[Chart], basis: RadialBasis) -> list[Level]:
    """The PSFs at every distance that the charts show widely enough, by rising psi.

    Raises InputError if there is none, or if a distance has too little texture to tell a PSF.
    """
    n_needed = PIXELS_PER_COEFFICIENT * len(basis)
    views: dict[int, list[tuple[Chart, np.ndarray]]] = {}
    most = 0
    for chart in charts:
        for step, inside in _interiors(chart.psi, basis.size).items():
            most = max(most, int(inside.sum()))
            if inside.sum() >= n_needed:
                views.setdefault(step, []).append((chart, inside))
    if not views:
        raise InputError(
            f"{charts[0].name}: no region at one depth is wide enough: {most} pixels have only their own depth within "
            f"{basis.size // 2} pixels, {n_needed} are needed; photograph a flat chart, or use a smaller --size"
        )
    return [_measure_level(views[step], basis) for step in sorted(views)]


def _interiors(psi: np.ndarray, size: int) -> dict[int, np.ndarray]:
    """Pixels that have one level of psi, and no border, within a kernel's reach: level -> mask [H, W].

    Levels are multiples of LEVEL_STEP.
    """
    steps = np.round(psi / LEVEL_STEP).astype(np.int64)
    window = np.ones((size, size), np.uint8)
    values, counts = np.unique(steps, return_counts=True)
    return {
        int(value): cv2.erode(
            (steps == value).astype(np.uint8), window, borderType=cv2.BORDER_CONSTANT, borderValue=0
        ).astype(bool)
        for value in values[counts >= size**2]
    }


def _measure_level(views: list[tuple[Chart, np.ndarray]], basis: RadialBasis) -> Level:
    psi = float(np.concatenate([chart.psi[inside] for chart, inside in views]).mean())
    for chart, inside in views:
        departure = chart.sharp - np.stack([cv2.blur(channel, (basis.size, basis.size)) for channel in chart.sharp])
        if (contrast := departure[:, inside].std(axis=1).min()) < LEAST_TEXTURE:
            raise InputError(
                f"{chart.name}: the sharp original has too little texture at psi = {psi:.1f} (contrast "
                f"{255 * contrast:.1f} of 255 levels in a channel); use a chart with fine detail"
            )
    indices = [_thinned(inside, MOST_PIXELS // len(views)) for _, inside in views]
    charts = [chart for chart, _ in views]
    parts = [_equations(chart, index, basis) for chart, index in zip(charts, indices, strict=True)]
    pixels = [np.concatenate(rows) for rows in zip(*parts, strict=True)]
    n_needed = PIXELS_PER_COEFFICIENT * len(basis)
    if (n_exposed := min(map(len, pixels))) < n_needed:
        raise InputError(
            f"{charts[0].name}: only {n_exposed} pixels of a channel are neither black nor saturated "
            f"at psi = {psi:.1f}, {n_needed} are needed; expose anew"
        )
    data = tuple(map(_condensed, pixels))
    profiles = np.stack([_profile(channel, basis) for channel in data])
    gains = np.array([channel.gain(profile) for channel, profile in zip(data, profiles, strict=True)])
    kernels = gains[:, None, None] * basis.kernel(profiles)
    shifts = [_checked_shift(chart, index, kernels, psi) for chart, index in zip(charts, indices, strict=True)]
    return Level(psi, data, profiles, max(shifts, key=lambda shift: np.abs(shift).max()))


def _thinned(inside: np.ndarray, most: int) -> np.ndarray:
    """Flat indices of at most so many of the pixels, drawn at random but always the same."""
    index = np.flatnonzero(inside)
    return index if len(index) <= most else np.sort(np.random.default_rng(0).choice(index, most, replace=False))


def _checked_shift(chart: Chart, index: np.ndarray, kernels: np.ndarray, psi: float) -> np.ndarray:
    """How far the capture is shifted against the sharp original blurred by `kernels` [C, K, K]: [C, 2], pixels.

    To first order, from the blurred image's slopes. Raises InputError if the two do not belong together.
    """
    shifts = []
    rows, columns = np.unravel_index(index, chart.psi.shape)
    swapped = all(_detail(coded) > _detail(sharp) for coded, sharp in zip(chart.coded, chart.sharp, strict=True))
    for sharp, coded, kernel in zip(chart.sharp, chart.coded, kernels, strict=True):
        blurred = cv2.filter2D(sharp.astype(np.float64), -1, kernel)  # symmetric: correlation is convolution
        slopes = np.stack([slope[rows, columns] for slope in np.gradient(blurred)], axis=1)
        wanted = coded[rows, columns]
        residual = wanted - blurred[rows, columns]
        if swapped and residual.var() > SUSPICIOUS * wanted.var():
            raise InputError(
                f"{chart.name}: is sharper than its sharp original, and no blur explains it (it leaves "
                f"{255 * residual.std():.1f} of {255 * wanted.std():.1f} grey levels); are --coded and --sharp swapped?"
            )
        found, *_ = np.linalg.lstsq(slopes, -(residual - residual.mean()), rcond=None)
        if residual.var() > UNEXPLAINED * wanted.var() or np.abs(found).max() > MOST_SHIFT_PX:
            raise InputError(
                f"{chart.name}: does not lie on its sharp original at psi = {psi:.1f} (blurring leaves "
                f"{255 * residual.std():.1f} of {255 * wanted.std():.1f} grey levels of contrast, shift about "
                f"{found[0]:.1f} pixels down and {found[1]:.1f} right); register the two"
            )
        shifts.append(found)
    return np.array(shifts)


def _detail(channel: np.ndarray) -> float:
    """Share of a picture's contrast [H, W] that lies within three pixels."""
    return float((channel - cv2.blur(channel, (3, 3))).std() / max(channel.std(), 1e-9))


def _equations(chart: Chart, index: np.ndarray, basis: RadialBasis) -> list[np.ndarray]:
    """For each channel the equations `[K_1 * x, ..., K_n * x | y]` of the pixels at flat `index`: [C][n_pixels, n + 1].

    Pixels where the capture is black or saturated are left out. The convolutions are circular, which the pixels,
    a kernel's reach away from the border, do not notice.
    """
    height, width = chart.psi.shape
    fft_size = [next_fast_len(n, real=True) for n in (height, width)]
    shift = basis.size // 2
    spectra = rfft2(chart.sharp.astype(np.float64), s=fft_size)
    rows, columns = np.unravel_index(index, (height, width))
    equations = [np.empty((len(index), len(basis) + 1)) for _ in chart.sharp]
    for i, kernel in enumerate(basis.kernels):
        centred = np.zeros(fft_size)
        centred[: basis.size, : basis.size] = kernel
        transfer = rfft2(np.roll(centred, (-shift, -shift), axis=(0, 1)))
        for spectrum, matrix in zip(spectra, equations, strict=True):
            matrix[:, i] = irfft2(spectrum * transfer, s=fft_size)[rows, columns]
    for coded, matrix in zip(chart.coded, equations, strict=True):
        matrix[:, -1] = coded[rows, columns]
    return [matrix[(matrix[:, -1] > 0) & (matrix[:, -1] < 1)] for matrix in equations]


def _condensed(equations: np.ndarray) -> LevelData:
    (full,) = qr(equations, mode="r", overwrite_a=True, check_finite=False)
    full = full[: equations.shape[1]]
    n = full.shape[1] - 1
    return LevelData(full[:n, :n], full[:n, n], float(full[n, n] ** 2), len(equations))


def _profile(data: LevelData, basis: RadialBasis) -> np.ndarray:
    """Non-negative coefficients of sum 1 that suit the pixels best."""
    found, _ = nnls(data.triangle, data.target, maxiter=30 * len(basis))
    return found / (found @ basis.sums)

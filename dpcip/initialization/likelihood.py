"""Depth without iterating: how likely each defocus is in each window of the capture, from its colour spectra.

The model: in a small window the sharp image is a random texture with power `s^2 |f|^-p`, alike in all channels, seen
through the PSF of one plane, with sensor noise on top. Then the channels' spectra at one frequency f are Gaussian with
a 3x3 covariance that depends on the plane k,

    S_k(f) = s^2 E_W[ |f|^-p (H_k(f) C H_k(f)* + u^2 I) ] + sigma^2 I

H_k: the channels' OTFs on a diagonal; C: correlation of the channels; E_W: smearing by the window; u: the mismatch,
what no PSF of the bank explains (depth edges, saturated spots, PSFs that are not the camera's). No image is
estimated, so nothing can make up for a wrong depth: this is the marginal likelihood that Levin et al. (2009) advise,
where the naive sweep (deconvolve at each plane, compare residuals) fails. Natural textures are not Gaussian: s may
differ from one frequency to the next by a factor of e^+-1.5, which is averaged over; its mean level is fitted.

For a given s the log-likelihood of a spectrum y at f, `-y* S_k^-1 y - log det S_k`, is linear in the real numbers of
which y y* consists and a 1: ten features for three channels. A table holds the factors of every plane, frequency and s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dpcip.camera.noise import ROUNDING, Level, typical
from dpcip.initialization.level_mixture import LANES, N_LEVELS, mixed
from dpcip.optics.psf import PsfBank

MISMATCH = 0.01  # of exact PSFs: what no PSF explains are depth edges and saturated spots

WINDOW_PX = 24  # side of a Hann window; of 16, 24, 32 and 48 the best after smoothing (docs: notebook on the solver)
STRIDE_PX = 4
SPECTRUM_SLOPE = 2.4  # p above
CHANNEL_CORRELATION = 0.98
LOWEST_CYCLES = 2.5  # in a window: lower frequencies hardly tell planes apart and suffer from the window
LEVELS = torch.logspace(-3, 1, N_LEVELS)  # amplitudes s that are tried
LEVEL_SPREAD = 1.5  # standard deviation of ln s between frequencies
CHUNK = 12288  # windows and channels at once


def half_planes(bank: PsfBank) -> PsfBank:
    """The bank with a plane added between every two: their mean, which is what the DCM's hat weights make there."""
    psf = torch.empty(2 * len(bank.psf) - 1, *bank.psf.shape[1:], dtype=bank.psf.dtype)
    psf[::2], psf[1::2] = bank.psf, (bank.psf[1:] + bank.psf[:-1]) / 2
    psi = np.interp(np.arange(len(psf)) / 2, np.arange(len(bank.psi)), bank.psi)
    return replace(bank, psf=psf, psi=psi)


def hann_window(window_px: int) -> Tensor:
    """Separable Hann window [N, N], float64, with unit energy: white noise keeps its variance."""
    line = torch.hann_window(window_px + 2, periodic=False, dtype=torch.float64)[1:-1]
    window = line[:, None] * line
    return window / window.norm()


def texture_covariance(
    psf: Tensor,
    window: Tensor,
    latent: tuple[int, ...],
    mismatch: float = MISMATCH,
    channel_correlation: float = CHANNEL_CORRELATION,
) -> Tensor:
    """Covariance of the channels' windowed spectra for a texture with s = 1: [C, K, K] -> [N, N // 2 + 1, C, C].

    latent: see PsfBank; channels that see the same are fully correlated, others by `channel_correlation`. mismatch:
    amplitude of what the PSFs do not explain, alike at all depths and of its own in each channel, as a share of the
    texture's.
    Exact for a stationary texture: its autocovariance is multiplied by the window's, then transformed. Without that
    the window's leakage fills the zeros of the OTF, and every psi comes out too close to the focus.
    """
    n, taps = len(window), psf.shape[-1]
    side = n * max(4, -(-(taps + n) // n))  # room for kernel and window, a multiple of n
    shifted = torch.zeros(len(psf), side, side, dtype=torch.float64)
    shifted[:, :taps, :taps] = psf
    otf = torch.fft.rfft2(shifted.roll((-(taps // 2), -(taps // 2)), dims=(-2, -1)))
    frequency = _frequency(side)
    power = (frequency * n).clamp_min(1) ** -SPECTRUM_SLOPE
    identity = torch.eye(len(psf), dtype=torch.float64)
    same = torch.tensor([[a == b for b in latent] for a in latent], dtype=torch.float64)
    correlation = channel_correlation + (1 - channel_correlation) * same
    spectrum = otf[:, None] * correlation[..., None, None] * otf.conj() + mismatch**2 * identity[..., None, None]
    padded = torch.zeros(side, side, dtype=torch.float64)
    padded[:n, :n] = window
    overlap = torch.fft.irfft2(torch.fft.rfft2(padded).abs() ** 2, s=(side, side))
    autocovariance = torch.fft.irfft2(spectrum * power, s=(side, side)) * overlap
    folded = autocovariance.reshape(*spectrum.shape[:2], side // n, n, side // n, n).sum(dim=(2, 4))
    return torch.fft.rfft2(folded).permute(2, 3, 0, 1)


def _frequency(side: int) -> Tensor:
    """|f| in cycles a pixel on the grid of an rfft2."""
    vertical = torch.fft.fftfreq(side, dtype=torch.float64)
    return torch.hypot(vertical[:, None], torch.fft.rfftfreq(side, dtype=torch.float64)[None])


def _mirror(image: Tensor, dim: int, margin: tuple[int, int]) -> Tensor:
    """Reflects an axis outwards by any margin, also one longer than the image."""
    size = image.shape[dim]
    index = np.pad(np.arange(size), margin, mode="reflect") if size > 1 else np.zeros(sum(margin) + 1, int)
    return image.index_select(dim, torch.as_tensor(index))


@dataclass(frozen=True)
class LikelihoodTables:
    """What the likelihood needs to know of a bank at one noise and window: made once, good for any number of captures.

    factors: float32 [P, F, levels, C^2 + 1], log2-likelihood per feature. used: [F], which frequencies of a window's
    rfft2 are looked at. pairs: float32 [F], 1 for a frequency that stands for its mirror image, too, with which it
    shares one complex number; 1/2 for one whose mirror image is there as well, or itself. mixture: float32 [levels,
    levels], how a frequency's level is spread around its window's. window: float32 [N, N]. noise: see `of`.
    """

    factors: np.ndarray
    used: np.ndarray
    pairs: np.ndarray
    mixture: np.ndarray
    window: Tensor
    noise: float

    @classmethod
    def of(
        cls,
        bank: PsfBank,
        noise: float = ROUNDING,
        window_px: int = WINDOW_PX,
        mismatch: float = MISMATCH,
        channel_correlation: float = CHANNEL_CORRELATION,
    ) -> LikelihoodTables:
        """The tables of a bank's planes.

        noise: the sensor's standard deviation, full scale 1. mismatch, channel_correlation: see `texture_covariance`.
        """
        window, frequency = hann_window(window_px), _frequency(window_px)
        used = (frequency >= LOWEST_CYCLES / window_px) & (frequency <= 0.5)
        pairs = torch.ones(frequency.shape)
        pairs[:, 0] = 0.5
        if window_px % 2 == 0:
            pairs[:, -1] = 0.5
        textures = (
            texture_covariance(psf.double(), window, bank.latent, mismatch, channel_correlation)[used]
            for psf in bank.psf
        )
        factors = torch.stack([_factors(texture, noise) for texture in textures])
        distance = (LEVELS.log()[:, None] - LEVELS.log()) / LEVEL_SPREAD
        mixture = torch.softmax(-(distance**2) / 2, dim=1)
        return cls(
            factors.numpy(),
            used.flatten().nonzero()[:, 0].numpy(),
            pairs[used].numpy(),
            mixture.numpy(),
            window.float(),
            noise,
        )

    def score(self, capture: Tensor, noise: Tensor | None = None) -> Tensor:
        """Log-likelihood of each plane around every fourth pixel: float32 [P, ceil(H / 4), ceil(W / 4)].

        capture: [C, H, W] in [0, 1], linear in light. noise: its standard deviation, [C, H, W], where it is not the
        tables' own everywhere; a window whose noise is larger counts as one of so much less contrast. Values are
        defined up to a constant in each column; neighbouring windows overlap, so they are not independent. On the CPU,
        with torch's number of threads; strip by strip, so that the memory beside capture and result stays below 200 MB
        (a row of windows may take more).
        """
        capture = capture.float().cpu()
        if noise is None:
            return torch.cat([self._strip(windows) for windows in self._strips(capture)], dim=1)
        variance = noise.float().cpu().square().mean(dim=0, keepdim=True)
        together = self._strips(torch.cat([capture, variance]))
        return torch.cat([self._strip(windows[:-1], windows[-1]) for windows in together], dim=1)

    def _strips(self, capture: Tensor) -> Iterator[Tensor]:
        """Windows [C, rows, columns, N, N] around every STRIDE_PX-th pixel, about CHUNK or one row at once."""
        n = len(self.window)
        margin = (n // 2, n - n // 2 - 1)
        mirrored = _mirror(_mirror(capture, -1, margin), -2, margin)
        windows = mirrored.unfold(1, n, STRIDE_PX).unfold(2, n, STRIDE_PX)
        yield from windows.split(max(1, CHUNK // (windows.shape[0] * windows.shape[2])), dim=1)

    def _strip(self, windows: Tensor, variance: Tensor | None = None) -> Tensor:
        """Windows [C, rows, columns, N, N], their noise [rows, columns, N, N] -> [P, rows, columns]."""
        mean = (windows * self.window**2).sum(dim=(-2, -1), keepdim=True)
        if variance is not None:  # noise of the tables' size, and the texture with it
            within = (variance * self.window**2).sum(dim=(-2, -1), keepdim=True)
            windows, mean = windows * (self.noise / within.sqrt()), mean * (self.noise / within.sqrt())
        spectra = torch.fft.rfft2((windows - mean) * self.window).flatten(3).flatten(1, 2).numpy()
        score = np.empty((len(self.factors), spectra.shape[1]), np.float32)
        starts = np.arange(0, spectra.shape[1], LANES)
        shares = np.array_split(starts, min(torch.get_num_threads(), len(starts)))

        def fill(share: np.ndarray) -> None:
            part = slice(share[0], share[-1] + LANES)
            mixed(spectra[:, part], self.used, self.factors, self.mixture, self.pairs, score[:, part])

        if len(shares) == 1:
            fill(shares[0])
        else:
            with ThreadPoolExecutor(len(shares)) as pool:
                list(pool.map(fill, shares))
        return torch.from_numpy(score).reshape(-1, *windows.shape[1:3])


def _factors(texture: Tensor, noise: float) -> Tensor:
    """log2-likelihood per feature for a plane whose texture has this covariance: [F, C, C] -> [F, levels, C^2 + 1]."""
    n_channels = texture.shape[-1]
    identity = torch.eye(n_channels, dtype=torch.float64)
    covariance = LEVELS.double()[:, None, None] ** 2 * texture[:, None] + noise**2 * identity
    root = torch.linalg.cholesky(covariance)
    inverse = torch.cholesky_inverse(root)
    log_determinant = 2 * root.diagonal(dim1=-2, dim2=-1).real.log().sum(dim=-1, keepdim=True)
    one, other = torch.triu_indices(n_channels, n_channels, offset=1)
    crossed = 2 * inverse[..., one, other]
    crossed = torch.stack([crossed.real, -crossed.imag], dim=-1).flatten(-2)
    quadratic = [inverse.diagonal(dim1=-2, dim2=-1).real, crossed, log_determinant]
    return (-torch.cat(quadratic, dim=-1) / math.log(2)).float()


def depth_likelihood(
    capture: Tensor,
    bank: PsfBank,
    noise: Level = ROUNDING,
    window_px: int = WINDOW_PX,
    mismatch: float = MISMATCH,
) -> Tensor:
    """`LikelihoodTables.score` with tables for this capture alone."""
    tables = LikelihoodTables.of(bank, typical(noise), window_px, mismatch)
    return tables.score(capture, noise if isinstance(noise, Tensor) else None)

"""Depth without iterating: how likely each defocus is in each window of the capture, from its colour spectra.

The model: in a small window the sharp image is a random texture with power `s^2 |f|^-p`, alike in all channels, seen
through the PSF of one plane, with sensor noise on top. Then the channels' spectra at one frequency f are Gaussian with
a 3x3 covariance that depends on the plane k,

    S_k(f) = s^2 E_W[ |f|^-p H_k(f) C H_k(f)* ] + sigma^2 I

H_k: the channels' OTFs on a diagonal; C: correlation of the channels; E_W: smearing by the window. No image is
estimated, so nothing can make up for a wrong depth: this is the marginal likelihood that Levin et al. (2009) advise,
where the naive sweep (deconvolve at each plane, compare residuals) fails. Natural textures are not Gaussian: s may
differ from one frequency to the next by a factor of e^+-1.5, which is averaged over; its mean level is fitted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dpcip.psf import PsfBank
from dpcip.settings import ROUNDING

WINDOW_PX = 24  # side of a Hann window; of 16, 24, 32 and 48 the best after smoothing (docs: notebook on the solver)
STRIDE_PX = 4
SPECTRUM_SLOPE = 2.4  # p above
CHANNEL_CORRELATION = 0.98
UNBLURRED = 0.01  # amplitude of what the PSFs do not explain (depth edges, saturated spots), as a share of the texture
LOWEST_CYCLES = 2.5  # in a window: lower frequencies hardly tell planes apart and suffer from the window
LEVELS = torch.logspace(-3, 1, 9)  # amplitudes s that are tried
LEVEL_SPREAD = 1.5  # standard deviation of ln s between frequencies
CHUNK = 4096  # windows at once


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


def texture_covariance(psf: Tensor, window: Tensor, latent: tuple[int, ...]) -> Tensor:
    """Covariance of the channels' windowed spectra for a texture with s = 1: [C, K, K] -> [N, N // 2 + 1, C, C].

    latent: see PsfBank; channels that see the same are fully correlated.
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
    correlation = CHANNEL_CORRELATION + (1 - CHANNEL_CORRELATION) * same
    spectrum = otf[:, None] * correlation[..., None, None] * otf.conj() + UNBLURRED**2 * identity[..., None, None]
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


def _spectra(capture: Tensor, window: Tensor, used: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Windowed spectra around every STRIDE_PX-th pixel: [windows, F, C] complex, and the grid's rows and columns."""
    n = len(window)
    margin = (n // 2, n - n // 2 - 1)
    mirrored = _mirror(_mirror(capture, -1, margin), -2, margin)
    patches = mirrored.unfold(1, n, STRIDE_PX).unfold(2, n, STRIDE_PX)
    grid = (patches.shape[1], patches.shape[2])
    weight = window.float()
    mean = (patches * weight**2).sum(dim=(-2, -1), keepdim=True)
    spectra = torch.fft.rfft2((patches - mean) * weight)[..., used]
    return spectra.permute(1, 2, 3, 0).flatten(0, 1), grid


def _mirror(image: Tensor, dim: int, margin: tuple[int, int]) -> Tensor:
    """Reflects an axis outwards by any margin, also one longer than the image."""
    size = image.shape[dim]
    index = np.pad(np.arange(size), margin, mode="reflect") if size > 1 else np.zeros(sum(margin) + 1, int)
    return image.index_select(dim, torch.as_tensor(index))


def depth_likelihood(capture: Tensor, bank: PsfBank, noise: float = ROUNDING, window_px: int = WINDOW_PX) -> Tensor:
    """Log-likelihood of each plane around every fourth pixel: float32 [P, ceil(H / 4), ceil(W / 4)].

    capture: [C, H, W] in [0, 1], linear in light. noise: the sensor's standard deviation, full scale 1. Values are
    defined up to a constant in each column; neighbouring windows overlap, so they are not independent.
    """
    window = hann_window(window_px)
    frequency = _frequency(window_px)
    used = (frequency >= LOWEST_CYCLES / window_px) & (frequency <= 0.5)
    count = torch.full(frequency.shape, 2.0)  # an rfft2 holds half of the plane: most frequencies stand for a pair
    count[:, 0] = 1
    if window_px % 2 == 0:
        count[:, -1] = 1
    spectra, grid = _spectra(capture.float().cpu(), window, used)
    scores = [
        _plane_score(spectra, texture_covariance(p, window, bank.latent)[used], count[used], noise)
        for p in bank.psf.double()
    ]
    return torch.stack(scores).reshape(len(bank.psf), *grid)


def _plane_score(spectra: Tensor, covariance: Tensor, count: Tensor, noise: float) -> Tensor:
    """Log-likelihood of one plane in every window: spectra [windows, F, C], covariance [F, C, C] -> [windows]."""
    eigenvalue, vector = torch.linalg.eigh(covariance)
    vector = vector.to(torch.complex64)
    variance = LEVELS[:, None, None] ** 2 * eigenvalue.clamp_min(0).float() + noise**2  # [levels, F, C]
    log_determinant = variance.log().sum(dim=-1).T
    scores = []
    for part in spectra.split(CHUNK):
        energy = torch.einsum("nfc,fci->nfi", part, vector.conj()).abs().square()
        scores.append(_over_levels(-torch.einsum("nfi,lfi->nfl", energy, 1 / variance) - log_determinant, count / 2))
    return torch.cat(scores)


def _over_levels(log_likelihood: Tensor, pairs: Tensor) -> Tensor:
    """Averages each frequency over the amplitudes near the window's level, and takes the best level.

    A frequency and its mirror image hold one complex number: `pairs` is 1 where one of them is there, 1/2 for both.
    """
    distance = (LEVELS.log()[:, None] - LEVELS.log()) / LEVEL_SPREAD
    mixture = torch.softmax(-(distance**2) / 2, dim=1)  # [level of the window, level of the frequency]
    largest = log_likelihood.amax(dim=-1, keepdim=True)
    mixed = ((log_likelihood - largest).exp() @ mixture.T).clamp_min(1e-30).log() + largest
    return torch.einsum("nfl,f->nl", mixed, pairs).amax(dim=1)

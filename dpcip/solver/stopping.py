"""When a solve has done its work, judged without ground truth: by its loss and by the noise of the capture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CONVERGED_GAIN = 0.05  # relative gain in the loss over the window below which a solve has converged

OCTAVES = (0.06, 0.12, 0.25)  # cycles a pixel
# A picture whose power falls by less than LEAST_FALL from one octave to the next (log2), and by LOST_FALL less than its
# start's, is none of nature: photographs fall by 2 to 4. With PSFs too wide by 1.5 px two scenes of 192x192 (frames 07)
# fell by 1.1 and 1.4, their starts by 3.0 and 2.8; with the right ones by 3.0 and 3.8, starts by 3.0 and 3.2.
LEAST_FALL, LOST_FALL = 1.8, 0.8


def converged(losses: list[float], window: int | None) -> bool:
    """Whether the smallest loss of the last `window` iterations is hardly below that of all before."""
    if window is None or len(losses) < 2 * window:
        return False
    return min(losses[-window:]) > (1 - CONVERGED_GAIN) * min(losses[:-window])


def explained(fit_db: float, noise: float) -> bool:
    """Whether the residual of a data fit (dB) is no more than the capture's noise (full scale 1).

    Beyond that the generator would draw the noise (Morozov's discrepancy principle).
    """
    return fit_db > -20 * math.log10(noise)


def octave_fall(image: Tensor) -> float:
    """By how much the power of an image [C, H, W] falls from one octave to the next (OCTAVES), as log2."""
    size = (image.shape[-2], image.shape[-1])
    rows, columns = (torch.hann_window(n, periodic=False, dtype=image.dtype, device=image.device) for n in size)
    centred = (image - image.mean(dim=(-2, -1), keepdim=True)) * rows[:, None] * columns
    power = torch.fft.rfft2(centred).abs().square().sum(dim=0)
    vertical = torch.fft.fftfreq(size[0], device=image.device)
    frequency = torch.hypot(vertical[:, None], torch.fft.rfftfreq(size[1], device=image.device)[None])
    first, second = (
        power[(frequency >= low) & (frequency < high)].mean() for low, high in zip(OCTAVES, OCTAVES[1:], strict=False)
    )
    return (first / second.clamp_min(torch.finfo(image.dtype).tiny)).log2().item()


def oscillates(image: Tensor, start: Tensor) -> bool:
    """Whether an image [C, H, W] holds far more fine structure than its start, as no photograph does.

    With PSFs that are too wide the generator explains a capture only by waves, and the better it does the worse the
    image is. The start, a cautious deconvolution, has few of them.
    """
    return octave_fall(image) < min(LEAST_FALL, octave_fall(start) - LOST_FALL)

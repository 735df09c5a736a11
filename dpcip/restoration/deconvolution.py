"""The sharp image at a given depth: regularised deconvolution through the masked DCM, by reweighted least squares."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dpcip.camera.models import LayeredBlur
from dpcip.camera.noise import Level

NOISE = 0.5 / 255  # standard deviation of the capture, rounding and the model's own error together
EXPONENT = 0.3  # the prior's energy grows as |gradient|^0.3: nearly scale-free, as natural images are
SMALLEST_GRADIENT = 1 / 255
WINDOW_SIGMA_PX = 1.25  # over which the covariance of the channels' gradients is taken, and the mean of residuals
DOUBT = 0.5  # share of a neighbourhood's mean squared residual that is taken for noise, where it is the larger
REWEIGHTINGS = 6
CONJUGATE_STEPS = 12  # of conjugate gradients between two reweightings


def gradient(image: Tensor) -> Tensor:
    """Forward differences to the right and downwards, zero beyond the border: [C, H, W] -> [2, C, H, W]."""
    right = F.pad(image[..., :, 1:] - image[..., :, :-1], (0, 1))
    down = F.pad(image[..., 1:, :] - image[..., :-1, :], (0, 0, 0, 1))
    return torch.stack([right, down])


def gradient_adjoint(field: Tensor) -> Tensor:
    """Adjoint of `gradient`: [2, C, H, W] -> [C, H, W]."""
    right, down = field[0][..., :, :-1], field[1][..., :-1, :]
    horizontal = F.pad(right, (1, 0)) - F.pad(right, (0, 1))
    return horizontal + F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1))


def _windowed(field: Tensor) -> Tensor:
    """Gaussian mean over the neighbourhood: [N, H, W] -> [N, H, W]."""
    position = torch.arange(-2.0, 3.0, device=field.device, dtype=field.dtype)
    line = torch.exp(-((position / WINDOW_SIGMA_PX) ** 2) / 2)
    line = line / line.sum()
    padded = F.pad(field[:, None], (2, 2, 2, 2), mode="replicate")
    return F.conv2d(F.conv2d(padded, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))[:, 0]


def prior_weights(image: Tensor) -> Tensor:
    """Weights of the squared gradients: [C, H, W] -> [C, C, H, W], `(S + eps^2 I)^(p/2 - 1)`.

    S is the covariance of the channels' gradients around a pixel. Across an edge gradients are cheap, and cheapest if
    the channels rise and fall together as they do there; elsewhere noise and ringing are costly. So a channel that is
    sharp at this depth lends its edges to those that are blurred.
    """
    n_channels = len(image)
    slopes = gradient(image)
    covariance = torch.einsum("dahw,dbhw->abhw", slopes, slopes) / 2
    covariance = _windowed(covariance.flatten(0, 1)).unflatten(0, (n_channels, n_channels)).permute(2, 3, 0, 1)
    # On the CPU: MPS has no eigh, and CUDA's batches have a limit below the pixels of a photograph.
    value, vector = (part.to(image.device) for part in torch.linalg.eigh(covariance.cpu()))
    power = (value.clamp_min(0) + SMALLEST_GRADIENT**2) ** (EXPONENT / 2 - 1)
    return torch.einsum("hwai,hwi,hwbi->abhw", vector, power, vector)


def conjugate_gradients(apply: Callable[[Tensor], Tensor], b: Tensor, x: Tensor, n_steps: int) -> Tensor:
    """An approximate solution of apply(x) = b for a symmetric positive definite `apply`, from the start x."""
    residual = b - apply(x)
    direction, square = residual, residual.square().sum()
    for _ in range(n_steps):
        if square == 0:
            break
        applied = apply(direction)
        step = square / (direction * applied).sum()
        x, residual = x + step * direction, residual - step * applied
        former, square = square, residual.square().sum()
        direction = residual + square / former * direction
    return x


def deconvolve(
    camera: LayeredBlur,
    capture: Tensor,
    start: Tensor,
    noise: Level = NOISE,
    n_reweightings: int = REWEIGHTINGS,
) -> Tensor:
    """An image x with small `|camera(x) - capture|^2 / sigma^2 + prior(x)`: [L, H, W], not clipped to [0, 1].

    camera: the masked DCM at a depth map. noise: one standard deviation, or a map [C, H, W]. start: an image to begin
    from; the prior is not convex, so a better start ends in a better image. Iteratively reweighted least squares, each
    solved by conjugate gradients. From the second on sigma, at first `noise`, is in each neighbourhood what it turns
    out to be (DOUBT): where the model at this depth misses the capture by far, the depth or the PSFs are wrong, and an
    image that explained it all the same would oscillate.
    """
    x, trust = start, torch.ones_like(capture[:1]) * (1 / noise**2)
    for number in range(n_reweightings):
        if number:
            missed = _windowed((camera(x) - capture).square().mean(dim=0, keepdim=True))
            trust = 1 / (DOUBT * missed).clamp_min(noise**2)
        weights = prior_weights(x)

        def normal(image: Tensor, weights: Tensor = weights, trust: Tensor = trust) -> Tensor:
            weighted = torch.einsum("abhw,dbhw->dahw", weights, gradient(image))
            return camera.adjoint(trust * camera(image)) + gradient_adjoint(weighted)

        x = conjugate_gradients(normal, camera.adjoint(trust * capture), x, CONJUGATE_STEPS)
    return x

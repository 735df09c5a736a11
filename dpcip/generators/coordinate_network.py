"""What draws from pixel coordinates alone: Fourier features, and layers with sine or Gaussian activation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


def coordinates(size: tuple[int, int], low: float = 0.0, high: float = 1.0) -> Tensor:
    """Row and column of each pixel, each from `low` at the first to `high` at the last: [1, 2, H, W]."""
    rows, columns = (torch.linspace(low, high, n) for n in size)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def fourier_features(size: tuple[int, int], n_frequencies: int, highest: float) -> Tensor:
    """Cosine and sine of f * coordinate, f log-spaced from 1 to `highest` (rad): [1, 4 * n_frequencies, H, W].

    Coordinates lie in [0, 1], without a factor 2 pi (PIP's released code, `utils/common_utils.py`).
    """
    frequencies = highest ** (torch.arange(n_frequencies) / (n_frequencies - 1))
    angles = (frequencies[:, None, None, None] * coordinates(size)[0]).flatten(0, 1)
    return torch.cat([angles.cos(), angles.sin()])[None]


class _PointwiseLayer(nn.Module, ABC):
    """A linear layer at every pixel, never in bfloat16: that rounds the activation's argument too coarsely."""

    def __init__(self, n_in: int, n_out: int, bound: float) -> None:
        super().__init__()
        self.linear = nn.Conv2d(n_in, n_out, 1)
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.activate(self.linear(x.to(self.linear.weight.dtype)))

    @abstractmethod
    def activate(self, x: Tensor) -> Tensor:
        """The activation of each number, in the same shape."""


class SineLayer(_PointwiseLayer):
    """sin(omega (W x + b)) (Sitzmann et al. 2020, with their initialisation)."""

    OMEGA = 30.0  # theirs for images

    def __init__(self, n_in: int, n_out: int, first: bool = False) -> None:
        super().__init__(n_in, n_out, bound=1 / n_in if first else math.sqrt(6 / n_in) / self.OMEGA)

    def activate(self, x: Tensor) -> Tensor:
        return torch.sin(self.OMEGA * x)


class GaussianLayer(_PointwiseLayer):
    """exp(-(W x + b)^2 / (2 width^2)) (Ramasinghe and Lucey 2022)."""

    WIDTH = 0.1  # theirs for images lie between 0.05 and 0.1
    LOWEST = -40.0  # of the exponent: e^-40 is far below float32's rounding, and denormal numbers cost a CPU much time

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out, bound=1 / math.sqrt(n_in))

    def activate(self, x: Tensor) -> Tensor:
        return torch.exp((-((x / self.WIDTH) ** 2) / 2).clamp_min(self.LOWEST))

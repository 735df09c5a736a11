"""The paper's rival for the image: the EDOF network of [7], dilated convolutions that add what the blur took away."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpcip.baselines.rival import Rival, Sample

DILATIONS = (2, 3, 4, 3, 2)
N_CHANNELS = 32


class EdofNet(Rival):
    """A convolution, five dilated ones with batch norm and ReLU, and one back to colours, added to the photograph.

    forward([N, 3, H, W] in [0, 1]) = sharp image [N, 3, H, W], not clipped (a student's public port of [7]).
    """

    estimates = "sharp"
    about: ClassVar[str] = (
        "A convolution, five dilated ones with batch norm and ReLU, and one back to colours, added to the photograph."
    )
    error_name: ClassVar[str] = "image RMSE"

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, N_CHANNELS, 3, padding=1), nn.BatchNorm2d(N_CHANNELS)]
        for d in DILATIONS:
            convolution = nn.Conv2d(N_CHANNELS, N_CHANNELS, 3, padding=d, dilation=d)
            layers += [convolution, nn.BatchNorm2d(N_CHANNELS), nn.ReLU()]
        self.residual = nn.Sequential(*layers, nn.Conv2d(N_CHANNELS, 3, 3, padding=1))

    def forward(self, capture: Tensor) -> Tensor:
        return capture + self.residual(capture)

    def loss(self, capture: Tensor, sharp: Tensor, psi: Tensor, progress: float) -> Tensor:
        """Mean absolute error of the image."""
        return F.l1_loss(self(capture), sharp)

    @torch.no_grad()
    def estimate(self, capture: np.ndarray) -> np.ndarray:
        """Sharp image [3, H, W] in [0, 1] of a photograph [3, H, W] in [0, 1]."""
        return self(self.in_batch(capture))[0].clamp(0, 1).cpu().numpy()

    def error(self, sample: Sample) -> float:
        """Root mean square error of the image, full scale 1."""
        return float(np.sqrt(np.square(self.estimate(sample.capture) - sample.sharp).mean()))

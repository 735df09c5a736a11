"""The paper's rival for depth: the mono depth network of [4], an FCN-8s over classes of psi, trained on photographs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpcip.baselines.rival import Rival, Sample
from dpcip.optics.lens import PSI_RANGE

N_CLASSES = 16
FIRST_PSI = -5  # rad, of class 0; one class a radian
STRIDE_PX = 32  # of the coarsest features
BLOCKS = ((3, 16, 5), (16, 36, 5), (36, 64, 5), (64, 128, 3), (128, 256, 3))  # channels in, out, taps
CLASSIFY_UNTIL = 0.5  # share of the training after which classes give way to psi itself


class DepthFcn(Rival):
    """Five blocks of convolution, batch norm, ReLU and pooling; scores of three of them enlarged by learned kernels.

    forward([N, 3, H, W] in [0, 1]) = scores of 16 classes [N, 16, H, W]; psi is the expected class minus 5 (public
    port of reference [4]; the sizes stand in its code).
    """

    estimates = "psi"
    about: ClassVar[str] = (
        "Five blocks of convolution, batch norm, ReLU and pooling; scores of three of them enlarged by learned kernels."
    )
    error_name: ClassVar[str] = "mean |psi error| (rad)"

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n_in, n_out, k, padding=k // 2), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2))
            for n_in, n_out, k in BLOCKS
        )
        taken = (256, 128, 64)  # channels at 1/32, 1/16 and 1/8
        self.score = nn.ModuleList(nn.Conv2d(n, N_CLASSES, 1) for n in taken)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(N_CLASSES, N_CLASSES, 2 * s, stride=s, padding=s // 2) for s in (32, 16, 8)
        )

    def forward(self, capture: Tensor) -> Tensor:
        height, width = capture.shape[-2:]
        missing = [-n % STRIDE_PX for n in (width, height)]
        x = F.pad((capture - 0.5) / 0.5, (0, missing[0], 0, missing[1]), mode="replicate")
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        enlarged = zip(self.enlarge, self.score, reversed(features), strict=False)  # the last three
        scores = torch.stack([enlarge(score(x)) for enlarge, score, x in enlarged]).sum(dim=0)
        return scores[..., :height, :width].float()  # bfloat16 would round psi to 0.03 rad

    @staticmethod
    def expected_psi(scores: Tensor) -> Tensor:
        """[N, 16, H, W] -> psi [N, H, W], rad."""
        classes = torch.arange(N_CLASSES, device=scores.device, dtype=torch.float32)
        return (scores.softmax(dim=1) * classes[:, None, None]).sum(dim=1) + FIRST_PSI

    def loss(self, capture: Tensor, sharp: Tensor, psi: Tensor, progress: float) -> Tensor:
        """First cross-entropy of the classes, then squared error of psi (paper's port of [4])."""
        scores = self(capture)
        if progress < CLASSIFY_UNTIL:
            return F.cross_entropy(scores, (psi - FIRST_PSI).round().long())
        return F.mse_loss(self.expected_psi(scores), psi)

    @torch.no_grad()
    def estimate(self, capture: np.ndarray) -> np.ndarray:
        """Psi [H, W] (rad), within the camera's range, of a photograph [3, H, W] in [0, 1]."""
        return self.expected_psi(self(self.in_batch(capture)))[0].clamp(*PSI_RANGE).cpu().numpy()

    def error(self, sample: Sample) -> float:
        """Mean absolute error of psi, rad."""
        return float(np.abs(self.estimate(sample.capture) - sample.psi).mean())

"""The non-local block: every place of a feature map is told what lies everywhere else."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NonLocal(nn.Module):
    """Adds to each pixel a sum over all others, weighted by dot products (Wang et al. 2018, as SelfDeblur uses it).

    [N, D, H, W] -> the same shape, `x + norm(W(theta (phi^T g) / M))` with 1x1 convolutions theta, phi, g to D/2
    channels, the last two halved in size by their maximum (M pixels remain); sides of 1 pixel are not halved. The norm
    begins at zero: the block begins as the identity. Without a softmax the products may be taken in any order, and
    `phi^T g` first never holds the table of all pairs of pixels, which has gigabytes at 512x1024.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_inner = n_channels // 2
        self.theta = nn.Conv2d(n_channels, n_inner, 1)
        self.phi = nn.Conv2d(n_channels, n_inner, 1)
        self.g = nn.Conv2d(n_channels, n_inner, 1)
        self.out = nn.Conv2d(n_inner, n_channels, 1)
        self.norm = nn.BatchNorm2d(n_channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        pool = [2 if n > 1 else 1 for n in x.shape[-2:]]
        phi, g = (F.max_pool2d(layer(x), pool).flatten(2) for layer in (self.phi, self.g))
        table = torch.einsum("nam,nbm->nab", phi, g) / phi.shape[-1]
        found = torch.einsum("nahw,nab->nbhw", self.theta(x), table)
        return x + self.norm(self.out(found))

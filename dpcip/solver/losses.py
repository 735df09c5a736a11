"""The losses between the modelled and the measured capture, by name; differentiable, 0 for equal images."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dpcip.utils.registry import Registry

WINDOW_TAPS = 11
WINDOW_SIGMA_PX = 1.5


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Mean structural similarity of two images [C, H, W] with values in [0, 1]: a scalar, at most 1.

    Gaussian window of 11x11 taps, sigma 1.5 px, zeros beyond the border, population covariance
    (released code, `utils/SSIM.py`).
    """
    position = torch.arange(WINDOW_TAPS, dtype=x.dtype, device=x.device) - WINDOW_TAPS // 2
    window = torch.exp(-(position**2) / (2 * WINDOW_SIGMA_PX**2))
    window = window / window.sum()

    def mean(stack: Tensor) -> Tensor:  # the window is separable: two passes of 11 taps instead of 121
        rows = F.conv2d(stack[:, None], window.view(1, 1, -1, 1), padding=(WINDOW_TAPS // 2, 0))
        return F.conv2d(rows, window.view(1, 1, 1, -1), padding=(0, WINDOW_TAPS // 2))[:, 0]

    mean_x, mean_y, mean_xx, mean_yy, mean_xy = mean(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean()


LOSSES: Registry[Callable[[Tensor, Tensor], Tensor]] = Registry("loss")  # of two images [C, H, W] in [0, 1]: a scalar
LOSSES.update({"ssim": lambda x, y: 1 - ssim(x, y), "l2": F.mse_loss})

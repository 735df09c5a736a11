"""The differentiable SSIM against scikit-image's."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from dpcip.solver.losses import ssim


def test_ssim_agrees_with_scikit_image_inside_the_border() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((3, 60, 70))
    y = np.clip(x + 0.1 * rng.standard_normal(x.shape), 0, 1)
    x[:, :15], x[:, -15:], x[..., :15], x[..., -15:] = (0,) * 4  # equal and dark near the border, where padding differs
    y[:, :15], y[:, -15:], y[..., :15], y[..., -15:] = (0,) * 4
    options = {"data_range": 1.0, "channel_axis": 0, "gaussian_weights": True, "use_sample_covariance": False}
    _, theirs = structural_similarity(x, y, sigma=1.5, full=True, **options)
    assert ssim(torch.tensor(x), torch.tensor(y)).item() == pytest.approx(theirs.mean(), abs=1e-6)


def test_ssim_of_equal_images_is_one_and_its_gradient_vanishes() -> None:
    x = torch.rand(3, 20, 21, dtype=torch.float64, requires_grad=True)
    value = ssim(x, x.detach())
    value.backward()
    assert value.item() == pytest.approx(1)
    assert x.grad is not None and x.grad.abs().max() < 1e-9


def test_ssim_gradient() -> None:
    x, y = torch.rand(2, 1, 12, 13, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda image: ssim(image, y), x.requires_grad_())

"""The encoder-decoder with skip connections of the deep image prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_DEEP = 3  # of the five levels count as deep


class ReflectPad(torch.autograd.Function):
    """Reflection padding of [N, D, H, W] that keeps nothing for the backward pass, and there adds up in float32.

    Autocast would pad in float32 and keep that copy: the same numbers to the bit, for a quarter more memory.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, margin: int) -> Tensor:
        ctx.shape, ctx.strides, ctx.margins = x.shape, x.stride(), (margin,) * 4
        return F.pad(x, ctx.margins, mode="reflect")

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        wide = grad[0].float() if grad[0].dtype == torch.bfloat16 else grad[0]
        like = torch.empty_strided(ctx.shape, ctx.strides, dtype=wide.dtype, device=wide.device)  # never read
        return torch.ops.aten.reflection_pad2d_backward(wide, like, ctx.margins).to(grad[0].dtype), None


class ReflectConv2d(nn.Conv2d):
    """Convolution with reflection padding."""

    def forward(self, x: Tensor) -> Tensor:
        margin = self.kernel_size[0] // 2
        return F.conv2d(ReflectPad.apply(x, margin) if margin else x, self.weight, self.bias, self.stride)


def conv_unit(n_in: int, n_out: int, taps: int, stride: int = 1) -> nn.Sequential:
    """Convolution with reflection padding, batch norm, LeakyReLU(0.2)."""
    return nn.Sequential(ReflectConv2d(n_in, n_out, taps, stride), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2))


class SkipLevel(nn.Module):
    """One level of the encoder-decoder: halve, recurse, double, join with a thin skip (DIP's `skip` network).

    deep: makes a block for so many channels, which then stands between the two convolutions on the way down, in the
    three deepest levels (SelfDeblur's non-local blocks). n_out: channels of the result, if not n_channels.
    """

    def __init__(
        self,
        n_in: int,
        n_channels: int,
        n_skip: int,
        taps: int,
        n_levels: int,
        deep: Callable[[int], nn.Module] | None = None,
        n_out: int | None = None,
    ) -> None:
        super().__init__()
        self.skip = conv_unit(n_in, n_skip, 1)
        halve, blocks = conv_unit(n_in, n_channels, taps, 2), [deep(n_channels)] if deep and n_levels <= N_DEEP else []
        self.down = nn.Sequential(halve, *blocks, conv_unit(n_channels, n_channels, taps))
        inner = (n_channels, n_channels, n_skip, taps, n_levels - 1, deep)
        self.inner = SkipLevel(*inner) if n_levels > 1 else nn.Identity()
        self.norm = nn.BatchNorm2d(n_skip + n_channels)
        n_out = n_out or n_channels
        self.up = nn.Sequential(conv_unit(n_skip + n_channels, n_out, taps), conv_unit(n_out, n_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(x)
        deep = F.interpolate(self.inner(self.down(x)), scale_factor=2, mode="bilinear", align_corners=False)
        height, width = skip.shape[-2:]
        top, left = (deep.shape[-2] - height) // 2, (deep.shape[-1] - width) // 2
        deep = deep[..., top : top + height, left : left + width]  # odd sizes come back one pixel larger
        return self.up(self.norm(torch.cat([skip, deep], dim=1)))

"""Models of the coded camera: the two differentiable ones (DCM) and the simulator that makes captures."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from dpcip.optics.psf import PsfBank
from dpcip.utils.registry import Registry

# Version of the photographs that the simulator and the masked DCM make, down to a grey level here and there: trainings
# are kept under it (dpcip/utils/keys.py). Raise it when a change moves the numbers of tests/test_golden.py.
ALGORITHM = 1
Convolution = Literal["fft", "direct"]
Size = tuple[int, int]  # height, width
LEAST_COVERAGE = 1e-3  # share of a pixel's light that must come from somewhere
KERNEL_ERROR = 3e-3  # of a PSF, as a share of its norm: in a photograph of contrast 0.1, less than rounding to 8 bits


def replicate_pad(image: Tensor, margin: int) -> Tensor:
    """[..., H, W] -> [..., H + 2 margin, W + 2 margin], the border pixels repeated outwards."""
    shape = image.shape
    flat = image.reshape(1, -1, *shape[-2:])
    padded = F.pad(flat, (margin, margin, margin, margin), mode="replicate")
    return padded.reshape(*shape[:-2], *padded.shape[-2:])


def _fold(padded: Tensor, margin: int) -> Tensor:
    """The adjoint of `replicate_pad`: what each border pixel was repeated to comes back to it."""
    if margin == 0:
        return padded
    rows = padded[..., margin:-margin, :].clone()
    rows[..., 0, :] += padded[..., :margin, :].sum(dim=-2)
    rows[..., -1, :] += padded[..., -margin:, :].sum(dim=-2)
    image = rows[..., margin:-margin].clone()
    image[..., 0] += rows[..., :margin].sum(dim=-1)
    image[..., -1] += rows[..., -margin:].sum(dim=-1)
    return image


class Blur(nn.Module):
    """Convolves a replicate-padded image with every kernel of a stack: `result[p, c] = psf[p, c] * image[latent[c]]`.

    psf: [P, C, K, K] -> forward([L, H, W]) = [P, C, H, W]; latent: see PsfBank, None is its own for each. "direct"
    multiplies tap by tap, "fft" multiplies spectra, cached for the image size; both give the same numbers (tests hold
    them to 1e-9 in float64).
    """

    def __init__(
        self,
        psf: Tensor,
        image_size: tuple[int, int],
        convolution: Convolution = "fft",
        latent: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.size = image_size
        self.latent = None if latent is None or latent == tuple(range(len(latent))) else list(latent)
        self.n_taps = psf.shape[-1]
        self.convolution = convolution
        self.kernel: Tensor
        if convolution == "direct":
            self.register_buffer("kernel", psf.flip(-2, -1), persistent=False)  # conv2d correlates
            return
        # A circular convolution wraps only into its first K - 1 samples, which the valid region leaves out: the
        # transform need not be longer than the padded image. Lengths with a factor 7 or 11 are fast, too (MKL).
        self.fft_size = [next_fast_len(n + self.n_taps - 1) for n in image_size]
        self.register_buffer("kernel", torch.fft.rfft2(psf, s=self.fft_size), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        if self.convolution == "fft":
            return self._back(self._spectrum(image) * self.kernel)
        padded = replicate_pad(self._observed(image), self.n_taps // 2)
        n_planes, n_channels = self.kernel.shape[:2]
        # One group a channel, one output a plane; conv2d orders its outputs channel by channel.
        weight = self.kernel.transpose(0, 1).reshape(n_planes * n_channels, 1, self.n_taps, self.n_taps)
        planes = F.conv2d(padded[None], weight, groups=n_channels)[0]
        height, width = self.size
        return planes.reshape(n_channels, n_planes, height, width).transpose(0, 1)

    def summed(self, layers: Tensor) -> Tensor:
        """Blurs each layer with its plane's kernel and adds up: [P, L or 1, H, W] -> [C, H, W]. Needs "fft"."""
        if layers.requires_grad and not self.kernel.requires_grad:
            return _Summed.apply(layers, self)
        return self._summed(layers)

    def _summed(self, layers: Tensor) -> Tensor:
        return self._back((self._spectrum(layers) * self.kernel).sum(dim=0))

    def summed_adjoint(self, result: Tensor) -> Tensor:
        """The adjoint of `summed` on layers of L channels: [C, H, W] -> [P, L, H, W]. Needs "fft".

        Twice as quick as autograd's own, whose transforms back are complex.
        """
        (height, width), start = self.size, self.n_taps - 1
        ends = (start, self.fft_size[1] - width - start, start, self.fft_size[0] - height - start)
        spectrum = torch.fft.rfft2(F.pad(result, ends)) * self.kernel.conj()
        if self.latent is not None:
            n_planes, _, *frequencies = spectrum.shape
            latent = torch.tensor(self.latent, device=spectrum.device)
            spectrum = spectrum.new_zeros(n_planes, max(self.latent) + 1, *frequencies).index_add_(1, latent, spectrum)
        padded = torch.fft.irfft2(spectrum, s=self.fft_size)[..., : height + start, : width + start]
        return _fold(padded, self.n_taps // 2)

    def _observed(self, channels: Tensor) -> Tensor:
        """Repeats the latent channels, images or spectra, for the channels that see them; one serves all as it is."""
        return channels if self.latent is None or channels.shape[-3] == 1 else channels[..., self.latent, :, :]

    def _spectrum(self, image: Tensor) -> Tensor:
        return self._observed(torch.fft.rfft2(replicate_pad(image, self.n_taps // 2), s=self.fft_size))

    def _back(self, spectrum: Tensor) -> Tensor:
        """The valid region of the inverse transform."""
        height, width = self.size
        start = self.n_taps - 1
        return torch.fft.irfft2(spectrum, s=self.fft_size)[..., start : start + height, start : start + width]


class _Summed(torch.autograd.Function):
    """`Blur.summed` with its adjoint as the backward pass."""

    @staticmethod
    def forward(layers: Tensor, blur: Blur) -> Tensor:
        return blur._summed(layers)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Blur], output: Tensor) -> None:
        ctx.shape, ctx.blur = inputs[0].shape, inputs[1]

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return ctx.blur.summed_adjoint(grad[0]).sum_to_size(ctx.shape), None


def plane_weights(psi: Tensor, planes: Tensor) -> Tensor:
    """Hat weights of linear interpolation between planes: [H, W] -> [P, H, W], summing to 1 at every pixel.

    For planes one apart this is `relu(1 - |psi - k|)` (released code, `networks/DCM.py`); spacing may vary. Beyond the
    first and last plane that plane has weight 1. At a plane the gradient is that of the side of larger psi.
    """
    rise = (psi - planes[:-1, None, None]) / (planes[1:] - planes[:-1])[:, None, None]  # 0 at a plane, 1 at the next
    # Not clamp(): its gradient counts both ends, and a psi on a plane would feel the slopes of both sides added up.
    rise = torch.where(rise >= 0, rise, torch.zeros_like(rise))
    rise = torch.where(rise < 1, rise, torch.ones_like(rise))
    ones, zeros = torch.ones_like(psi)[None], torch.zeros_like(psi)[None]
    return torch.cat([ones, rise]) - torch.cat([rise, zeros])


class InterpolatedDCM(nn.Module):
    """The paper's differentiable camera model: blur the whole image at every plane, interpolate between the results.

    forward(sharp [L, H, W] in [0, 1], psi [H, W] in rad) = capture [C, H, W]. Linear in `sharp`, piecewise linear in
    `psi`. It knows no occlusion: at a depth edge each side is blurred together with the other (paper, section 3;
    released code, `networks/DCM.py`).
    """

    def __init__(self, bank: PsfBank, image_size: tuple[int, int], convolution: Convolution = "fft") -> None:
        super().__init__()
        self.blur = Blur(bank.psf, image_size, convolution, bank.latent)
        self.planes: Tensor
        self.register_buffer("planes", torch.as_tensor(bank.psi, dtype=bank.psf.dtype), persistent=False)

    def forward(self, sharp: Tensor, psi: Tensor) -> Tensor:
        weights = plane_weights(psi, self.planes)
        return torch.einsum("phw,pchw->chw", weights, self.blur(sharp))


def combined_kernels(bank: PsfBank, error: float) -> tuple[Tensor, Tensor]:
    """The fewest kernels that all planes are combinations of: shares [P, L, R] and kernels [R, C, K, K].

    `psf[k, c] = sum_r shares[k, latent[c], r] kernels[r, c]`, for each plane up to `error` of its norm, by singular
    value decomposition; a PSF changes smoothly with defocus, so that few will do: of the published bank's fifteen, six
    to 1 %, seven to 0.3 %, eight to 0.1 %. With an error of 0 or without an advantage: the planes themselves.
    """
    n_planes, seen = len(bank.psf), torch.tensor(bank.latent)
    if error:
        parts = [bank.psf[:, seen == latent].double().flatten(1) for latent in range(bank.n_latent)]
        found = [torch.linalg.svd(part, full_matrices=False) for part in parts]
        shares = torch.stack([_widened(u * values, n_planes) for u, values, _ in found], dim=1)  # [P, L, P]
        squares = shares.square()  # what each kernel adds to a plane's squared norm
        missed = squares.flip(-1).cumsum(-1).flip(-1) - squares  # by that kernel and those before it
        rank = 1 + int((missed > error**2 * squares.sum(-1, keepdim=True)).any(dim=0).any(dim=0).sum())
        if rank < n_planes:
            kernels = bank.psf.new_zeros(rank, *bank.psf.shape[1:])
            for latent, (_, _, v) in enumerate(found):
                kernels[: len(v), seen == latent] = v[:rank].to(kernels).unflatten(1, (-1, bank.size, bank.size))
            return shares[..., :rank].to(kernels), kernels
    return torch.eye(n_planes, dtype=bank.psf.dtype)[:, None], bank.psf


def _widened(shares: Tensor, n_kernels: int) -> Tensor:
    """With zeros for kernels that are not there: small kernels have fewer taps than the bank has planes."""
    return F.pad(shares, (0, n_kernels - shares.shape[1]))


class LayeredBlur(nn.Module):
    """The masked DCM at one depth map: `result = sum_k h_k * (w_k image) / sum_k h_k * w_k`, linear in the image.

    weights: [R, L or 1, H, W], the shares of `blur`'s R kernels in each pixel. forward([L, H, W]) = [C, H, W].
    The layers are summed as spectra, so that C inverse transforms serve all kernels.
    """

    def __init__(self, blur: Blur, weights: Tensor) -> None:
        super().__init__()
        self.blur = blur
        self.weights = weights
        # Behind an occluder's edge nothing may reach a pixel (ring-shaped kernels): dark there, not infinite.
        self.coverage = blur.summed(weights).clamp_min(LEAST_COVERAGE)

    def forward(self, image: Tensor) -> Tensor:
        return self.blur.summed(self.weights * image) / self.coverage

    def adjoint(self, result: Tensor) -> Tensor:
        """[C, H, W] -> [L, H, W], such that `<camera(x), y> = <x, camera.adjoint(y)>`."""
        return (self.weights * self.blur.summed_adjoint(result / self.coverage)).sum(dim=0)


class MaskedDCM(nn.Module):
    """A differentiable camera that knows occlusion: cut the image into layers by depth, blur each, sum, divide.

    forward(sharp [L, H, W] in [0, 1], psi [H, W] in rad) = capture [C, H, W]. The simulator's model with soft layers:
    each pixel is shared between the two planes next to its psi (the hat weights of the paper's DCM), and the sum is
    divided by the equally blurred shares. Linear in `sharp`, differentiable in `psi`. Always convolves by FFT.

    error: of each plane's PSF, as a share of its norm, that may be traded for fewer convolutions (`combined_kernels`).
    With 0 it is differentiable in the bank's kernels, too.
    """

    def __init__(self, bank: PsfBank, image_size: tuple[int, int], error: float = KERNEL_ERROR) -> None:
        super().__init__()
        shares, kernels = combined_kernels(bank, error)
        self.blur = Blur(kernels, image_size, latent=bank.latent)
        self.planes: Tensor
        self.shares: Tensor
        self.register_buffer("planes", torch.as_tensor(bank.psi, dtype=bank.psf.dtype), persistent=False)
        self.register_buffer("shares", shares, persistent=False)

    def at(self, psi: Tensor) -> LayeredBlur:
        """The camera for one depth map psi [H, W], a linear operator on images."""
        weights = plane_weights(psi, self.planes)
        return LayeredBlur(self.blur, torch.einsum("phw,plr->rlhw", weights, self.shares.to(weights)))

    def forward(self, sharp: Tensor, psi: Tensor) -> Tensor:
        return self.at(psi)(sharp)


class CameraMaker(Protocol):
    """Makes a camera model: a module, forward(sharp [L, H, W] in [0, 1], psi [H, W] in rad) -> capture [C, H, W]."""

    def __call__(self, bank: PsfBank, size: Size, *, kernel_error: float, convolution: Convolution) -> nn.Module:
        """kernel_error: how wrong kernels may be, as a share of their norm; convolution: how the DCM's are computed."""


def _masked(bank: PsfBank, size: Size, *, kernel_error: float, convolution: Convolution) -> nn.Module:
    return MaskedDCM(bank, size, kernel_error)


def _interpolated(bank: PsfBank, size: Size, *, kernel_error: float, convolution: Convolution) -> nn.Module:
    return InterpolatedDCM(bank, size, convolution)


CAMERAS: Registry[CameraMaker] = Registry("camera")
CAMERAS.update({"interpolated": _interpolated, "masked": _masked})

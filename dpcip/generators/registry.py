"""Untrained generators: networks whose weights, not whose training, are the prior. One interface, one registry."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from dpcip.generators.coordinate_network import GaussianLayer, SineLayer, coordinates, fourier_features
from dpcip.generators.hash_grid import HashGrid
from dpcip.generators.skip_network import SkipLevel
from dpcip.utils.registry import Registry

Size = tuple[int, int]


class Generator(nn.Module):
    """Base of all generators: forward() -> (sharp [L, H, W] in [0, 1], psi [H, W] in [psi_min, psi_max]).

    A subclass sets `code`, the fixed input [1, D, H, W], `network`, which maps it to features, and `head`, which maps
    those to [1, L + 1, H, W]; a sigmoid follows. Draw all random numbers in __init__: the caller has seeded torch.
    """

    learning_rate: ClassVar[float] = 0.01  # of Adam; DIP's and PIP's
    code: Tensor
    network: nn.Module
    head: nn.Conv2d

    def __init__(self, psi_range: tuple[float, float], *_: object) -> None:
        super().__init__()
        self.psi_range = psi_range

    def forward(self) -> tuple[Tensor, Tensor]:
        features = self.network(self.code)
        with torch.autocast(features.device.type, enabled=False):  # bfloat16 would round the output to 8 bits
            output = torch.sigmoid(self.head(features.to(self.head.weight.dtype))[0])
        psi_min, psi_max = self.psi_range
        return output[:-1], psi_min + (psi_max - psi_min) * output[-1]


class Dip(Generator):
    """The deep image prior of the paper: 5 levels of 128 channels, 16-channel skips, 2,293,908 parameters.

    Input: 32 channels of uniform noise in [0, 0.1] (paper, section 3; released code, `networks/skip.py`).
    finest_channels: of the level at the picture's own resolution; with 128 half of all multiplications are there.
    """

    def __init__(
        self, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3, finest_channels: int = 128
    ) -> None:
        super().__init__(psi_range)
        self.register_buffer("code", torch.rand(1, 32, *size) * 0.1)
        self.network = SkipLevel(n_in=32, n_channels=128, n_skip=16, taps=3, n_levels=5, n_out=finest_channels)
        self.head = nn.Conv2d(finest_channels, n_image_channels + 1, 1)


class FlatDip(Dip):
    """DIP's image with one psi for the whole picture, the mean of the psi that DIP would draw; as many parameters.

    For what is flat or wholly beyond the camera's range: a chart to be photographed sharp, a document, a far view. All
    pixels then tell of one number, which is found where no single window of them could; in any other scene it is wrong
    nearly everywhere (the constant depth of the deblurring in the paper, Table 5).
    """

    def forward(self) -> tuple[Tensor, Tensor]:
        sharp, psi = super().forward()
        return sharp, psi.mean().expand_as(psi)


class Pip(Generator):
    """The positional image prior: DIP's network with 1x1 convolutions alone, on Fourier features; 344,212 parameters.

    Input: cosine and sine of 8 frequencies from 1 to 256 times row and column (Shabtay et al. 2022; its released code).
    """

    def __init__(self, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3) -> None:
        super().__init__(psi_range)
        self.register_buffer("code", fourier_features(size, n_frequencies=8, highest=256.0), persistent=False)
        self.network = SkipLevel(n_in=32, n_channels=128, n_skip=16, taps=1, n_levels=5)
        self.head = nn.Conv2d(128, n_image_channels + 1, 1)


class Siren(Generator):
    """Four sine layers of 256 channels on coordinates in [-1, 1] (Sitzmann et al. 2020); 199,172 parameters.

    The paper states no setting; these and the learning rate are the original's for images.
    """

    learning_rate = 1e-4

    def __init__(self, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3) -> None:
        super().__init__(psi_range)
        self.register_buffer("code", coordinates(size, -1.0), persistent=False)
        self.network = nn.Sequential(SineLayer(2, 256, first=True), *(SineLayer(256, 256) for _ in range(3)))
        self.head = nn.Conv2d(256, n_image_channels + 1, 1)
        bound = math.sqrt(6 / 256) / SineLayer.OMEGA
        nn.init.uniform_(self.head.weight, -bound, bound)


class GaussianMlp(Generator):
    """Siren's layers with a Gaussian in place of the sine (Ramasinghe and Lucey 2022, reference [34] of the paper)."""

    learning_rate = 1e-3

    def __init__(self, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3) -> None:
        super().__init__(psi_range)
        self.register_buffer("code", coordinates(size, -1.0), persistent=False)
        self.network = nn.Sequential(GaussianLayer(2, 256), *(GaussianLayer(256, 256) for _ in range(3)))
        self.head = nn.Conv2d(256, n_image_channels + 1, 1)


class HashMlp(Generator):
    """A hash grid read by a small network (Mueller et al. 2022, reference [28] of the paper)."""

    def __init__(self, size: Size, psi_range: tuple[float, float], n_image_channels: int = 3) -> None:
        super().__init__(psi_range)
        self.register_buffer("code", coordinates(size), persistent=False)
        grid = HashGrid()
        layers = [nn.Conv2d(grid.n_channels, 64, 1), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU()]
        self.network = nn.Sequential(grid, *layers)
        self.head = nn.Conv2d(64, n_image_channels + 1, 1)


GENERATORS: Registry[type[Generator]] = Registry("generator")
GENERATORS.update(
    {"dip": Dip, "flat": FlatDip, "pip": Pip, "siren": Siren, "gaussian": GaussianMlp, "hashgrid": HashMlp}
)


def make_generator(
    name: str,
    size: Size,
    psi_range: tuple[float, float],
    n_image_channels: int = 3,
    seed: int = 0,
    finest_channels: int = 128,
) -> Generator:
    """The generator `name` for images of `size` (H, W), its weights and input drawn from `seed` alone.

    finest_channels: see Dip; other networks have no such level. Raises InputError for a name that is not registered.
    The caller's random state is left as it was.
    """
    kind = GENERATORS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        options = {"finest_channels": finest_channels} if issubclass(kind, Dip) else {}
        return kind(size, psi_range, n_image_channels, **options)

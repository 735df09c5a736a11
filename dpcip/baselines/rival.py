"""What the supervised rivals have in common: a loss to be trained with, an error to be judged by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Sample:
    """A coded photograph and what it is of: float32 [3, H, W] in [0, 1] (both), and psi [H, W] (rad), in range."""

    capture: np.ndarray
    sharp: np.ndarray
    psi: np.ndarray


class Rival(nn.Module, ABC):
    """Base of the supervised networks: forward([N, 3, H, W] in [0, 1]) is its output for each pixel."""

    estimates: ClassVar[Literal["psi", "sharp"]]  # what `estimate` returns
    about: ClassVar[str]  # what the network is, in a sentence
    error_name: ClassVar[str]  # what `error` measures, with its unit

    @abstractmethod
    def loss(self, capture: Tensor, sharp: Tensor, psi: Tensor, progress: float) -> Tensor:
        """Training loss of a batch. progress: how much of the training is done, 0 to 1."""

    @abstractmethod
    def estimate(self, capture: np.ndarray) -> np.ndarray:
        """What the network makes of a photograph [3, H, W] in [0, 1]: psi [H, W] (rad) or a sharp image [3, H, W]."""

    @abstractmethod
    def error(self, sample: Sample) -> float:
        """How wrong the estimate is; the smaller the better."""

    def in_batch(self, capture: np.ndarray) -> Tensor:
        """A photograph as a batch of one, on the network's device and of its type."""
        return torch.as_tensor(capture).to(next(self.parameters()))[None]

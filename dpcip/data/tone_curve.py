"""Tone curves: from the levels of a photograph to light, which the camera model needs, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dpcip.utils.errors import InputError

SRGB_KNEE, SRGB_LINEAR_KNEE = 0.04045, 0.0031308  # below it the curve is a straight line (IEC 61966-2-1)


@dataclass(frozen=True)
class ToneCurve:
    """How a file's values follow from light: `value = light^(1 / gamma)`, or the sRGB standard's curve.

    gamma: 1 for files that are linear in light already, as the simulator's and raw ones are. Raises InputError for a
    gamma that is not a number from 0.1 to 10 or "srgb".
    """

    gamma: float | Literal["srgb"] = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.gamma, str):
            known = self.gamma == "srgb"
        else:
            known = 0.1 <= self.gamma <= 10
        if not known:
            raise InputError(f"gamma: {self.gamma!r} is no tone curve; give srgb, or a number from 0.1 to 10")

    @classmethod
    def parse(cls, given: object) -> ToneCurve:
        """The curve that "srgb", a number or a number's text names."""
        try:
            return cls("srgb" if given == "srgb" else float(given))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:  # InputError is a ValueError, too: the same words fit
            raise InputError(f"gamma: {given!r} is no tone curve; give srgb, or a number from 0.1 to 10") from error

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Light, in [0, 1], of a file's values in [0, 1]."""
        if self.gamma == 1:
            return values
        if self.gamma != "srgb":
            return values**self.gamma
        return np.where(values <= SRGB_KNEE, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(values.dtype)

    def encode(self, light: np.ndarray) -> np.ndarray:
        """The inverse of `decode`."""
        if self.gamma == 1:
            return light
        if self.gamma != "srgb":
            return light ** (1 / self.gamma)
        curved = 1.055 * light.clip(min=SRGB_LINEAR_KNEE) ** (1 / 2.4) - 0.055
        return np.where(light <= SRGB_LINEAR_KNEE, 12.92 * light, curved).astype(light.dtype)

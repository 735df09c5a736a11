"""The sensor: shot and read noise, Bayer mosaic and demosaicing, rounding to a number of bits."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dpcip.utils.errors import InputError

SENSOR_LEVELS = 65535  # the mosaic is demosaiced as 16-bit integers


@dataclass(frozen=True)
class Sensor:
    """How light becomes numbers. The default is the paper's: no noise, three full channels, 8 bits.

    full_well_e: electrons at full scale, for shot noise (None: no shot noise; 1000 to 50000 are usual).
    read_noise: standard deviation of the Gaussian noise, as a fraction of full scale.
    bayer: one colour a pixel (RGGB), the other two interpolated with edge-aware demosaicing (OpenCV).
    bits: rounding of the result, 1 to 16.

    >>> Sensor(bits=1).expose(np.array([[[0.2, 0.9]]]))
    array([[[0., 1.]]], dtype=float32)
    """

    full_well_e: float | None = None
    read_noise: float = 0.0
    bayer: bool = False
    bits: int = 8

    def __post_init__(self) -> None:
        if self.full_well_e is not None and not 0 < self.full_well_e <= 1e9:
            raise InputError(f"sensor: full well is {self.full_well_e} electrons; it must be positive, 1e9 at most")
        if not 0 <= self.read_noise < 1:
            raise InputError(f"sensor: read noise is {self.read_noise}; give a fraction of full scale, 0 to 1")
        if not 1 <= self.bits <= 16:
            raise InputError(f"sensor: {self.bits} bits; use 1 to 16")

    def expose(self, light: np.ndarray, seed: int = 0) -> np.ndarray:
        """`light` [C, H, W] in [0, 1] -> what the sensor reports, same shape, rounded to `bits` levels in [0, 1]."""
        if self.bayer and light.shape[0] != 3:
            raise InputError(f"sensor: a Bayer mosaic needs 3 channels, the image has {light.shape[0]}")
        rng = np.random.default_rng(seed)
        signal = _mosaic(light) if self.bayer else light
        if self.full_well_e is not None:
            signal = rng.poisson(np.clip(signal, 0, None) * self.full_well_e) / self.full_well_e
        signal = signal + rng.normal(0.0, self.read_noise, signal.shape) if self.read_noise else signal
        levels = 2**self.bits - 1
        digital = np.round(np.clip(signal, 0, 1) * levels) / levels
        if self.bayer:
            digital = np.round(_demosaic(digital) * levels) / levels
        return digital.astype(np.float32)


def _mosaic(light: np.ndarray) -> np.ndarray:
    """[3, H, W] -> [H, W]: R at even rows and columns, B at odd ones, G elsewhere."""
    mosaic = light[1].copy()
    mosaic[0::2, 0::2] = light[0, 0::2, 0::2]
    mosaic[1::2, 1::2] = light[2, 1::2, 1::2]
    return mosaic


def _demosaic(mosaic: np.ndarray) -> np.ndarray:
    """[H, W] -> [3, H, W] by OpenCV's edge-aware interpolation."""
    integers = np.round(mosaic * SENSOR_LEVELS).astype(np.uint16)
    rgb = cv2.demosaicing(integers, cv2.COLOR_BayerRGGB2RGB_EA)
    return rgb.transpose(2, 0, 1) / SENSOR_LEVELS

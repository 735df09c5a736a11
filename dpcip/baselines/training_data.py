"""What the rivals learn from: photographs of rendered frames, and pictures composed of textures at random depths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import skimage.data
import torch
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

from dpcip.baselines.rival import Sample
from dpcip.camera.models import MaskedDCM
from dpcip.camera.sensor import Sensor
from dpcip.data.photographs import photograph_scene
from dpcip.data.scenes import Scene
from dpcip.optics.lens import PSI_RANGE
from dpcip.optics.psf import PsfBank, psi_planes

# Pictures that come with scikit-image; the last three are for validation alone.
TEXTURES = (
    *("astronaut", "brick", "camera", "cat", "grass", "hubble_deep_field", "immunohistochemistry", "moon", "retina"),
    *("coins", "page", "coffee", "gravel", "rocket"),
)
N_HELD_OUT = 3
SIDE_PX = 160  # of a composed picture
PLANE_STEP = 0.5  # rad; the masked DCM between such planes is the simulator's equal (tests/test_baselines.py)
LARGEST_SLOPE = 4.0  # rad across a composed picture
BLOB_SIGMAS_PX = (6.0, 40.0)
ZOOMS = (0.3, 1.0)


def frame(scene: Scene) -> Sample:
    """A data set's frame, photographed by the simulator."""
    photo = photograph_scene(scene)
    return Sample(photo.capture, scene.sharp, photo.psi_true.astype(np.float32))


def composed(n: int, seed: int, most_layers: int, held_out: bool = False) -> Iterator[Sample]:
    """`n` pictures of textures cut to blobs, each at a random depth and slant, photographed by the masked DCM.

    most_layers: 1 gives a picture all at one depth, as in the training set of [7]. held_out: from the pictures that
    training does not see.
    """
    pictures = [_picture(name) for name in (TEXTURES[-N_HELD_OUT:] if held_out else TEXTURES[:-N_HELD_OUT])]
    half = PsfBank.synthesise(psi=psi_planes(step=PLANE_STEP))
    camera = MaskedDCM(replace(half, psf=half.psf.float()), (SIDE_PX, SIDE_PX), error=0)
    for number in range(n):
        rng = np.random.default_rng([seed, number, held_out])
        sharp, psi = _layers(rng, pictures, most_layers)
        with torch.no_grad():
            light = camera(torch.from_numpy(sharp), torch.from_numpy(psi)).numpy()
        yield Sample(Sensor().expose(light), sharp, psi)


def _picture(name: str) -> np.ndarray:
    """[3, H, W] in [0, 1], float32."""
    pixels = np.asarray(getattr(skimage.data, name)())
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    return (colours[..., :3] / 255).astype(np.float32).transpose(2, 0, 1)


def _texture(rng: np.random.Generator, pictures: list[np.ndarray]) -> np.ndarray:
    """A crop of a picture, shrunk, flipped and tinted at random: [3, SIDE_PX, SIDE_PX]."""
    picture = pictures[rng.integers(len(pictures))]
    smallest = min(picture.shape[1:])
    side = int(min(SIDE_PX / rng.uniform(*ZOOMS), smallest))
    top, left = (int(rng.integers(0, size - side + 1)) for size in picture.shape[1:])
    crop = picture[:, top : top + side, left : left + side]
    crop = resize(crop, (3, SIDE_PX, SIDE_PX), order=1, anti_aliasing=side > SIDE_PX)
    return np.clip(crop * rng.uniform(0.5, 1.2, (3, 1, 1)), 0, 1)[:, :: rng.choice([-1, 1]), :: rng.choice([-1, 1])]


def _layers(rng: np.random.Generator, pictures: list[np.ndarray], most: int) -> tuple[np.ndarray, np.ndarray]:
    """Layers from far to near, each hiding what is behind: sharp [3, S, S] and psi [S, S], float32."""
    row, column = np.mgrid[-0.5 : 0.5 : SIDE_PX * 1j, -0.5 : 0.5 : SIDE_PX * 1j]
    depths = np.sort(rng.uniform(*PSI_RANGE, int(rng.integers(min(most, 2), most + 1))))
    sharp, psi = np.zeros((3, SIDE_PX, SIDE_PX)), np.zeros((SIDE_PX, SIDE_PX))
    for number, depth in enumerate(depths):
        slant = rng.uniform(-LARGEST_SLOPE, LARGEST_SLOPE, 2) * (most > 1) * rng.integers(0, 2)
        noise = gaussian_filter(rng.standard_normal((SIDE_PX, SIDE_PX)), np.exp(rng.uniform(*np.log(BLOB_SIGMAS_PX))))
        shown = noise > np.quantile(noise, rng.uniform(0.5, 0.9)) if number else np.ones(psi.shape, dtype=bool)
        sharp = np.where(shown, _texture(rng, pictures), sharp)
        psi = np.where(shown, depth + slant[0] * row + slant[1] * column, psi)
    return sharp.astype(np.float32), np.clip(psi, *PSI_RANGE).astype(np.float32)

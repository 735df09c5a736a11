"""Scenes made up to learn from: surfaces at many depths that hide each other, covered with textures of many kinds.

What a scene holds decides what the network can do: surfaces that are flat, slanted or curved, objects that stand on a
ground, thin things and gratings, walls without texture; photographs' crops, dead leaves, noise of every slope, lines of
text; colourful to grey, full of contrast or faint, coded for a screen or in linear light. A scene depends on its number
alone, so that a set can be made in any order and again on another machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import skimage.data
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon2mask
from skimage.transform import resize

SIDE_PX = 160
# Pictures that come with scikit-image; the last three are for validation alone.
PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "cat", "grass", "hubble_deep_field", "immunohistochemistry", "moon", "retina"),
    *("coins", "page", "clock", "coffee", "gravel", "rocket"),
)
N_HELD_OUT = 3
GAMMA = 2.2  # of a picture turned to linear light, about sRGB's
KINDS = ("layers", "slants", "curved", "ground")  # of surfaces; see `_surfaces`
Generator = np.random.Generator
Texture = Callable[[Generator], np.ndarray]


@dataclass(frozen=True)
class Picture:
    """A made-up scene: sharp, float32 [3, S, S] in [0, 1]; nearness, float32 [S, S], 0 far, 1 near; kind, of KINDS."""

    sharp: np.ndarray
    nearness: np.ndarray
    kind: str


class Pictures:
    """Scenes by number. held_out: with textures from photographs that the others do not see."""

    def __init__(self, seed: int = 0, held_out: bool = False) -> None:
        names = PHOTOGRAPHS[-N_HELD_OUT:] if held_out else PHOTOGRAPHS[:-N_HELD_OUT]
        self.photographs = [_photograph(name) for name in names]
        self.seed, self.held_out = seed, held_out

    def __getitem__(self, number: int) -> Picture:
        rng = np.random.default_rng([self.seed, number, self.held_out])
        kind, colourful = KINDS[number % len(KINDS)], 1.5 * rng.beta(1.5, 2.5)  # most photographs are greyish
        sharp, nearness = np.zeros((3, SIDE_PX, SIDE_PX)), np.zeros((SIDE_PX, SIDE_PX))
        for shown, surface in _surfaces(rng, kind):
            sharp = np.where(shown, self._texture(rng, colourful), sharp)
            nearness = np.where(shown, surface, nearness)
        if rng.random() < 0.35:
            sharp = sharp**GAMMA
        return Picture(sharp.astype(np.float32), nearness.clip(0, 1).astype(np.float32), kind)

    def _texture(self, rng: Generator, colourful: float) -> np.ndarray:
        """One of the kinds of texture, its colours, contrast and brightness changed at random: [3, S, S]."""
        kinds: tuple[Texture, ...] = (self._crop, _leaves, _noise, _text, _plain)
        texture = kinds[rng.choice(len(kinds), p=(0.38, 0.3, 0.15, 0.07, 0.1))](rng)
        grey = texture.mean(axis=0)
        texture = grey + colourful * rng.uniform(0.5, 1.1) * (texture - grey)
        if rng.random() < 0.5:
            texture = texture[rng.permutation(3)]
        if rng.random() < 0.3:
            texture = texture * rng.uniform(0.3, 1, (3, 1, 1))
        contrast = rng.uniform(0.15, 1.1) if rng.random() < 0.3 else rng.uniform(0.6, 1.1)
        return np.clip((texture - texture.mean()) * contrast + rng.uniform(0.2, 0.75), 0, 1)

    def _crop(self, rng: Generator) -> np.ndarray:
        """A photograph's crop, shrunk by up to a third of its size, mirrored at random."""
        picture = self.photographs[rng.integers(len(self.photographs))]
        side = int(min(SIDE_PX / rng.uniform(0.3, 1.2), *picture.shape[1:]))
        top, left = (int(rng.integers(0, size - side + 1)) for size in picture.shape[1:])
        crop = picture[:, top : top + side, left : left + side]
        crop = resize(crop, (3, SIDE_PX, SIDE_PX), order=1, anti_aliasing=side > SIDE_PX)
        return crop[:, :: rng.choice([-1, 1]), :: rng.choice([-1, 1])]


def _photograph(name: str) -> np.ndarray:
    """[3, H, W] in [0, 1], float32."""
    pixels = np.asarray(getattr(skimage.data, name)())
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    return (colours[..., :3] / 255).astype(np.float32).transpose(2, 0, 1)


def _leaves(rng: Generator) -> np.ndarray:
    """Dead leaves: discs and rectangles of all sizes hide each other; their edges are those of natural pictures."""
    image = np.ones((3, SIDE_PX, SIDE_PX)) * rng.uniform(0, 1, (3, 1, 1))
    colourful = rng.uniform(0.1, 1)
    for _ in range(int(rng.integers(100, 500))):
        radius = np.clip(2 / np.sqrt(rng.uniform(0.0008, 1)), 2, 60)
        centre, angle, narrow = rng.uniform(-10, SIDE_PX + 10, 2), rng.uniform(0, np.pi), rng.uniform(0.3, 1)
        (top, left), (bottom, right) = (np.clip(centre + s * (radius + 1), 0, SIDE_PX).astype(int) for s in (-1, 1))
        if top >= bottom or left >= right:
            continue
        down, across = np.mgrid[top:bottom, left:right] - centre[:, None, None]
        u = (across * np.cos(angle) + down * np.sin(angle)) / radius
        v = (down * np.cos(angle) - across * np.sin(angle)) / (narrow * radius)
        shown = np.hypot(u, v) < 1 if rng.random() < 0.6 else np.maximum(abs(u), abs(v)) < 0.8
        colour = np.clip(rng.uniform(0, 1) + colourful * (rng.uniform(0, 1, 3) - 0.5), 0, 1)
        shading = rng.normal(0, 0.003, 2) @ np.stack([across, down]).reshape(2, -1)
        part = image[:, top:bottom, left:right]
        image[:, top:bottom, left:right] = np.where(shown, colour[:, None, None] + shading.reshape(down.shape), part)
    grain = gaussian_filter(rng.normal(size=(SIDE_PX, SIDE_PX)), rng.uniform(0.5, 3))
    return np.clip(image + grain / grain.std() * rng.uniform(0, 0.06), 0, 1)


def _noise(rng: Generator) -> np.ndarray:
    """A random field of power |f|^-p, its three colours alike to a random degree."""
    frequency = np.hypot(np.fft.fftfreq(SIDE_PX)[:, None], np.fft.rfftfreq(SIDE_PX))
    amplitude = np.maximum(frequency, 1 / SIDE_PX) ** -rng.uniform(0.3, 1.6)
    white = rng.normal(size=(4, SIDE_PX, SIDE_PX))
    field = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(SIDE_PX, SIDE_PX))
    field /= field.std(axis=(1, 2), keepdims=True)
    alike = np.sqrt(1 - rng.uniform(0, 1) ** 2)
    return np.clip(0.5 + rng.uniform(0.08, 0.25) * (alike * field[3] + np.sqrt(1 - alike**2) * field[:3]), 0, 1)


def _text(rng: Generator) -> np.ndarray:
    """Lines of letters in one colour on another."""
    image = Image.new("L", (SIDE_PX, SIDE_PX))
    draw, size = ImageDraw.Draw(image), int(rng.integers(8, 40))
    for top in range(int(rng.integers(-size, 0)), SIDE_PX, int(size * rng.uniform(1, 1.6))):
        letters = "".join(map(chr, rng.integers(33, 127, 60)))
        draw.text((int(rng.integers(-20, 10)), top), letters, fill=255, font_size=size)
    ink = np.asarray(image) / 255
    paper, colour = rng.uniform(0, 1, (2, 3, 1, 1))
    return paper + ink * (colour - paper)


def _plain(rng: Generator) -> np.ndarray:
    """A wall or a sky: one colour that changes slowly, with little grain or none."""
    down, across = np.mgrid[-0.5 : 0.5 : SIDE_PX * 1j, -0.5 : 0.5 : SIDE_PX * 1j]
    slopes = rng.normal(0, 0.15, (2, 3, 1, 1))
    grain = gaussian_filter(rng.normal(size=(SIDE_PX, SIDE_PX)), rng.uniform(0.4, 2))
    grain *= rng.choice([0, rng.uniform(0, 0.03)]) / grain.std()
    return np.clip(rng.uniform(0.1, 0.9, (3, 1, 1)) + slopes[0] * down + slopes[1] * across + grain, 0, 1)


def _surfaces(rng: Generator, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where each surface is seen and how near it is, from far to near.

    layers: pieces that face the camera, some slanted. slants: one to four large slanted planes. curved: a surface of
    hills, with pieces before it. ground: a floor that comes nearer towards one side, and things that stand on it.
    """
    down, across = np.mgrid[-0.5 : 0.5 : SIDE_PX * 1j, -0.5 : 0.5 : SIDE_PX * 1j]
    everywhere = np.ones(down.shape, dtype=bool)
    if kind == "slants":
        count = int(rng.integers(1, 5))
        levels = np.sort(rng.uniform(0, 1, count))
        planes = [level + rng.uniform(-0.5, 0.5) * down + rng.uniform(-0.5, 0.5) * across for level in levels]
        return [(_large_piece(rng) if number else everywhere, plane) for number, plane in enumerate(planes)]
    if kind == "curved":
        hills = gaussian_filter(rng.standard_normal(down.shape), np.exp(rng.uniform(*np.log((15, 60)))))
        hills = rng.uniform(0.1, 0.9) + rng.uniform(0.03, 0.15) * hills / hills.std()
        pieces = [hills + rng.uniform(0.05, 0.5) for _ in range(int(rng.integers(0, 4)))]
        return [(everywhere, hills), *((_piece(rng), piece) for piece in pieces)]
    if kind == "ground":
        near, far = np.sort(rng.uniform(0, 1, 2))[::-1]
        horizon = rng.uniform(-0.6, 0.2)
        along = np.rot90(down, int(rng.integers(0, 4))) if rng.random() < 0.3 else down
        rise = ((along - horizon) / (0.5 - horizon)).clip(0, 1) ** rng.uniform(0.7, 1.5)
        floor = far + (near - far) * rise
        feet = np.sort(rng.uniform(0, 1, int(rng.integers(1, 9))))
        things = [np.full(down.shape, far + (near - far) * foot + rng.uniform(0, 0.02)) for foot in feet]
        return [(everywhere, floor), *((_piece(rng), thing) for thing in things)]
    levels = np.sort(rng.uniform(0, 1, int(rng.integers(2, 9))))
    surfaces = []
    for number, level in enumerate(levels):
        slope = rng.uniform(-0.3, 0.3, 2) * rng.integers(0, 2)
        surfaces.append((_piece(rng) if number else everywhere, level + slope[0] * down + slope[1] * across))
    return surfaces


def _large_piece(rng: Generator) -> np.ndarray:
    """One side of a straight line through the picture."""
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3)
    down, across = np.mgrid[-0.5 : 0.5 : SIDE_PX * 1j, -0.5 : 0.5 : SIDE_PX * 1j]
    return down * np.sin(angle) + across * np.cos(angle) > offset


def _piece(rng: Generator) -> np.ndarray:
    """An outline: a blob, a polygon, thin bars or a grating."""
    kind = rng.choice(["blob", "polygon", "bars", "grating"], p=(0.5, 0.4, 0.07, 0.03))
    if kind == "blob":
        sigma = np.exp(rng.uniform(*np.log((9, 45))))
        field = gaussian_filter(rng.standard_normal((SIDE_PX, SIDE_PX)), sigma)
        return field > np.quantile(field, rng.uniform(0.5, 0.93))
    if kind == "polygon":
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        radii = rng.uniform(12, 70) * rng.uniform(0.4, 1, len(angles))
        corners = rng.uniform(0, SIDE_PX, 2) + radii[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        return polygon2mask((SIDE_PX, SIDE_PX), corners)
    down, across = np.mgrid[:SIDE_PX, :SIDE_PX]
    angle = rng.uniform(0, np.pi)
    along = down * np.sin(angle) + across * np.cos(angle)
    if kind == "grating":
        period = rng.uniform(8, 40)
        return along % period < period * rng.uniform(0.2, 0.6)
    places = rng.uniform(along.min(), along.max(), int(rng.integers(1, 5)))
    return (abs(along[..., None] - places) < rng.uniform(0.7, 5)).any(axis=-1)

"""A result as a page of its own that one plays with, and as a small piece of a notebook."""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from dpcip import __version__
from dpcip.evaluation.figures import DEPTH_COLOURS, show_depth
from dpcip.optics.lens import Lens, Optics

PAGE_BYTES = 4_900_000  # of result.html at most; mail and chat take it
MOST_PIXELS = 1_500_000  # what a screen shows, and a graphics card blurs quickly
LARGEST_SIDE = 4096  # of a texture, in pixels, that every graphics card takes
QUALITY = 90  # of the page's WebP pictures
DEPTH_LEVELS = 4095  # steps of 1/depth: some hundredth of the least uncertainty that was met
STD_LEVELS = 255  # steps of the uncertainty, each the same ratio
UNCERTAINTY_COLOURS = "magma"
SMALL_SIDE, SMALL_QUALITY = 640, 80  # of a notebook's pictures: far below 1 MB
HERE = files("dpcip.viewer")
TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("dpcip.viewer", ""), autoescape=True, undefined=jinja2.StrictUndefined
)
# Scripts and styles go in as they are: Jinja2 would read braces of theirs.
TEMPLATES.globals["asset"] = lambda name: Markup(HERE.joinpath(name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Shown:
    """What a page shows.

    title: the photograph's name. facts: lines below it. capture: [C, H, W], sharp: [L, H, W], both in [0, 1] with the
    tone curve that a screen expects, or in linear light if `linear`. depth_m: [H, W], m, > 0, may be inf. psi_std:
    [H, W], rad. lens: what ties the two. focal_px: focal length in pixels, None: not known.
    """

    title: str
    facts: tuple[str, ...]
    capture: np.ndarray
    sharp: np.ndarray
    depth_m: np.ndarray
    psi_std: np.ndarray
    lens: Lens
    focal_px: float | None
    linear: bool


def result_page(shown: Shown) -> str:
    """The page as HTML, at most 5 MB: a picture that needs more is shown smaller, and the page says so."""
    height, width = shown.depth_m.shape
    scale = min(1.0, LARGEST_SIDE / max(height, width), math.sqrt(MOST_PIXELS / (height * width)))
    while True:
        html = _page(shown, max(1, round(width * scale)), max(1, round(height * scale)))
        if len(html.encode()) <= PAGE_BYTES:
            return html
        empty = 700_000  # bytes of scripts and words, which do not shrink
        scale *= 0.97 * math.sqrt((PAGE_BYTES - empty) / (len(html.encode()) - empty))


def _page(shown: Shown, width: int, height: int) -> str:
    """The page with pictures of so many pixels."""
    full_height, full_width = shown.depth_m.shape
    scale = width / full_width
    dioptres = 1 / thinned(shown.depth_m, width, height).astype(np.float64)
    spread = thinned(shown.psi_std, width, height) * shown.lens.dioptres_per_psi  # 1/m
    depth_levels, depth_range = levels(dioptres, DEPTH_LEVELS)
    std_levels, std_range = levels(np.log(spread.clip(1e-6, 1e6)), STD_LEVELS)
    facts = list(shown.facts)
    if width < full_width:
        facts.append(f"shown at {width}x{height} of {full_width}x{full_height} pixels, to keep this page small")
    data = {
        "width": width,
        "height": height,
        "scale": scale,
        "depth": {"range": depth_range, "levels": DEPTH_LEVELS, "colours": _colours(DEPTH_COLOURS.removesuffix("_r"))},
        "std": {"range": std_range, "levels": STD_LEVELS, "colours": _colours(UNCERTAINTY_COLOURS)},
        "focal": shown.focal_px and shown.focal_px * scale,
        # Radius of the blur of an out-of-focus point, px for 1/m of defocus: aperture radius times focal length.
        "blur": scale * (shown.focal_px or Optics(lens=shown.lens).focal_px) * shown.lens.aperture_radius_mm / 1000,
        "dioptresPerPsi": shown.lens.dioptres_per_psi,
        "focus": 1 / shown.lens.focus_m,
        "linear": shown.linear,
    }
    return TEMPLATES.get_template("result.html.jinja").render(
        title=shown.title,
        facts=facts,
        version=__version__,
        width=width,
        height=height,
        capture=picture(shown.capture, width, height, QUALITY),
        sharp=picture(shown.sharp, width, height, QUALITY),
        depth=packed(depth_levels),
        std=packed(std_levels),
        depth_gradient=_gradient(DEPTH_COLOURS.removesuffix("_r")),
        std_gradient=_gradient(UNCERTAINTY_COLOURS),
        data=json.dumps(data).replace("<", "\\u003c"),
    )


def small_page(shown: Shown) -> str:
    """A notebook's small form: capture and image under a slider, the depth map beside it; well below 1 MB.

    Where scripts do not run, as on GitHub, the three are still pictures.
    """
    height, width = shown.depth_m.shape
    scale = min(1.0, SMALL_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    figure = Figure(figsize=(size[0] / 100 + 1.2, size[1] / 100 + 0.4), layout="constrained")
    show_depth(figure.subplots(), thinned(shown.depth_m, *size))
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    return TEMPLATES.get_template("notebook.html.jinja").render(
        facts=shown.facts,
        width=max(size[0], 256),  # a tiny picture is enlarged: a slider needs room
        capture=picture(shown.capture, *size, SMALL_QUALITY),
        sharp=picture(shown.sharp, *size, SMALL_QUALITY),
        depth=_base64(_webp(Image.open(drawn), SMALL_QUALITY)),
    )


def thinned(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """A map [H, W] at fewer pixels: one of each block, not the mean, as between near and far there is nothing."""
    rows, columns = ((np.arange(n) + 0.5) * full / n for n, full in zip((height, width), values.shape, strict=True))
    return values[np.ix_(rows.astype(int), columns.astype(int))]


def levels(values: np.ndarray, highest: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Finite values as whole numbers 0 to `highest`, uint16 of the same shape, and what the two ends stand for."""
    low, high = float(values.min()), float(values.max())
    return np.round((values - low) / ((high - low) or 1) * highest).astype(np.uint16), (low, high)


def packed(numbers: np.ndarray) -> str:
    """uint16 numbers [H, W] as text: row by row the differences, their high bytes, then their low ones, zlib, base64.

    result.js unpacks it. No PNG: reading a canvas back is noisy where a browser guards against fingerprinting.
    """
    differences = np.diff(numbers.ravel(), prepend=np.uint16(0))  # modulo 65536
    both = (differences >> 8).astype(np.uint8).tobytes() + (differences & 255).astype(np.uint8).tobytes()
    return _base64(zlib.compress(both))


def picture(image: np.ndarray, width: int, height: int, quality: int) -> str:
    """[C, H, W] in [0, 1] as WebP of that size, base64; of neither one nor three channels the mean, in grey."""
    if len(image) != 3:
        image = image.mean(axis=0, keepdims=True).repeat(3, axis=0)
    pixels = np.round(image.clip(0, 1).transpose(1, 2, 0) * 255).astype(np.uint8)
    drawn = Image.fromarray(pixels)
    if drawn.size != (width, height):
        drawn = drawn.resize((width, height), Image.Resampling.LANCZOS)
    return _base64(_webp(drawn, quality))


def _webp(drawn: Image.Image, quality: int) -> bytes:
    file = BytesIO()
    drawn.convert("RGB").save(file, "webp", quality=quality)
    return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _colours(name: str) -> str:
    """The 256 colours of a map, bytes R, G, B, base64."""
    return _base64(np.round(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes())


def _gradient(name: str) -> str:
    """A map's colours for CSS, from the left to the right."""
    stops = (colormaps[name](np.linspace(0, 1, 17))[:, :3] * 255).round().astype(int)
    return "linear-gradient(90deg, " + ", ".join(f"rgb({r} {g} {b})" for r, g, b in stops) + ")"

"""The scenes of the study: five rendered ones that come with the repository, TAUAgent for those who have it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy.ndimage import uniform_filter

from dpcip.data.depth_maps import Unit
from dpcip.data.scenes import Scene, motorcycle, read_pair
from dpcip.optics.lens import Lens
from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError
from dpcip.utils.registry import Registry

DATA = TOP / "data"
MANIFEST = "manifest.json"
TAUAGENT_PLACES = ("City", "Headbutt", "Sitting", "WallSlam", "WuManchu")
CHECK_PLACE = "check"  # a plane and a sphere: there to test the renderer's depth, no scene of the study
T = TypeVar("T")
TEXTURE_WINDOW_PX = 11  # side of the window of the SSIM, about half a PSF
TEXTURELESS_LEVELS = 1.5  # grey levels (of 255): a window that varies less than this shows no blur


@dataclass(frozen=True)
class Shot:
    """One photograph of a data set, not read yet. `place` is the scene's name in tables, `name` the frame's."""

    place: str
    name: str
    read: Callable[[], Scene]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_manifest(root: Path) -> dict[str, Any]:
    """The manifest of rendered frames: how they were made, and each frame's files, checksums and camera."""
    path = root / MANIFEST
    if not path.is_file():
        command = f"python data/renderer/make_frames.py {root.name}"
        raise InputError(f"{path}: no such file; render the frames with `{command}`, or clone the project again")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return {**manifest, "frames": list(manifest["frames"]), "metres_per_level": float(manifest["metres_per_level"])}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a manifest of rendered frames; take it from git again") from error


def check_frame(root: Path, frame: dict[str, Any]) -> None:
    """Raises InputError unless each file of a manifest's frame is there and is, byte for byte, what was rendered."""
    for file in frame["files"].values():
        path = root / file["name"]
        if not path.is_file():
            raise InputError(f"{path}: is missing; `git checkout {path.name}` brings it back")
        if _sha256(path) != file["sha256"]:
            raise InputError(f"{path}: differs from what {MANIFEST} lists; `git checkout {path.name}` brings it back")


def _read_rendered(root: Path, frame: dict[str, Any], metres_per_level: float) -> Scene:
    check_frame(root, frame)
    sharp, depth = (root / frame["files"][kind]["name"] for kind in ("sharp", "depth"))
    return read_pair(frame["name"], sharp, depth, "m", metres_per_level=metres_per_level)


def rendered(root: Path = DATA / "rendered" / "laptop") -> list[Shot]:
    """The rendered scenes table, room, street, slants and garden (data/renderer), in the manifest's order.

    Each frame's bytes are compared with the manifest's checksums when it is read.
    """
    manifest = read_manifest(root)
    return [
        Shot(frame["place"], frame["name"], partial(_read_rendered, root, frame, manifest["metres_per_level"]))
        for frame in manifest["frames"]
        if frame["place"] != CHECK_PLACE
    ]


def _depth_beside(image: Path, root: Path) -> Path:
    """The .dpt of a TAUAgent image: in Depth/ of its own folder, or in a Depth/ of the whole set."""
    folders = (image.parent / "Depth", root / "Depth" / image.parent.name, root / "Depth")
    found = next((folder / f"{image.stem}.dpt" for folder in folders if (folder / f"{image.stem}.dpt").is_file()), None)
    if found is None:
        raise InputError(f"{image}: has no depth; put {image.stem}.dpt into {folders[0]}")
    return found


def _check_name(image: Path, place: str) -> None:
    number = image.stem.removeprefix(f"{place}_")
    if number == image.stem or not number.isdigit():
        raise InputError(f"{image}: is not named {place}_NUMBER{image.suffix}; rename it or move it elsewhere")


def _tauagent_shot(place: str, image: Path, depth: Path, unit: Unit) -> Shot:
    _check_name(image, place)
    return Shot(place, image.stem, partial(read_pair, image.stem, image, depth, unit))


def tauagent(root: Path = DATA / "TAUAgent", unit: Unit | None = None) -> list[Shot]:
    """TAUAgent, which a user has to bring: cs.toronto.edu/~harel/TAUAgent/home.html.

    Two layouts are known. TAUAgent's own: City_L/City_0058.tif (16 bits; the left views) with the depth in
    City_L/Depth/City_0058.dpt or Depth/City_0058.dpt, in metres. DPCIP's: inputs/City_0058.png (sharp) with
    GT/City_0058_GT.dpt, in psi. `unit` says so if the depth files hold the other. Raises InputError naming the file
    that is missing, stray, or (when it is read) faulty.
    """
    shots = []
    for place in TAUAGENT_PLACES:
        for image in sorted((root / f"{place}_L").glob("*.tif")):
            shots.append(_tauagent_shot(place, image, _depth_beside(image, root), unit or "m"))
    for image in sorted((root / "inputs").glob("*.png")):
        place = image.stem.split("_")[0]
        if place not in TAUAGENT_PLACES:
            raise InputError(f"{image}: is of no scene of TAUAgent ({', '.join(TAUAGENT_PLACES)})")
        shots.append(_tauagent_shot(place, image, root / "GT" / f"{image.stem}_GT.dpt", unit or "psi"))
    if not shots:
        raise InputError(
            f"{root}: holds neither City_L/City_NUMBER.tif nor inputs/City_NUMBER.png (or another scene's); "
            "copy TAUAgent there, or set dataset: rendered in params.yaml"
        )
    return sorted(shots, key=lambda shot: shot.place)


DATASETS: Registry[Callable[[], list[Shot]]] = Registry("data set")
DATASETS.update(
    {
        "rendered": rendered,
        "rendered_paper": lambda: rendered(DATA / "rendered" / "paper"),
        "tauagent": tauagent,
        "motorcycle": lambda: [Shot("motorcycle", "motorcycle", motorcycle)],
    }
)


def shots(dataset: str, per_place: int = 1) -> list[Shot]:
    """`per_place` frames of each scene of a data set, evenly spaced over its frames; names as in DATASETS.

    Fewer if a scene has fewer. Raises InputError for an unknown data set.
    """
    by_place: dict[str, list[Shot]] = {}
    for shot in DATASETS[dataset]():
        by_place.setdefault(shot.place, []).append(shot)
    return [shot for frames in by_place.values() for shot in evenly(frames, per_place)]


def evenly(frames: list[T], count: int) -> list[T]:
    """`count` of the frames, each from the middle of its share of the list."""
    count = min(count, len(frames))
    return [frames[int((n + 0.5) * len(frames) / count)] for n in range(count)]


def statistics(scenes: list[Scene], lens: Lens, psi_range: tuple[float, float] = (-4, 10)) -> dict[str, float]:
    """What frames of one scene offer to a depth camera, over all their pixels.

    Shares of pixels in the camera's range, farther and nearer; quartiles of psi (rad); the share of depth edges (psi
    jumps by more than 1 rad to the next pixel); texture, the median standard deviation of the grey image in windows of
    11x11 pixels (grey levels of 255), and the share of pixels whose window varies by less than 1.5 levels.
    """
    psi = np.stack([scene.psi(lens) for scene in scenes])
    contrast = np.stack([local_contrast(scene.sharp) for scene in scenes])
    low, high = psi_range
    lower, median, upper = np.quantile(psi, (0.25, 0.5, 0.75))
    clipped = np.clip(psi, low, high)
    jumps = np.abs(np.diff(clipped, axis=1))[:, :, :-1] + np.abs(np.diff(clipped, axis=2))[:, :-1]
    return {
        "frames": len(scenes),
        "in range": float(((psi >= low) & (psi <= high)).mean()),
        "farther": float((psi < low).mean()),
        "nearer": float((psi > high).mean()),
        "psi lower quartile": float(lower),
        "psi median": float(median),
        "psi upper quartile": float(upper),
        "depth edges": float((jumps > 1).mean()),
        "texture (grey levels)": float(np.median(contrast)),
        "textureless": float((contrast < TEXTURELESS_LEVELS).mean()),
    }


def local_contrast(sharp: np.ndarray) -> np.ndarray:
    """Standard deviation of the grey image around each pixel, [H, W], grey levels of 255."""
    grey = 255 * sharp.mean(axis=0, dtype=np.float64)
    mean, square = (uniform_filter(values, TEXTURE_WINDOW_PX) for values in (grey, grey**2))
    return np.sqrt(np.maximum(square - mean**2, 0))

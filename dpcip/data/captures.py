"""Captures of a user's own coded camera: one folder each, with the photograph and what is known of the camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from dpcip.data.images import upright
from dpcip.data.photo_files import JPEG_SUFFIXES, RAW_SUFFIXES, Reading, read_photo
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.lens import read_optics
from dpcip.optics.psf import PsfBank
from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError

CAPTURES = TOP / "data" / "captures"
TURNED = 1e-2  # of the largest tap: how far PSFs of a mask of rings may be from symmetry
IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".npz", *JPEG_SUFFIXES, *RAW_SUFFIXES)


@dataclass(frozen=True)
class UserCapture:
    """A photograph and the camera that took it.

    name: the folder's or the file's. light: float32 [C, H, W] in [0, 1], linear. tone: the file's tone curve.
    record: how it was read, for a report. bank: the camera's PSFs. notes: the user's, or empty.
    """

    name: str
    light: np.ndarray
    tone: ToneCurve
    record: dict[str, object]
    bank: PsfBank
    notes: str = ""


def photograph_of(folder: Path) -> Path:
    """The image.* of a capture's folder; raises InputError unless there is exactly one."""
    found = sorted(p for p in folder.glob("image.*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if len(found) != 1:
        told = "holds no photograph" if not found else f"holds {len(found)} photographs"
        raise InputError(f"{folder}: {told}; put one there as image.png, .tif, .npy, .jpg or .dng")
    return found[0]


def bank_of(folder: Path) -> PsfBank:
    """The camera's PSFs: bank.npz, or synthesised from optics.yaml; raises InputError unless one of them is there."""
    bank, optics = folder / "bank.npz", folder / "optics.yaml"
    if bank.is_file() == optics.is_file():
        told = "neither bank.npz nor optics.yaml is there" if not bank.is_file() else "bank.npz and optics.yaml differ"
        raise InputError(f"{folder}: {told}; give one of them")
    return camera_in(bank if bank.is_file() else optics)


def camera_in(file: Path) -> PsfBank:
    """The PSFs in a bank's file (.npz, .mat), or of the optics in a YAML file (only those can be learnt)."""
    if file.suffix.lower() in (".yaml", ".yml"):
        return PsfBank.synthesise(read_optics(file))
    return PsfBank.load(file).integer_planes()


def options_of(folder: Path) -> dict[str, object]:
    """What capture.yaml says about reading the photograph: gamma, black, white and roi [X, Y, W, H], each optional."""
    path = folder / "capture.yaml"
    if not path.is_file():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(values, dict):
            raise TypeError("its lines must read 'name: value'")
        Reading.of(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, OverflowError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({' '.join(str(error).split())}); see data/README.md") from error
    return values


def read_capture(
    path: Path | str,
    options: Mapping[str, object] | None = None,
    bank_file: Path | str | None = None,
    views: Sequence[Path] = (),
) -> UserCapture:
    """A photograph, or the folder of a capture, with its camera.

    views: files of the photograph's other channels, each grey as `path` is then, too: a dual pixel's right view, say.
    options: as in `Reading.of`; they go before those of the folder's capture.yaml. bank_file: goes before the folder's
    bank; a photograph without any is taken for one of the published camera. Raises InputError that names what is
    missing or wrong.
    """
    path = Path(path)
    bank = camera_in(Path(bank_file)) if bank_file else None
    if not path.is_dir():
        reading, bank = Reading.of(options or {}), bank or PsfBank.synthesise()
        light, record = read_photo(path, reading, bank.n_channels, views)
        _check_turned(path, record, bank)
        return UserCapture(path.stem, light, reading.tone, record, bank)
    if views:
        raise InputError(f"{path}: is a capture's folder; give it alone, or files, one a channel")
    reading, bank = Reading.of({**options_of(path), **(options or {})}), bank or bank_of(path)
    light, record = read_photo(photograph_of(path), reading, bank.n_channels)
    _check_turned(photograph_of(path), record, bank)
    notes = path / "notes.md"
    text = notes.read_text(encoding="utf-8", errors="replace") if notes.is_file() else ""
    return UserCapture(path.name, light, reading.tone, record, bank, text)


def _check_turned(path: Path, record: Mapping[str, object], bank: PsfBank) -> None:
    """Raises InputError for a photograph that was turned upright, if the PSFs are not the same when turned alike."""
    orientation = record.get("orientation", 1)
    kernels = np.moveaxis(bank.psf.numpy(), (2, 3), (0, 1))
    if isinstance(orientation, int) and np.abs(upright(kernels, orientation) - kernels).max() > TURNED * kernels.max():
        raise InputError(
            f"{path}: its orientation tag ({orientation}) turns it, and {bank.source} holds PSFs that are not the same "
            "turned; remove the tag, so that rows and columns are the sensor's"
        )


def captures(root: Path = CAPTURES) -> Iterator[UserCapture]:
    """Every capture below `root` (default: data/captures of the clone), by name; none if the folder is empty.

    Hidden folders, such as Jupyter's checkpoints, are no captures.
    """
    for folder in sorted(p for p in root.glob("[!.]*") if p.is_dir()):
        yield read_capture(folder)

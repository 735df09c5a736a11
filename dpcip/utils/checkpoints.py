"""States of interrupted work on disk: solves, trainings and blind deconvolutions go on from them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values, whole or not at all. Raises OSError or RuntimeError for a full disk."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What `save_checkpoint` wrote; None if there is nothing. Raises InputError for a damaged file."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises several kinds for a damaged file
        raise InputError(f"{path}: the checkpoint cannot be read; delete it to start anew") from error
    if not isinstance(state, dict):
        raise InputError(f"{path}: is no checkpoint; delete it to start anew")
    return state


@contextmanager
def resuming(path: Path) -> Iterator[None]:
    """For the code that takes over a checkpoint's content. Raises InputError if it does not fit the present code."""
    try:
        yield
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:  # torch: RuntimeError, ValueError
        raise InputError(f"{path}: is of another version of the code; delete it to start anew") from error

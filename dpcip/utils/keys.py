"""Names for what is dear to compute: a hash of what it means, never of a file's bytes.

A solve, a training, a blind deconvolution is kept under the hash of all that determines its numbers: the input, the
optics, the settings, the arithmetic, and the `ALGORITHM` version that its module declares. Comments, names and places
of files are free. What keeps the declaration honest is tests/test_golden.py.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass

import numpy as np
import torch

from dpcip.utils.machine import has_fast_bfloat16

# Metadata of a dataclass's field that came after results were kept: at its default it is no part of a key.
LATER = {"later": True}


def arithmetic(device: torch.device, bfloat16: bool | None = None) -> str:
    """Where and how numbers are computed, as far as it changes them: device, and type of the convolutions.

    bfloat16: whether the convolutions run in it; default: if it is quicker there. The number of threads is no part,
    though sums in another order end as far apart as other processors' (tests/spread.csv; in float64 it moves nothing):
    a solve that is finished shall be found whatever else the machine does. Results say how many there were.
    """
    fast = has_fast_bfloat16(device) if bfloat16 is None else bfloat16
    return f"{device.type} {'bfloat16' if fast else 'float32'}"


def key(**parts: object) -> str:
    """SHA-256 of named parts, in any order: arrays by type, shape and values, dataclasses by their fields, JSON."""
    digest = hashlib.sha256()
    for name, part in sorted(parts.items()):
        digest.update(f"{name}:".encode() + _bytes(part) + b"\n")
    return digest.hexdigest()


def _bytes(part: object) -> bytes:
    if isinstance(part, torch.Tensor):
        part = part.cpu().numpy()
    if isinstance(part, np.ndarray):
        values = hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()
        return f"{part.dtype}{part.shape}{values}".encode()
    if isinstance(part, list) and part and isinstance(part[0], np.ndarray):
        return f"{len(part)} of ".encode() + b"".join(map(_bytes, part))
    content = part
    if is_dataclass(part) and not isinstance(part, type):
        late = {f.name: f.default for f in fields(part) if f.metadata.get("later")}
        content = {name: value for name, value in asdict(part).items() if name not in late or value != late[name]}
    return json.dumps(content, sort_keys=True).encode()

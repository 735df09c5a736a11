"""A trained rival on disk: weights as safetensors, and beside them a card that says how they came about."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from dpcip.baselines.rival import Rival
from dpcip.baselines.training import NETWORKS, Trained
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing, write_json


def write_weights(path: Path, network: Rival, card: dict[str, Any]) -> dict[str, Any]:
    """Writes `path`.safetensors in float16 (half the space in git), then `path`.json: the card, with their checksum.

    A training that comes out as the one before leaves no trace: the weights' file stays, and so do the seconds and the
    machine on its card. -> the card as written.
    """
    weights = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    weights = {k: v.cpu().contiguous() for k, v in weights.items()}
    file, data = path.with_suffix(".safetensors"), save(weights)
    card = {**card, "sha256": hashlib.sha256(data).hexdigest()}
    if "curve" in card:
        card["curve_sha256"] = _curve_sha256(card)
    with suppress(InputError):  # there is no card yet
        before = read_card(path)
        if before["sha256"] == card["sha256"]:
            card |= {key: before[key] for key in ("seconds", "machine") if key in before}
    if not file.is_file() or file.read_bytes() != data:
        with replacing(file) as temporary:
            temporary.write_bytes(data)
    write_json(path.with_suffix(".json"), card)
    return card


def read_card(path: Path) -> dict[str, Any]:
    """The card `path`.json. Raises InputError if it is missing or damaged."""
    card = path.with_suffix(".json")
    try:
        values = json.loads(card.read_text(encoding="utf-8"))
        return {**values, "network": str(values["network"]), "sha256": str(values["sha256"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{card}: is missing or no model card; train the network with `dvc repro`") from error


def kept_training(path: Path, fingerprint: str) -> Trained | None:
    """What came of the training with this fingerprint, if weights and card are there and whole; else None."""
    with suppress(InputError, KeyError):
        card, network = read_card(path), read_weights(path)
        if card["fingerprint"] == fingerprint and card["curve_sha256"] == _curve_sha256(card):
            return Trained(network, card["best_step"], card["curve"], card["seconds"], card["machine"])
    return None


def _curve_sha256(card: dict[str, Any]) -> str:
    """Holds what nothing but the training can tell: a curve edited by hand is no longer that of its training."""
    told = json.dumps([card["fingerprint"], card["best_step"], card["curve"]])
    return hashlib.sha256(told.encode()).hexdigest()


def read_weights(path: Path) -> Rival:
    """The network of `path`.safetensors, ready to estimate. Raises InputError if it is damaged or not the card's."""
    card, file = read_card(path), path.with_suffix(".safetensors")
    if card["network"] not in NETWORKS:
        raise InputError(f"{path.with_suffix('.json')}: network '{card['network']}' is unknown")
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != card["sha256"]:
        raise InputError(f"{file}: is missing or not what its card describes; `git checkout` brings it back")
    network = NETWORKS[card["network"]]()
    try:
        weights = load_file(file)
        network.load_state_dict({k: v.float() if v.dtype == torch.float16 else v for k, v in weights.items()})
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{file}: does not hold the weights of {card['network']}; train it again") from error
    return network.eval()

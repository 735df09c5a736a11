"""A trained rival on disk: weights as safetensors, and beside them a card that says how they came about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dpcip.baselines.rival import Rival
from dpcip.baselines.training import NETWORKS
from dpcip.errors import InputError
from dpcip.io import replacing
from dpcip.report import write_json


def write_weights(path: Path, network: Rival, card: dict[str, Any]) -> None:
    """Writes `path`.safetensors in float16 (half the space in git), then `path`.json: the card, with their checksum."""
    weights = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    weights = {k: v.cpu().contiguous() for k, v in weights.items()}
    with replacing(path.with_suffix(".safetensors")) as temporary:
        save_file(weights, temporary)
    digest = hashlib.sha256(path.with_suffix(".safetensors").read_bytes()).hexdigest()
    write_json(path.with_suffix(".json"), {**card, "sha256": digest})


def read_card(path: Path) -> dict[str, Any]:
    """The card `path`.json. Raises InputError if it is missing or damaged."""
    card = path.with_suffix(".json")
    try:
        values = json.loads(card.read_text(encoding="utf-8"))
        return {**values, "network": str(values["network"]), "sha256": str(values["sha256"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{card}: is missing or no model card; train the network with `dvc repro`") from error


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

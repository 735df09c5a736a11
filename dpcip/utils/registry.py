"""Things that are chosen by name: generators, cameras, losses, data sets, rivals, presets. And things from outside.

DPCIP_PLUGINS names Python files or modules that add to them, separated as in PATH, with no other file touched:

    # mine.py, for DPCIP_PLUGINS=mine.py dpcip solve photo.png --generator mine --out result
    from dpcip.generators.registry import GENERATORS, Dip

    class Mine(Dip): ...

    GENERATORS["mine"] = Mine
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dpcip.utils.errors import InputError

PLUGINS = "DPCIP_PLUGINS"
T = TypeVar("T")
_loaded: set[str] = set()
_loading: list[str] = []  # hash of the plugin that is being read, if any


class Registry(MutableMapping[str, T]):
    """Things of one kind by name. Unknown names raise InputError, which lists those that are known."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._origins: dict[str, str] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise InputError(f"{self.kind} {name!r} is unknown; choose from {', '.join(self)}")
        return self._things[name]

    def __setitem__(self, name: str, thing: T) -> None:
        if _loading and name in self._things:
            raise InputError(f"{self.kind} {name!r} is there already; choose another name")
        self._things[name] = thing
        if _loading:
            self._origins[name] = _loading[-1]

    def __delitem__(self, name: str) -> None:
        del self._things[name]

    def __iter__(self) -> Iterator[str]:
        load_plugins()
        return iter(self._things)

    def __contains__(self, name: object) -> bool:
        if name not in self._things:  # dpcip's own are there while its modules are still being loaded
            load_plugins()
        return name in self._things

    def __len__(self) -> int:
        load_plugins()
        return len(self._things)

    def origin(self, name: str) -> str | None:
        """Of a thing from outside a hash of its code, which belongs into keys of results; None of dpcip's own."""
        return self._origins.get(name)


def load_plugins() -> None:
    """Reads what DPCIP_PLUGINS names, once. Raises InputError that names what cannot be read."""
    for entry in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
        if entry not in _loaded:
            _loaded.add(entry)
            _load(entry)


def _load(entry: str) -> None:
    try:
        if entry.endswith(".py"):
            name, path = f"dpcip_plugin_{Path(entry).stem}", Path(entry).resolve()
            spec = importlib.util.spec_from_file_location(name, path)
        else:
            name, spec = entry, importlib.util.find_spec(entry)
        if spec is None or spec.origin is None or spec.loader is None:
            raise ModuleNotFoundError(f"no module named {entry!r}")
        with _reading(spec.origin):
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
    except Exception as error:  # whatever the plugin's code may raise
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{entry}: named in {PLUGINS}, cannot be read ({told}); mend it or leave it out") from error


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """What is registered meanwhile has come from this file. Comments and layout are no part of its hash."""
    tree = ast.dump(ast.parse(Path(path).read_text(encoding="utf-8")))
    _loading.append(hashlib.sha256(tree.encode()).hexdigest())
    try:
        yield
    finally:
        _loading.pop()

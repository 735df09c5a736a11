"""Options whose values are names of a registry, also of things from outside."""

from __future__ import annotations

import click

from dpcip.utils.registry import Registry


class OneOf(click.ParamType):
    """A name of a registry; unlike click.Choice it looks when the option is read, not when the program is loaded."""

    name = "name"

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names, for --help."""
        return f"[{'|'.join(sorted(self.registry))}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or click's error where it is unknown."""
        if value not in self.registry:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, sorted(self.registry)))}.", param, ctx)
        return value

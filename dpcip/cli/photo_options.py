"""The command line's options for reading a photograph: --gamma, --black, --white, --roi."""

from __future__ import annotations

import functools
from collections.abc import Callable

import click

NAMES = ("gamma", "black", "white", "roi")


def photo_options(command: Callable) -> Callable:
    """Adds the options to a command, which gets those that were given as the dictionary `photo`."""

    @click.option("--gamma", help="Tone curve of the photograph: srgb, or a number. Default: 1, linear in light.")
    @click.option("--black", type=float, help="Level of the file that means no light. Default: 0.")
    @click.option("--white", type=float, help="Level that means full scale. Default: the largest of the format.")
    @click.option("--roi", help="X,Y,W,H: use this part only, in pixels from the upper left of the upright picture.")
    @functools.wraps(command)
    def with_photo(**arguments: object) -> object:
        given = {name: arguments.pop(name) for name in NAMES}
        return command(photo={name: value for name, value in given.items() if value is not None}, **arguments)

    return with_photo

"""The command line's option for writing over files: --overwrite."""

from __future__ import annotations

import click

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace files that are there already.")

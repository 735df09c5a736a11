"""The verb `dpcip train`: learnt depth for a user's own camera."""

from __future__ import annotations

from pathlib import Path

import click

from dpcip.cli.outputs import overwrite_option
from dpcip.cli.solve import SEED
from dpcip.data.captures import camera_in
from dpcip.learnt.making import make, pays
from dpcip.learnt.training import Recipe
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError
from dpcip.utils.files import spare

existing = click.Path(path_type=Path)


@click.command("train")
@click.option("--psf", "bank_file", type=existing, help="PSF bank, or YAML of optics. Default: the published camera.")
@click.option("--out", type=existing, required=True, help="Weights to write (.safetensors).")
@click.option("--pictures", type=click.IntRange(8), default=1500, show_default=True, help="Made-up pictures.")
@click.option("--steps", type=click.IntRange(1), default=2500, show_default=True, help="Steps of the training.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of pictures and network.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@overwrite_option
def train_command(
    bank_file: Path | None, out: Path, pictures: int, steps: int, seed: int, quiet: bool, overwrite: bool
) -> None:
    """Train learnt depth for a camera: a network that reads likelihoods, in about half an hour on two cores.

    It learns from made-up pictures photographed through the bank; no photograph is needed. Pictures and checkpoint are
    kept in OUT's folder until it is done, so that the same command goes on after an interruption. At its end it says,
    on pictures that it did not see, how its depth compares with the zero-shot start's. Use: dpcip solve --weights OUT.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: weights are written as .safetensors; choose a name that ends so")
    spare([out], [bank_file], overwrite)
    work = out.with_suffix(".work")
    bank = camera_in(bank_file) if bank_file else PsfBank.synthesise()
    learnt, table = make(bank, Recipe(pictures, steps, seed=seed), work, not quiet)
    learnt.save(out)
    click.echo("Mean absolute error of psi (rad) on pictures that training did not see:")
    click.echo(table.to_markdown(index=False, floatfmt=".2f"))
    verdict = "it pays" if pays(table) else "it does not pay: stay with depth by likelihood, or train longer"
    click.echo(f"{out}: {verdict}; {work} may be deleted")

"""The weights that come with dpcip, for the published camera: `python -m dpcip.learnt.published WORK` makes them anew.

Some two hours on one thread, pictures included; it goes on where it was interrupted. On another processor the weights
differ in the last bits and so does what they find, by less than another seed would.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dpcip.learnt.depth import WEIGHTS
from dpcip.learnt.making import make
from dpcip.learnt.training import Recipe
from dpcip.optics.psf import PsfBank

RECIPE = Recipe(n_pictures=3000, steps=12000)
PICTURES_SEED = 9
FILE = WEIGHTS / "published.safetensors"


def main() -> None:
    """Trains in the folder that is named, and writes the weights and what they are worth."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dpcip.learnt.published WORK")
    learnt, table = make(PsfBank.synthesise(), RECIPE, Path(sys.argv[1]), pictures_seed=PICTURES_SEED)
    learnt.save(FILE)
    print(table.to_markdown(index=False, floatfmt=".3f"))


if __name__ == "__main__":
    main()

"""Where the repository is, for what reads its data or writes its results; the rest of dpcip needs none."""

from __future__ import annotations

from pathlib import Path

import dpcip


def _is_clone(folder: Path) -> bool:
    return (folder / "dvc.yaml").is_file() and (folder / "dpcip" / "__init__.py").is_file()


def find_clone(here: Path, package: Path) -> Path:
    """The clone that the package was imported from; of one that was installed, the clone around `here`, else `here`."""
    return next(filter(_is_clone, (package.parent, here, *here.parents)), here)


TOP = find_clone(Path.cwd(), Path(dpcip.__file__).resolve().parent)

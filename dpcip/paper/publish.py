"""Once the repository has an address: CITATION.cff names it, and README.md gets the links that are made from it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

BEGIN, END = "<!-- links: written by `make publish URL=...` -->", "<!-- end of links -->"
FIRST_NOTEBOOK = "notebooks/01_camera.ipynb"


def _owner_and_name(url: str) -> tuple[str, str]:
    """Of https://github.com/OWNER/NAME, also with .git or a slash at its end."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", url)
    if not found:
        raise InputError(f"{url}: is not an address like https://github.com/OWNER/NAME; give the repository's")
    return found[1], found[2]


def links(url: str) -> str:
    """Badges (CI, Binder, Colab) and the cell that Colab needs, for https://github.com/OWNER/NAME.

    Binder builds environment.yml; Colab opens a notebook alone, so that the clone is its first cell's part.
    """
    owner, name = _owner_and_name(url)
    home = f"https://github.com/{owner}/{name}"
    workflow = f"{home}/actions/workflows/ci.yml"
    binder = f"https://mybinder.org/v2/gh/{owner}/{name}/HEAD?urlpath=lab/tree/notebooks"
    colab = f"https://colab.research.google.com/github/{owner}/{name}/blob/main/{FIRST_NOTEBOOK}"
    return (
        f"[![CI]({workflow}/badge.svg)]({workflow})\n"
        f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
        f"[![Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n\n"
        f"In Colab run this cell first: `!git clone -q {home} /content/{name}`, `%cd /content/{name}/notebooks`, "
        "`%pip install -q -e ..`"
    )


def publish(url: str, readme: Path, citation: Path) -> None:
    """Writes the address into both files. Raises InputError for another kind of address or a README without marks."""
    block = f"{BEGIN}\n{links(url)}\n{END}"
    text = readme.read_text(encoding="utf-8")
    text, n = re.subn(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)
    if n != 1:
        raise InputError(f"{readme}: needs the lines '{BEGIN}' and '{END}' once; take them from git again")
    home = "https://github.com/{}/{}".format(*_owner_and_name(url))
    cff = re.sub(r"(?m)^repository-code:.*\n", "", citation.read_text(encoding="utf-8"))
    cff = re.sub(r"(?m)^(license: .*\n)", lambda m: f'{m[1]}repository-code: "{home}"\n', cff, count=1)
    for path, new in ((readme, text), (citation, cff)):
        with replacing(path) as temporary:
            temporary.write_text(new, encoding="utf-8")


def main() -> None:
    """`python -m dpcip.paper.publish URL`."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dpcip.paper.publish https://github.com/OWNER/NAME")
    try:
        publish(sys.argv[1], TOP / "README.md", TOP / "CITATION.cff")
    except InputError as error:
        sys.exit(f"dpcip.paper.publish: {error}")


if __name__ == "__main__":
    main()

"""The README and CONTRIBUTING: what they point at exists, and quoted numbers are the tables'."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from dpcip.paper.claims import summary
from dpcip.paper.page import BEGIN, END
from dpcip.paper.publish import publish
from dpcip.utils.errors import InputError

TOP = Path(__file__).resolve().parent.parent
TEXTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "data" / "README.md"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(text: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", text.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith(("http", "../../actions/")) or (text.parent / link).exists(), link


def test_table_of_claims_is_the_results() -> None:
    """The numbers in the README are copied by no hand: they are read from results/tables."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    quoted = readme.split(BEGIN)[1].split(END)[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in quoted.strip().splitlines()]
    claims = summary(TOP / "results" / "tables")
    assert lines[0] == list(claims.columns)
    assert lines[2:] == claims.values.tolist(), "run `make repro`"


def test_readme_opens_with_its_essence() -> None:
    """On the first screens: one picture, one table, the diagram, the two commands, in that order."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    places = [readme.index(mark) for mark in ("depth_example.webp", BEGIN, "docs/method.svg", "make repro    #")]
    assert places == sorted(places)
    assert readme[: places[-1]].count("\n") < 60


def test_links_made_for_an_address(tmp_path: Path) -> None:
    for name in ("README.md", "CITATION.cff"):
        shutil.copy(TOP / name, tmp_path)
    readme, citation = tmp_path / "README.md", tmp_path / "CITATION.cff"
    url = "https://github.com/some-body/my.dpcip"
    for given in ("https://github.com/first/one", f"{url}.git"):
        publish(given, readme, citation)
    text = readme.read_text(encoding="utf-8")
    assert "first/one" not in text and "../../actions" not in text
    opened = re.findall(r"https://colab\.research\.google\.com/github/some-body/my\.dpcip/blob/main/(\S+?)\)", text)
    assert len(opened) == 1 and (TOP / opened[0]).is_file()
    assert "https://mybinder.org/v2/gh/some-body/my.dpcip/HEAD?urlpath=lab/tree/notebooks" in text
    cff = yaml.safe_load(citation.read_text(encoding="utf-8"))
    assert cff["repository-code"] == url and cff["references"][0]["identifiers"][0]["value"] == "arXiv:2404.03906"
    assert cff["type"] == "software", "the project's own entry, beside the paper's"
    with pytest.raises(InputError, match="is not an address like"):
        publish("https://example.org/one", readme, citation)

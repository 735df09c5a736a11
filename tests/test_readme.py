"""The README and CONTRIBUTING: what they point at exists, and quoted numbers are the tables'."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
TEXTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "data" / "README.md"]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(TOP)))
def test_links_lead_somewhere(text: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", text.read_text(encoding="utf-8"))
    for link in links:
        assert link.startswith("http") or (text.parent / link).exists(), link


def test_example_table_is_the_pipelines() -> None:
    """The numbers under the picture are copied by no hand: they are the lines of the table that `make repro` wrote."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    table = (TOP / "results" / "tables" / "depth_example.md").read_text(encoding="utf-8")
    assert table.strip() in readme

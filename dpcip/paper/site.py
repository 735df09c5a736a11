"""The report and the executed notebooks as web pages, by nbconvert; opened from disk or put on any web server.

Formulas are set by MathJax, which a page fetches from the network; without it they are shown as their source.
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell, new_notebook

from dpcip.utils.clone import TOP
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

PICTURES = ("figures", "bench")  # folders of results that the report shows pictures from
NARROW = """<style>
  /* nbconvert's page, made to fit a phone: wide tables and code scroll inside their own frame, pictures shrink */
  @media (min-width: 61rem) { body.jp-Notebook { max-width: 60rem; margin-inline: auto; } }
  .jp-RenderedHTMLCommon table { display: block; overflow-x: auto; max-width: 100%; margin-left: 0; }
  .jp-RenderedHTMLCommon img, .jp-RenderedImage img { max-width: 100%; height: auto; }
  .jp-RenderedText pre, .jp-InputArea-editor { overflow-x: auto; }
  .jp-RenderedHTMLCommon { overflow-wrap: anywhere; }
  .jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { overflow-wrap: normal; }
  @media (max-width: 40rem) {
    .jp-InputPrompt, .jp-OutputPrompt { display: none; }
    body.jp-Notebook { padding: 8px; }
    .jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th { font-size: 11px; line-height: 1.25; padding: 4px 3px; }
  }
</style>
</head>"""


def _write(path: Path, notebook: nbformat.NotebookNode, title: str) -> None:
    """One notebook as a page of its own."""
    exporter = HTMLExporter(template_name="lab")
    exporter.log.setLevel(logging.ERROR)  # else it warns that the notebooks' pictures have no alternative text
    html, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    html = re.sub(r'href="(?:notebooks/)?(\w+)\.ipynb"', r'href="\1.html"', html)
    html = re.sub(r'(href|src)="\.\./(?:results/)?((?:tables|figures|bench)\b)', r'\1="\2', html)
    html = html.replace('href="../REPORT.md"', 'href="index.html"')
    html = re.sub(r'<a href="(?:\.\./)+data/[^"]*">(.*?)</a>', r"\1", html)  # stays in the repository
    with replacing(path) as temporary:
        temporary.write_text(html.replace("</head>", NARROW, 1), encoding="utf-8")


def _title(notebook: nbformat.NotebookNode, name: str) -> str:
    """The notebook's first heading."""
    found = re.search(r"^# +(.+)$", notebook.cells[0].source, re.MULTILINE) if notebook.cells else None
    return found[1] if found else name


def _write_api(out: Path) -> None:
    """Pages of the public names, from their docstrings."""
    import pdoc  # a tool of developers; what runs solves does not need it

    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc("dpcip", output_directory=out)


def build(results: Path, out: Path) -> Path:
    """Writes the pages to `out`: index.html with the report, NAME.html a notebook, and the pictures they show.

    -> index.html. Raises InputError if there is no report yet.
    """
    report = results / "REPORT.md"
    if not report.is_file():
        raise InputError(f"{report}: no such file; run `make repro` first")
    links = []
    for path in sorted((results / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        title = _title(notebook, path.stem)
        _write(out / f"{path.stem}.html", notebook, title)
        links.append(f"- [{title}]({path.stem}.html)")
    text = report.read_text(encoding="utf-8")
    for folder in PICTURES:
        shutil.copytree(results / folder, out / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs"))
    for folder in ("tables", "times"):
        shutil.copytree(results / folder, out / folder, dirs_exist_ok=True)
    _write_api(out / "api")
    links.append("- [The Python interface](api/dpcip.html): what `import dpcip` offers")
    cells = [new_markdown_cell(text), new_markdown_cell("## Notebooks and interface\n\n" + "\n".join(links))]
    _write(out / "index.html", new_notebook(cells=cells), "dpcip: what became of the paper's claims")
    return out / "index.html"


def main() -> None:
    """`python -m dpcip.paper.site FOLDER`."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m dpcip.paper.site FOLDER")
    try:
        print(f"{build(TOP / 'results', Path(sys.argv[1]))}: open it in a browser")
    except InputError as error:
        sys.exit(f"dpcip.paper.site: {error}")


if __name__ == "__main__":
    main()

"""What code does, as one hash: its syntax, and that of all project code it imports in turn.

A stage of dvc.yaml depends on such a digest. A comment, a docstring, the layout, the name and place of a file are
free; any other change of a module counts. Not seen: modules found by name while the code runs (importlib), and
dpcip/paper/pipeline.py, which hands a notebook its parameters.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import dpcip

PACKAGE = Path(dpcip.__file__).resolve().parent
# Fields of syntax that say nothing about what is computed.
SILENT = {"ctx", "type_comment", "kind", "type_ignores"}
IMPORT = ast.Import | ast.ImportFrom


def code_digest(source: str, package: Path = PACKAGE) -> str:
    """SHA-256 of a piece of Python and of the modules of `package` that it imports, directly or not; in hex.

    It is the same for every version of Python. Raises SyntaxError for a source that is none.
    """
    files = modules_used(source, package)
    homes = {home / "__init__.py" for file in files for home in file.parents if home.is_relative_to(package)}
    texts = [source, *(path.read_text(encoding="utf-8") for path in {*files, *filter(Path.is_file, homes)})]
    return _hash(sorted({_module_hash(text, package) for text in texts} - {_module_hash("", package)}))


def modules_used(source: str, package: Path = PACKAGE) -> list[Path]:
    """The files of `package` that a piece of Python imports when it runs, directly or not."""
    found: set[Path] = set()
    ahead = [source]
    while ahead:
        new = {path for node in _imports(_parsed(ahead.pop())) for path in _files(node, package)} - found
        found |= new
        ahead += [path.read_text(encoding="utf-8") for path in new]
    return sorted(found)


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports but those for type checkers."""
    if isinstance(tree, ast.If) and getattr(tree.test, "id", "") == "TYPE_CHECKING":
        return
    if isinstance(tree, IMPORT):
        yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _imports(child)


def _files(node: ast.Import | ast.ImportFrom, package: Path) -> Iterator[Path]:
    """The files of the package that an import names: a module, or names in a module."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
    public = _public_names(package)
    for name in names:
        first, *rest = public.get(name, name).split(".")
        path = package.joinpath(*rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if first == package.name and rest and file.is_file():
                yield file


def _public_names(package: Path) -> dict[str, str]:
    """What the package offers by its own name, and where it comes from: dpcip.solve is dpcip.api.solve."""
    stub = package / "__init__.pyi"
    if not stub.is_file():
        return {}
    found = [node for node in _parsed(stub.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {
        f"{package.name}.{alias.asname or alias.name}": f"{package.name}.{node.module}"
        for node in found
        for alias in node.names
    }


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_version(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__version__"]


def _normal(node: object, package: Path, deep: bool = True) -> object:
    """Syntax as nested tuples, without docstrings, places in the file and empty fields (which differ by version).

    Imports come first, in an order of their own: it depends on the modules' names.
    deep: of what is imported from the package, not the module's name but a hash of its syntax, itself not deep.
    """
    if isinstance(node, IMPORT) and (files := list(_files(node, package))):
        names = sorted((alias.asname or alias.name.split(".")[-1], alias.name.split(".")[-1]) for alias in node.names)
        texts = [file.read_text(encoding="utf-8") for file in files] if deep else []
        return (*names, *sorted(_shallow_hash(text, package) for text in texts))
    if isinstance(node, list):
        items = [item for item in node if not (_is_docstring(item) or _is_version(item))]
        imports = sorted(repr(_normal(item, package, deep)) for item in items if isinstance(item, IMPORT))
        return (*imports, *(_normal(item, package, deep) for item in items if not isinstance(item, IMPORT)))
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in SILENT and value is not None)
    normal = ((name, _normal(value, package, deep)) for name, value in fields)
    return (type(node).__name__, *((name, value) for name, value in normal if value != ()))


def _module_hash(source: str, package: Path) -> str:
    """Of a module's syntax and of what it imports itself."""
    files = sorted({path for node in _imports(_parsed(source)) for path in _files(node, package)})
    return _deep_hash(source, package, tuple(path.read_text(encoding="utf-8") for path in files))


@lru_cache(maxsize=512)
def _deep_hash(source: str, package: Path, imported: tuple[str, ...]) -> str:
    """imported: the texts that the hash depends on, so that it is remembered for as long as they stay."""
    return _hash(_normal(_parsed(source), package))


@lru_cache(maxsize=512)
def _shallow_hash(source: str, package: Path) -> str:
    return _hash(_normal(_parsed(source), package, deep=False))


def _hash(normal: object) -> str:
    return hashlib.sha256(repr(normal).encode()).hexdigest()


@lru_cache(maxsize=512)
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)

"""The digest of code: blind to comments, layout and places, alert to anything that can change a number."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpcip.paper.digest import code_digest, modules_used

NOTEBOOK = "from pack.solver import solve\nprint(solve(2))\n"
FILES = {
    "__init__.py": "",
    "solver.py": '''"""Solves."""
from pack.camera import blur
from pack import losses

RATE = 0.1


def solve(x: float) -> float:
    """Doubles."""
    return RATE * blur(x) + losses.loss(x)
''',
    "camera.py": "def blur(x):\n    return 2 * x\n",
    "losses.py": "def loss(x):\n    return x\n",
    "other.py": "def loss(x):\n    return x * x\n",
}


def package(home: Path, **changed: str) -> Path:
    folder = home / "pack"
    for name, text in {**FILES, **{f"{name}.py": text for name, text in changed.items()}}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def before(tmp_path: Path) -> str:
    return code_digest(NOTEBOOK, package(tmp_path / "before"))


def test_what_is_used_is_found_directly_or_not(tmp_path: Path) -> None:
    used = modules_used(NOTEBOOK, package(tmp_path))
    assert [path.name for path in used] == ["camera.py", "losses.py", "solver.py"]
    only_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.other import loss\n"
    assert modules_used(only_types, package(tmp_path)) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"camera": "# A comment.\n\ndef blur( x ):\n    '''A docstring.'''\n    return (2 * x)  # another\n"},
        {"other": "def loss(x):\n    return 3\n"},  # which nobody uses
        {"losses": "'''About.'''\ndef loss(x): return x\n"},
        {"__init__": "__version__ = '0.2.0'\n"},
    ],
)
def test_what_says_nothing_new_changes_nothing(changed: dict[str, str], before: str, tmp_path: Path) -> None:
    assert code_digest(NOTEBOOK, package(tmp_path / "after", **changed)) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"camera": "def blur(x):\n    return 2.001 * x\n"},
        {"camera": "def blur(x, y=1):\n    return 2 * x\n"},
        {"camera": "def blur(x):\n    return 2 * x\nblur = abs\n"},
        {"solver": FILES["solver.py"].replace("RATE = 0.1", "RATE = 0.2")},
        {"solver": FILES["solver.py"].replace("from pack import losses", "from pack import other as losses")},
        {"solver": FILES["solver.py"].replace("losses.loss(x)", "0")},
        {"solver": FILES["solver.py"].replace("RATE = 0.1", "RATE = 0.1\nRATE += 1\nRATE *= 2")},
        {"__init__": "import math\n"},
    ],
)
def test_what_computes_something_else_is_seen(changed: dict[str, str], before: str, tmp_path: Path) -> None:
    assert code_digest(NOTEBOOK, package(tmp_path / "after", **changed)) != before


def test_a_file_that_moves_changes_nothing(before: str, tmp_path: Path) -> None:
    folder = package(tmp_path / "after")
    (folder / "optics").mkdir()
    (folder / "optics" / "__init__.py").write_text('"""What the light does."""\n')
    (folder / "camera.py").rename(folder / "optics" / "lens.py")
    solver = folder / "solver.py"
    solver.write_text(solver.read_text().replace("pack.camera", "pack.optics.lens"))
    assert code_digest(NOTEBOOK, folder) == before


def test_the_order_of_statements_counts_and_how_often_they_stand_there(tmp_path: Path) -> None:
    digests = {
        code_digest(NOTEBOOK, package(tmp_path / str(number), solver=FILES["solver.py"] + more))
        for number, more in enumerate(
            ["RATE += 1\nRATE *= 2\n", "RATE *= 2\nRATE += 1\n", "RATE *= 2\n" * 2 + "RATE += 1\n"]
        )
    }
    assert len(digests) == 3


def test_values_that_two_modules_exchange_are_seen(tmp_path: Path) -> None:
    """The same statements in all, in other places."""
    one, other = "N = 1\ndef blur(x):\n    return N * x\n", "N = 2\ndef loss(x):\n    return N * x\n"
    swapped = {"camera": one.replace("N = 1", "N = 2"), "losses": other.replace("N = 2", "N = 1")}
    first = code_digest(NOTEBOOK, package(tmp_path / "first", camera=one, losses=other))
    assert code_digest(NOTEBOOK, package(tmp_path / "second", **swapped)) != first


def test_the_same_function_of_two_modules_is_told_apart_by_what_it_calls(tmp_path: Path) -> None:
    files = {
        "losses": "def f(x):\n    return g(x)\ndef g(x):\n    return x\n",
        "other": "def f(x):\n    return g(x)\nfrom math import sin as g\n",
    }
    folder = package(tmp_path, **files)
    both = "import pack.losses\nimport pack.other\n"
    assert code_digest(f"from pack.losses import f\n{both}", folder) != code_digest(
        f"from pack.other import f\n{both}", folder
    )


def test_two_things_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Both modules are in use; which of them a name comes from still counts."""
    both = "from pack.losses import loss\nimport pack.other\nimport pack.losses\n"
    folder = package(tmp_path)
    assert code_digest(both, folder) != code_digest(both.replace("from pack.losses", "from pack.other"), folder)


def test_a_library_counts_by_its_name(tmp_path: Path) -> None:
    folder = package(tmp_path)
    assert code_digest("from math import sin as f", folder) != code_digest("from math import cos as f", folder)


def test_a_public_name_is_followed_to_where_it_comes_from(tmp_path: Path) -> None:
    code = package(tmp_path)
    (code / "__init__.pyi").write_text("from .solver import solve\n")
    public = "import pack\nfrom pack import solve\nprint(solve(2))\n"
    assert {path.name for path in modules_used(public, code)} >= {"solver.py", "camera.py"}
    before = code_digest(public, code)
    (code / "camera.py").write_text("def blur(x):\n    return 3 * x\n")
    assert code_digest(public, code) != before

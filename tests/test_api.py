"""What `import dpcip` offers, as another program uses it."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import io

import dpcip

EXAMPLES = doctest.DocTestFinder(recurse=True, exclude_empty=True)


def with_examples() -> list[doctest.DocTest]:
    """The public things whose docstrings show them at work."""
    things = {name: getattr(dpcip, name) for name in dpcip.__all__}
    found = []
    for name, thing in things.items():
        module = sys.modules[getattr(thing, "__module__", "dpcip")]
        found += [test for test in EXAMPLES.find(thing, name, module=module) if test.examples]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("example", with_examples(), ids=lambda example: example.name)
def test_examples_of_the_docstrings_come_out(example: doctest.DocTest) -> None:
    told: list[str] = []
    assert not doctest.DocTestRunner(verbose=False).run(example, out=told.append).failed, "".join(told)


def test_there_are_examples_of_what_matters_most() -> None:
    named = {test.name for test in with_examples()}
    assert named >= {"solve", "photograph", "Scene.of", "Lens", "PsfBank", "Sensor", "Settings"}


def test_every_public_thing_says_what_it_is() -> None:
    functions_and_classes = [getattr(dpcip, name) for name in dpcip.__all__ if not name.isupper()]
    assert len(dpcip.__all__) <= 18 and all(thing.__doc__ for thing in functions_and_classes)
    assert set(dpcip.__all__) <= set(dir(dpcip))


def test_other_names_are_refused_as_usual() -> None:
    with pytest.raises(AttributeError, match="sovle"):
        dpcip.sovle  # noqa: B018


@pytest.mark.slow
def test_the_import_alone_loads_no_torch() -> None:
    code = "import dpcip, sys; assert dpcip.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_photograph_solve_evaluate(tmp_path: object) -> None:
    rng = np.random.default_rng(1)
    sharp = np.kron(rng.random((3, 16, 16)), np.ones((6, 6)))
    depth_m = np.full((96, 96), 0.7)
    depth_m[:, 48:] = 1.1
    depth_m[:8] = np.nan  # not measured
    scene = dpcip.Scene.of(sharp, depth_m)
    capture = dpcip.photograph(scene)
    solution = dpcip.solve(torch.from_numpy(capture), iterations=1, progress=False)
    scores = dpcip.evaluate(solution, scene)
    assert scores["psnr_db"] > dpcip.evaluate(blurred(solution, capture), scene)["psnr_db"] + 1
    assert scores["psi_mae"] < 1.5
    assert solution._repr_html_().startswith("<") and solution.plot().axes


@pytest.mark.slow
def test_three_lines_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    picture = (255 * np.random.default_rng(0).random((64, 64, 3))).astype(np.uint8)
    io.imsave("photo.png", picture, check_contrast=False)
    read = dpcip.read_capture("photo.png")
    solution = dpcip.solve(read.light, read.bank, iterations=1, progress=False)
    solution.save("result")
    assert (tmp_path / "result" / "report.json").is_file()


def blurred(solution: dpcip.Solution, capture: np.ndarray) -> dpcip.Solution:
    """The photograph itself for an image."""
    from dataclasses import replace

    return replace(solution, sharp=capture)


@pytest.mark.parametrize(
    "sharp, depth_m, told",
    [
        (np.ones((3, 8, 8)), np.ones((8, 9)), "give"),
        (np.ones((8, 8)), np.ones((8, 8)), "give"),
        (np.ones((3, 8, 8)), np.full((8, 8), np.nan), "no pixel has a depth"),
    ],
)
def test_scenes_that_are_none(sharp: np.ndarray, depth_m: np.ndarray, told: str) -> None:
    with pytest.raises(dpcip.InputError, match=told):
        dpcip.Scene.of(sharp, depth_m)


def test_a_capture_that_is_none_is_told(tmp_path: object) -> None:
    with pytest.raises(dpcip.InputError, match=r"\[0, 1\]"):
        dpcip.solve(np.full((3, 64, 64), 7))

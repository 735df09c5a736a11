"""pyproject.toml, requirements.lock, environment.yml and the running interpreter agree on packages and versions."""

import re
import tomllib
from importlib.metadata import metadata, version
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

TOP = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name: PyPI's


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(lines: list[str]) -> dict[str, str]:
    """Name: version of lines "name==version", and of nothing else."""
    pins = {}
    for line in lines:
        match = re.fullmatch(r"([\w.-]+)==([\w.+!]+)", line)
        assert match, f"not an exact pin: {line}"
        name = normalised(match[1])
        assert name not in pins, f"pinned twice: {name}"
        pins[name] = match[2]
    return pins


def top_level() -> set[str]:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["dev"]
    return {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def lock() -> dict[str, str]:
    lines = (TOP / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return pinned([line for line in lines if line and not line.startswith("#")])


def conda() -> dict[str, str]:
    entries = yaml.safe_load((TOP / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (pip,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    packages = [entry for entry in entries if isinstance(entry, str)]
    assert packages[:2] == ["python=3.11", "pip"]
    assert pip[-1] == "-e ."
    pins = pinned(packages[2:] + pip[:-1])
    return {CONDA_NAMES.get(name, name): pin for name, pin in pins.items()}


def test_lock_pins_every_top_level_package():
    assert top_level() - set(lock()) == set()


def test_lock_is_for_the_cpu():
    assert lock()["torch"] == TORCH
    assert [pin for pin in lock().items() if "+" in pin[1] or re.search("nvidia|cuda|triton", pin[0])] == []


def test_lock_installs_on_the_first_python_3_11():
    """Debian 12's is 3.11.2."""
    needs = {name: metadata(name).get("Requires-Python") for name in lock()}
    assert [name for name, need in needs.items() if need and not SpecifierSet(need).contains("3.11.0")] == []


def test_conda_pins_the_top_level_packages_at_the_versions_of_the_lock():
    assert conda() == {name: lock().get(name) for name in top_level()}


def test_interpreter_has_the_versions_of_the_lock():
    installed = {name: version(name).split("+")[0] for name in top_level()}
    assert installed == {name: lock().get(name) for name in top_level()}

"""Things from outside: one file each, no other touched, seen by the command line, in a study and in tables."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import io

from dpcip.utils import registry
from dpcip.utils.errors import InputError
from dpcip.utils.registry import PLUGINS, Registry

OUTSIDE = {
    "generator": """
from dpcip.generators.registry import GENERATORS, Dip

class Mine(Dip):
    learning_rate = 0.02

GENERATORS["mine_generator"] = Mine
""",
    "camera": """
from dpcip.camera.models import CAMERAS, MaskedDCM

CAMERAS["mine_camera"] = lambda bank, size, **_: MaskedDCM(bank, size)
""",
    "loss": """
from dpcip.solver.losses import LOSSES

LOSSES["mine_loss"] = lambda x, y: (x - y).abs().mean()
""",
    "preset": """
from dataclasses import replace
from dpcip.solver.settings import PRESETS

PRESETS["mine_preset"] = replace(PRESETS["paper"], camera="mine_camera", loss="mine_loss", l2_iterations=1)
""",
    "dataset": """
import numpy as np
from dpcip.data.datasets import DATASETS, Shot
from dpcip.data.scenes import Scene

def wall():
    sharp = np.random.default_rng(0).random((3, 64, 64))
    return Scene.of(sharp, np.full((64, 64), 0.8), "wall")

DATASETS["mine_dataset"] = lambda: [Shot("mine_place", "wall", wall)]
""",
    "rival": """
import numpy as np
import torch
from dpcip.baselines.rival import Rival
from dpcip.baselines.training import NETWORKS

class Mean(Rival):
    estimates = "psi"
    about = "One psi for all pixels."
    error_name = "psi MAE (rad)"

    def __init__(self):
        super().__init__()
        self.psi = torch.nn.Parameter(torch.zeros(()))

    def forward(self, capture):
        return self.psi.expand(len(capture), *capture.shape[-2:])

    def loss(self, capture, sharp, psi, progress):
        return (self(capture) - psi).square().mean()

    def estimate(self, capture):
        return np.full(capture.shape[-2:], self.psi.item(), np.float32)

    def error(self, sample):
        return float(np.abs(self.estimate(sample.capture) - sample.psi).mean())

NETWORKS["mine_rival"] = Mean
""",
}
TABLE = """
import sys
from pathlib import Path
from dpcip.baselines.evaluate import rival_rows
from dpcip.baselines.rival import Sample
from dpcip.baselines.training import Recipe, train
from dpcip.evaluation.tables import write_table
from dpcip.study.cases import Case, photograph

case = Case("wall", "mine_dataset")
photo = photograph(case)
sample = Sample(photo.capture, photo.scene.sharp, photo.psi_true.astype("float32"))
recipe = Recipe("mine_rival", steps=40, crop_px=32, batch=2, learning_rate=0.1)
done = train(recipe, [sample], [sample], Path("training.pt"))
card = {"left_out": None, "sha256": "0" * 64}
(rows,) = rival_rows([case], {"mine_rival": (done.network, card)}).values()
write_table(Path("rivals"), rows, "A rival from outside.")
"""


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that knows the six files."""
    for name, text in OUTSIDE.items():
        (tmp_path / f"{name}.py").write_text(text)
    files = os.pathsep.join(str(tmp_path / f"{name}.py") for name in OUTSIDE)
    return {**os.environ, PLUGINS: files, "DPCIP_WORK": str(tmp_path / "work")}


def run(tmp_path: Path, outside: dict[str, str], *command: str) -> str:
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=outside, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


DPCIP = "from dpcip.cli.main import main; main()"


@pytest.mark.slow
def test_six_things_from_outside_are_seen_everywhere(tmp_path: Path, outside: dict[str, str]) -> None:
    picture = (255 * np.random.default_rng(0).random((64, 64, 3))).astype(np.uint8)
    io.imsave(tmp_path / "photo.png", picture, check_contrast=False)
    outside["PYTHONPATH"] = str(Path(registry.__file__).parents[2])
    command = ["-c", DPCIP, "solve", "photo.png", "--preset", "mine_preset", "--generator", "mine_generator"]
    told = run(tmp_path, outside, *command, "--iterations", "3", "--quiet", "--out", "result")
    assert "3 iterations" in told
    report = (tmp_path / "result" / "report.json").read_text()
    assert all(f'"mine_{kind}"' in report for kind in ("generator", "camera", "loss"))
    assert '"learning_rate": 0.02' in report
    lines = "frame,dataset,preset,generator,iterations\nwall,mine_dataset,mine_preset,mine_generator,2\n"
    (tmp_path / "list.csv").write_text(lines)
    run(tmp_path, outside, "-c", DPCIP, "study", "list.csv", "--out", "rows.csv")
    (row,) = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    assert row["place"] == "mine_place" and row["preset"] == "mine_preset" and row["generator"] == "mine_generator"
    assert float(row["psnr_db"]) > 5
    run(tmp_path, outside, "-c", TABLE)
    (row,) = csv.DictReader((tmp_path / "rivals.csv").read_text().splitlines())
    assert row["place"] == "mine_place" and float(row["psi_mae"]) < 0.2
    assert "A rival from outside." in (tmp_path / "rivals.md").read_text()


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that DPCIP_PLUGINS names."""
    monkeypatch.setenv(PLUGINS, str(tmp_path / "plugin.py"))
    return tmp_path / "plugin.py"


THINGS: Registry[int] = Registry("thing")
THINGS["one"] = 1


def test_unknown_names_are_told_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match=r"thing 'two' is unknown; choose from one$"):
        THINGS["two"]


def test_what_comes_from_outside_is_known_by_its_code_and_not_by_its_comments(plugin: Path) -> None:
    origins = []
    for text in ("", "# A comment.\n", "changed = True\n"):
        plugin.write_text(f"{text}from {__name__} import THINGS\nTHINGS['two'] = 2\n")
        registry._loaded.clear()
        THINGS._things.pop("two", None)
        assert THINGS["two"] == 2 and THINGS.origin("one") is None
        origins.append(THINGS.origin("two"))
    assert origins[0] == origins[1] != origins[2]
    del THINGS["two"]


@pytest.mark.parametrize("text", ["THINGS[", "raise ValueError('no\\nluck')", "import nothing_of_this_name"])
def test_a_faulty_file_is_named_in_one_line(plugin: Path, text: str) -> None:
    plugin.write_text(text)
    registry._loaded.clear()
    with pytest.raises(InputError, match=r"plugin\.py: named in DPCIP_PLUGINS, cannot be read \(") as caught:
        len(THINGS)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(plugin: Path) -> None:
    registry._loaded.clear()
    with pytest.raises(InputError, match="FileNotFoundError"):
        len(THINGS)


def test_no_name_is_taken_away(plugin: Path) -> None:
    plugin.write_text(f"from {__name__} import THINGS\nTHINGS['one'] = 2\n")
    registry._loaded.clear()
    with pytest.raises(InputError, match="'one' is there already"):
        len(THINGS)
    assert THINGS["one"] == 1

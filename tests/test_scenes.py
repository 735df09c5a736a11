"""Sources of scenes: the motorcycle's measured depth, a user's folder, the published layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dpcip.data.depth_maps import write_dpt
from dpcip.data.images import write_image
from dpcip.data.scenes import MOTORCYCLE_SCALE, Scene, folder, motorcycle, published
from dpcip.optics.lens import Lens
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_npy

SHARP = np.random.default_rng(0).random((3, 66, 70)).astype(np.float32)


def test_motorcycle_is_a_scale_model_inside_the_range() -> None:
    scene = motorcycle()
    assert scene.sharp.shape == (3, 500, 741) and scene.depth_m.shape == scene.valid.shape == (500, 741)
    assert scene.valid.mean() == pytest.approx(0.927, abs=1e-3)
    assert (scene.depth_m / MOTORCYCLE_SCALE).min() == pytest.approx(2.11, abs=0.01)  # Middlebury's own metres
    assert (scene.depth_m / MOTORCYCLE_SCALE).max() == pytest.approx(5.02, abs=0.01)
    psi = scene.psi(Lens())
    assert -4 < psi.min() < -3.5 and 4.5 < psi.max() < 10


def test_reduced_scene() -> None:
    ramp = np.add.outer(10.0 * np.arange(8), np.arange(9.0))
    scene = Scene("ramp", np.stack([ramp / 100] * 3), ramp, ramp > 5).reduced(3)
    assert scene.depth_m.tolist() == [[11, 14, 17], [41, 44, 47]]
    assert np.allclose(scene.sharp[0], scene.depth_m / 100)  # a block's mean is its centre on a ramp
    assert scene.valid.shape == (2, 3)


def test_folder_of_a_user(tmp_path: Path) -> None:
    write_image(tmp_path / "sharp" / "a.png", SHARP)
    write_image(tmp_path / "sharp" / "b.png", SHARP)
    write_npy(tmp_path / "depth" / "a.npy", np.full((66, 70), 0.7))
    write_dpt(tmp_path / "depth" / "b.dpt", np.full((66, 70), 1.1))
    scenes = list(folder(tmp_path, "m"))
    assert [(s.name, round(float(s.depth_m[0, 0]), 6)) for s in scenes] == [("a", 0.7), ("b", 1.1)]


def test_folder_in_psi(tmp_path: Path) -> None:
    write_image(tmp_path / "sharp" / "a.png", SHARP)
    write_npy(tmp_path / "depth" / "a.npy", np.full((66, 70), 2.0))
    (scene,) = folder(tmp_path, "psi")
    assert scene.depth_m[0, 0] == pytest.approx(0.750, abs=1e-3)
    assert scene.psi(Lens())[0, 0] == pytest.approx(2.0)


def test_folder_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images"):
        list(folder(tmp_path, "m"))
    write_image(tmp_path / "sharp" / "a.png", SHARP)
    with pytest.raises(InputError, match="no depth file of the same name"):
        list(folder(tmp_path, "m"))
    write_npy(tmp_path / "depth" / "a.npy", np.full((66, 71), 0.7))
    with pytest.raises(InputError, match="71x66"):
        list(folder(tmp_path, "m"))


def test_published_layout(tmp_path: Path, published_sample: Path) -> None:
    for source, target in (("sharp.png", "inputs/Headbutt_0058.png"), ("psi.dpt", "GT/Headbutt_0058_GT.dpt")):
        (tmp_path / target).parent.mkdir(exist_ok=True)
        shutil.copy(published_sample / source, tmp_path / target)
    (scene,) = published(tmp_path)
    assert scene.name == "Headbutt_0058" and scene.sharp.shape == (3, 512, 1024)
    assert scene.psi(Lens()).min() == pytest.approx(-4)

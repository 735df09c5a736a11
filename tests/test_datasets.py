"""The study's scenes: the rendered frames are what was rendered, their depth is exact, TAUAgent's layouts are read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dpcip.data import datasets
from dpcip.data.datasets import CHECK_PLACE, check_frame, evenly, read_manifest, rendered, shots, tauagent
from dpcip.data.depth_maps import read_depth, write_dpt
from dpcip.data.images import write_image
from dpcip.optics.lens import Lens
from dpcip.utils.errors import InputError

LAPTOP = datasets.DATA / "rendered" / "laptop"
MANIFEST = read_manifest(LAPTOP)
FRAMES = {frame["name"]: frame for frame in MANIFEST["frames"]}
CHECK_FRAMES = [name for name, frame in FRAMES.items() if frame["place"] == CHECK_PLACE]
PLACES = ["table", "room", "street", "slants", "garden"]


# ---------- the rendered frames in git ----------


@pytest.mark.parametrize("name", FRAMES)
def test_manifest_lists_each_frames_bytes(name: str) -> None:
    check_frame(LAPTOP, FRAMES[name])


def test_manifest_says_how_and_lists_every_file() -> None:
    assert {"generator", "licence", "depth", "camera", "metres_per_level"} <= set(MANIFEST)
    assert "bpy==4.5.15" in MANIFEST["generator"]["requires"] and MANIFEST["sources_sha256"]
    listed = {file["name"] for frame in FRAMES.values() for file in frame["files"].values()}
    assert listed | {"manifest.json"} == {path.name for path in LAPTOP.iterdir()}
    for frame in FRAMES.values():
        assert frame["seed"] and frame["camera"]["focal_px"] > 100


def test_five_scenes_of_at_least_four_frames() -> None:
    frames = rendered()
    assert list(dict.fromkeys(shot.place for shot in frames)) == PLACES
    for place in PLACES:
        scenes = [shot.read() for shot in frames if shot.place == place]
        assert len(scenes) >= 4
        assert {scene.sharp.shape for scene in scenes} == {(3, 256, 512)}
        assert len({scene.sharp.tobytes() for scene in scenes}) == len(scenes)


def test_frames_fill_the_cameras_range_and_are_well_exposed() -> None:
    lens, shares = Lens(), []
    for place in PLACES:
        scenes = [shot.read() for shot in rendered() if shot.place == place]
        psi = np.stack([scene.psi(lens) for scene in scenes])
        sharp = np.stack([scene.sharp for scene in scenes])
        shares.append(float(((psi >= -4) & (psi <= 10)).mean()))
        assert psi.max() > 9, f"{place}: nothing as near as 0.46 m"
        assert (psi < -3).mean() > 0.01, f"{place}: nothing far"
        assert (sharp.min(axis=1) > 0.98).mean() < 0.002, f"{place}: clipped whites"
        assert 0.2 < sharp.mean() < 0.65, f"{place}: exposure"
    assert np.mean(shares) >= 0.6


@pytest.mark.parametrize("kind", ["sharp", "depth"])
def test_one_changed_byte_is_noticed(tmp_path: Path, kind: str) -> None:
    frame = FRAMES["table_07"]
    shutil.copytree(LAPTOP, tmp_path, dirs_exist_ok=True)
    path = tmp_path / frame["files"][kind]["name"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    shot = next(shot for shot in rendered(tmp_path) if shot.name == "table_07")
    with pytest.raises(InputError, match=rf"{path.name}: differs"):
        shot.read()
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: is missing"):
        shot.read()


def test_broken_manifest_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest.json: no such file"):
        rendered(tmp_path)
    for text in ("{", "[]", '{"frames": 3}', '{"metres_per_level": 1}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(InputError, match="is not a manifest"):
            rendered(tmp_path)


def closed_form_depth_m(frame: dict) -> np.ndarray:
    """Depth of the plane z = 0.35 y - 0.3 and a sphere of 0.175 m about (0.1, 0.8, 0.125), ray by ray (check.py)."""
    pose = np.array(frame["camera"]["camera_to_world"])
    width, height = (int(n) for n in MANIFEST["generator"]["size"].split("x"))
    u, v = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    rays = np.stack([u / frame["camera"]["focal_px"], -v / frame["camera"]["focal_px"], -np.ones_like(u)], axis=-1)
    rays, origin = rays @ pose[:3, :3].T, pose[:3, 3]  # depth along the optical axis is the ray's parameter
    with np.errstate(divide="ignore", invalid="ignore"):
        plane = -(origin[2] - 0.35 * origin[1] + 0.3) / (rays[..., 2] - 0.35 * rays[..., 1])
        to_centre = origin - np.array([0.1, 0.8, 0.125])
        a, b, c = (rays**2).sum(-1), (rays * to_centre).sum(-1), (to_centre**2).sum() - 0.175**2
        sphere = (-b - np.sqrt(b**2 - a * c)) / a
    return np.fmin(np.where(plane > 0, plane, np.inf), np.where(sphere > 0, sphere, np.inf))


@pytest.mark.parametrize("name", CHECK_FRAMES)
def test_rendered_depth_of_a_plane_and_a_sphere_is_right_to_a_millimetre(name: str) -> None:
    depth_m = read_depth(LAPTOP / f"{name}_depth.png", "m", MANIFEST["metres_per_level"])
    truth_m = closed_form_depth_m(FRAMES[name])
    inside = truth_m < 6.5
    error_m = np.abs(depth_m - truth_m)[inside]
    assert inside.mean() > 0.5
    assert (error_m > 0.001).mean() < 1e-3  # a pixel whose centre lies on the sphere's very outline may fall either way
    assert np.quantile(error_m, 0.99) < 0.0002


# ---------- choosing frames ----------


def test_frames_are_chosen_evenly() -> None:
    frames = [datasets.Shot("a", str(n), lambda: None) for n in range(8)]  # type: ignore[arg-type, return-value]
    assert [shot.name for shot in evenly(frames, 1)] == ["4"]
    assert [shot.name for shot in evenly(frames, 4)] == ["1", "3", "5", "7"]
    assert [shot.name for shot in evenly(frames, 9)] == [str(n) for n in range(8)]


def test_frames_of_scale_paper_are_named_with_the_command_that_renders_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    with pytest.raises(InputError, match="render the frames with `python data/renderer/make_frames.py paper`"):
        shots("rendered_paper")


def test_shots_of_a_data_set() -> None:
    assert [shot.place for shot in shots("rendered", 2)] == [place for place in PLACES for _ in range(2)]
    (motorcycle,) = shots("motorcycle", 3)
    assert motorcycle.read().sharp.shape == (3, 500, 741)
    with pytest.raises(
        InputError, match="data set 'rendred' is unknown; choose from rendered, rendered_paper, tauagent, motorcycle"
    ):
        shots("rendred")


# ---------- TAUAgent ----------

SHARP = np.random.default_rng(0).integers(0, 65536, (70, 80, 3), dtype=np.uint16)
DEPTH_M = np.random.default_rng(1).uniform(0.4, 9, (70, 80)).astype(np.float32)


def write_tauagent(root: Path, name: str, depth_folder: str) -> None:
    place = name.split("_")[0]
    for side in "LR":
        (root / f"{place}_{side}").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(root / f"{place}_{side}" / f"{name}.tif", SHARP if side == "L" else SHARP // 2)
    write_dpt(root / depth_folder.format(place=place) / f"{name}.dpt", DEPTH_M)


@pytest.mark.parametrize("depth_folder", ["{place}_L/Depth", "Depth", "Depth/{place}_L"])
def test_tauagents_own_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth_folder: str) -> None:
    names = ["City_0058", "City_0007", "WuManchu_0100"]
    for name in names:
        write_tauagent(tmp_path / "TAUAgent", name, depth_folder)
    found = tauagent(tmp_path / "TAUAgent")
    assert [(shot.place, shot.name) for shot in found] == [
        ("City", "City_0007"),
        ("City", "City_0058"),
        ("WuManchu", "WuManchu_0100"),
    ]
    scene = found[0].read()
    assert scene.name == "City_0007"
    assert np.allclose(scene.sharp, SHARP.transpose(2, 0, 1) / 65535)
    assert np.allclose(scene.depth_m, DEPTH_M)
    # The psi files that DPCIP derived can stand in the same folders.
    assert np.allclose(tauagent(tmp_path / "TAUAgent", "psi")[0].read().psi(Lens()), DEPTH_M)
    monkeypatch.setitem(datasets.DATASETS, "tauagent", lambda: tauagent(tmp_path / "TAUAgent"))
    assert [shot.name for shot in shots("tauagent")] == ["City_0058", "WuManchu_0100"]


def test_dpcips_layout(tmp_path: Path) -> None:
    psi = np.linspace(-4, 10, 70 * 80).reshape(70, 80)
    write_image(tmp_path / "inputs" / "Sitting_0003.png", SHARP.transpose(2, 0, 1) / 65535)
    write_dpt(tmp_path / "GT" / "Sitting_0003_GT.dpt", psi)
    (shot,) = tauagent(tmp_path)
    assert (shot.place, shot.name) == ("Sitting", "Sitting_0003")
    assert np.allclose(shot.read().psi(Lens()), psi, atol=1e-5)
    with pytest.raises(InputError, match=r"Sitting_0003_GT.dpt: depths go down to -4 m.*is the unit psi"):
        tauagent(tmp_path, "m")[0].read()


def test_published_sample_is_read_in_dpcips_layout(tmp_path: Path, published_sample: Path) -> None:
    for source, target in (("sharp.png", "inputs/Headbutt_0058.png"), ("psi.dpt", "GT/Headbutt_0058_GT.dpt")):
        (tmp_path / target).parent.mkdir(exist_ok=True)
        shutil.copy(published_sample / source, tmp_path / target)
    (shot,) = tauagent(tmp_path)
    assert shot.place == "Headbutt" and shot.read().sharp.shape == (3, 512, 1024)


def test_each_fault_of_tauagent_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds neither City_L/City_NUMBER.tif nor inputs"):
        tauagent(tmp_path)
    write_tauagent(tmp_path, "City_0001", "{place}_L/Depth")
    depth = tmp_path / "City_L" / "Depth" / "City_0001.dpt"

    write_dpt(depth, DEPTH_M[:-1])
    with pytest.raises(InputError, match=r"City_0001.dpt: is 80x69 pixels, City_0001.tif is 80x70"):
        tauagent(tmp_path)[0].read()
    depth.write_bytes(depth.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"City_0001.dpt: .* copy the file again"):
        tauagent(tmp_path)[0].read()
    depth.unlink()
    with pytest.raises(InputError, match=r"City_0001.tif: has no depth; put City_0001.dpt into"):
        tauagent(tmp_path)
    write_dpt(depth, DEPTH_M)
    tifffile.imwrite(tmp_path / "City_L" / "City_0001.tif", SHARP[..., 0])
    with pytest.raises(InputError, match=r"City_0001.tif: is a grey image"):
        tauagent(tmp_path)[0].read()
    (tmp_path / "City_L" / "Copy of City_0001.tif").write_bytes(b"")
    write_dpt(tmp_path / "City_L" / "Depth" / "Copy of City_0001.dpt", DEPTH_M)
    with pytest.raises(InputError, match=r"Copy of City_0001.tif: is not named City_NUMBER.tif"):
        tauagent(tmp_path)
    write_image(tmp_path / "inputs" / "Town_0003.png", SHARP.transpose(2, 0, 1) / 65535)
    (tmp_path / "City_L" / "Copy of City_0001.tif").unlink()
    with pytest.raises(InputError, match=r"Town_0003.png: is of no scene of TAUAgent"):
        tauagent(tmp_path)

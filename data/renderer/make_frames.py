"""Renders the scenes' frames into data/rendered/NAME with a manifest: `python data/renderer/make_frames.py laptop`.

Makes Blender's environment and fetches the pictures first (about 400 MB, once, from PyPI). Frames are kept in .work/
under the hash of what makes them: a killed run goes on, and a changed scene re-renders its own frames only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import skimage
import yaml
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
WORK = TOP / ".work" / "renderer"
SCENES = ("table", "room", "street", "slants", "garden")
CHECK = "check"  # plane and sphere with depth in closed form
SKIMAGE_PICTURES = "astronaut.png chelsea.png coffee.png grass.png gravel.png page.png coins.png rocket.jpg".split()
LICENCE = "MIT, as the project (rendered by it; textures: LICENSES.md)"
PROCESSES = 2


def run(*command: str | Path, **options: Any) -> None:
    """Runs a program; on failure, stops with its last words."""
    result = subprocess.run([str(part) for part in command], text=True, capture_output=True, check=False, **options)
    if result.returncode:
        sys.exit(f"make_frames: {Path(command[0]).name} failed:\n{(result.stderr or result.stdout)[-2000:]}")


def environment() -> Path:
    """The Python that has bpy; made when missing or when requirements.txt has changed."""
    wanted = (HERE / "requirements.txt").read_text()
    stamp = WORK / "environment" / "made-from.txt"
    python = WORK / "environment" / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != wanted:
        if sys.version_info[:2] != (3, 11):
            sys.exit("make_frames: bpy needs Python 3.11; run this with it (the pictures in git need no rendering)")
        print("making Blender's environment (once, about 400 MB from PyPI) ...", flush=True)
        run(sys.executable, "-m", "venv", "--clear", WORK / "environment")
        run(python, "-m", "pip", "install", "-r", HERE / "requirements.txt")
        stamp.write_text(wanted)
    return python


def textures(python: Path) -> Path:
    """A folder with the pictures that the scenes use, from the wheels of metaworld and scikit-image."""
    folder, wanted = WORK / "textures", (HERE / "textures.txt").read_text()
    stamp = folder / ".made-from.txt"
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wheels = WORK / "wheels"
    run(python, "-m", "pip", "download", "--no-deps", "--require-hashes", "-r", HERE / "textures.txt", "-d", wheels)
    with zipfile.ZipFile(next(wheels.glob("metaworld-*.whl"))) as wheel:
        for name in sorted(wheel.namelist()):  # two folders share four names: the second, assets/textures, counts
            if "/textures/" in name and name.endswith((".png", ".jpeg")):
                (folder / Path(name).name).write_bytes(wheel.read(name))
    data = Path(skimage.__file__).parent / "data"
    for name in SKIMAGE_PICTURES:
        shutil.copy(data / name, folder / name)
    shutil.copy(data / "brick.png", folder / "pavement.png")
    stamp.write_text(wanted)
    return folder


def frames_of(wanted: dict[str, Any]) -> dict[str, list[int]]:
    """The numbers of the frames of each scene."""
    return {**dict.fromkeys(SCENES, wanted["frames"]), CHECK: [0, 21]}


def cache_of(scene: str, wanted: dict[str, Any]) -> Path:
    """Where a scene's frames are kept: under the hash of everything that their pixels depend on."""
    sources = [HERE / name for name in (f"{scene}.py", "kit.py", "render.py", "requirements.txt", "textures.txt")]
    text = (
        b"".join(source.read_bytes() for source in sources) + json.dumps([wanted["size"], wanted["samples"]]).encode()
    )
    return WORK / "frames" / f"{scene}_{hashlib.sha256(text).hexdigest()[:16]}"


def render(wanted: dict[str, Any]) -> None:
    """Renders what is missing, two scenes at a time (each on one thread, for the same bits anywhere)."""
    python = environment()
    pictures = textures(python)

    def one(task: tuple[str, list[int]]) -> None:
        scene, frames = task
        numbers = ",".join(str(frame) for frame in frames)  # render.py leaves alone what is there
        options = ["--frames", numbers, "--size", wanted["size"], "--samples", str(wanted["samples"])]
        run(python, HERE / "render.py", scene, *options, "--textures", pictures, "--out", cache_of(scene, wanted))

    tasks = frames_of(wanted)
    with ThreadPoolExecutor(PROCESSES) as pool:
        for _ in tqdm(pool.map(one, tasks.items()), total=len(tasks), unit="scene", desc="rendering"):
            pass


def sha256(path: Path) -> str:
    """Checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entry(scene: str, frame: int, cache: Path, out: Path) -> dict[str, Any]:
    """Copies a frame's files to `out`; its line in the manifest."""
    name = f"{scene}_{frame:02d}"
    files = {}
    for kind, file in (("sharp", f"{name}.png"), ("depth", f"{name}_depth.png")):
        shutil.copy(cache / file, out / file)
        files[kind] = {"name": file, "sha256": sha256(out / file)}
    camera = json.loads((cache / f"{name}.json").read_text())
    return {"place": scene, "name": name, "frame": frame, "seed": f"dpcip {scene}", "files": files, "camera": camera}


def main() -> None:
    """Renders the set of params.yaml's section `render` that is named on the command line."""
    sets = yaml.safe_load((TOP / "params.yaml").read_text())["render"]
    if len(sys.argv) != 2 or sys.argv[1] not in sets:
        sys.exit(f"usage: make_frames.py {'|'.join(sets)}")
    name, wanted = sys.argv[1], sets[sys.argv[1]]
    render(wanted)
    new, out = WORK / "new", TOP / "data" / "rendered" / name
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    manifest = {
        "generator": {
            "program": "data/renderer",
            "requires": (HERE / "requirements.txt").read_text().splitlines()[1:],
            "samples": wanted["samples"],
            "size": wanted["size"],
        },
        "sources_sha256": {path.name: sha256(path) for path in sorted(HERE.glob("*.py"))},
        "metres_per_level": 0.0001,
        "depth": "along the optical axis, at the pixel's centre; 65535 stands for everything beyond 6.5534 m",
        "camera": "focal length in pixels; camera_to_world in scaled metres (x right, y up, z towards the viewer)",
        "licence": LICENCE,
        "frames": [
            entry(scene, frame, cache_of(scene, wanted), new)
            for scene, frames in frames_of(wanted).items()
            for frame in frames
        ],
    }
    (new / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)  # only now, when all of the new ones are there
    new.rename(out)


if __name__ == "__main__":
    main()

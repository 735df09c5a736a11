"""Renders frames of one scene with Cycles, sharp colour and exact depth. Runs where bpy is; make_frames.py calls it.

Writes SCENE_NN.png (8-bit sRGB), SCENE_NN_depth.png (16 bits, 0.1 mm a level, 65535 = farther than 6.5534 m) and
SCENE_NN.json (the camera) for each frame NN.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(os.path.join(bpy.utils.resource_path("LOCAL"), "python", "lib", "python3.11", "site-packages"))

import kit  # noqa: E402
import OpenImageIO  # noqa: E402

N_FRAMES = 22  # of a scene's whole path; five scenes make the paper's 110
DEPTH_LEVEL_M = 1e-4
FARTHER = 65535  # level of everything beyond 6.5534 m
SHOULDER = 0.6  # linear light above this is compressed, so that highlights keep their colour and nothing clips


def settings(width: int, height: int, samples: int) -> None:
    """Path tracing on one CPU thread, denoised: the same threads give the same bits."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.seed = "CPU", samples, 0
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising, scene.cycles.denoiser = True, "OPENIMAGEDENOISE"
    scene.cycles.max_bounces = 4
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    scene.render.image_settings.file_format = "OPEN_EXR_MULTILAYER"
    scene.render.image_settings.color_depth = "32"
    bpy.context.view_layer.use_pass_z = True


def rendered(stem: Path) -> tuple[np.ndarray, np.ndarray]:
    """Linear colour [H, W, 3] and depth along the optical axis [H, W] of the frame as it stands."""
    raw = stem.with_suffix(".exr")
    bpy.context.scene.render.filepath = str(raw)
    bpy.ops.render.render(write_still=True)
    buffer = OpenImageIO.ImageBuf(str(raw))
    names = list(buffer.spec().channelnames)
    pixels = buffer.get_pixels(OpenImageIO.FLOAT).reshape(buffer.spec().height, buffer.spec().width, len(names))
    raw.unlink()
    channel = [
        next(n for n, name in enumerate(names) if name.endswith(end))
        for end in ("Combined.R", "Combined.G", "Combined.B", "Depth.Z")
    ]
    return pixels[..., channel[:3]], pixels[..., channel[3]]


def developed(linear: np.ndarray, exposure: float) -> np.ndarray:
    """8-bit sRGB of linear light, with a shoulder instead of clipped highlights."""
    light = np.maximum(linear, 0) * exposure
    room = 1 - SHOULDER
    light = np.where(light > SHOULDER, 1 - room * np.exp(-(light - SHOULDER) / room), light)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def depth_levels(depth_m: np.ndarray) -> np.ndarray:
    """Depth in levels of 0.1 mm."""
    return np.where(depth_m < (FARTHER - 0.5) * DEPTH_LEVEL_M, np.round(depth_m / DEPTH_LEVEL_M), FARTHER).astype(
        np.uint16
    )


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Writes [H, W, C] as PNG of its own bit depth."""
    height, width, channels = pixels.shape
    spec = OpenImageIO.ImageSpec(width, height, channels, str(pixels.dtype))
    spec.attribute("png:compressionLevel", 9)
    if channels == 3:
        spec.attribute("oiio:ColorSpace", "sRGB")
    image = OpenImageIO.ImageBuf(spec)
    image.set_pixels(OpenImageIO.ROI(), np.ascontiguousarray(pixels))
    if not image.write(str(path)):
        sys.exit(f"{path}: cannot be written ({image.geterror()})")


def pose(scale: float) -> dict[str, object]:
    """The camera of the frame in the scene's scaled metres: x right, y up, z towards the viewer (Blender's axes)."""
    camera = bpy.context.scene.camera
    bpy.context.view_layer.update()
    matrix = [[round(value, 9) for value in row] for row in camera.matrix_world]
    for row in range(3):
        matrix[row][3] = round(matrix[row][3] * scale, 9)
    focal_px = camera.data.lens / camera.data.sensor_width * bpy.context.scene.render.resolution_x
    return {"focal_px": focal_px, "camera_to_world": matrix}


def main() -> None:
    """One scene, the frames asked for; a frame that is there already is left alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene")
    parser.add_argument("--frames", required=True, help="numbers from 0 to 21, with commas")
    parser.add_argument("--size", default="512x256", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--textures", type=Path, required=True, help="folder of picture files")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    width, height = (int(n) for n in arguments.size.split("x"))
    kit.TEXTURES.update({path.name: path for path in arguments.textures.iterdir()})
    kit.reset()
    scene = importlib.import_module(arguments.scene)
    scene.build()
    settings(width, height, arguments.samples)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for frame in (int(n) for n in arguments.frames.split(",")):
        stem = arguments.out / f"{arguments.scene}_{frame:02d}"
        if stem.with_suffix(".json").exists():
            continue
        scene.camera(frame / (N_FRAMES - 1))
        colour, depth = rendered(stem)
        write_png(stem.with_suffix(".png"), developed(colour, scene.EXPOSURE))
        write_png(stem.with_name(stem.name + "_depth.png"), depth_levels(depth * scene.MODEL_SCALE)[..., None])
        stem.with_suffix(".json").write_text(json.dumps(pose(scene.MODEL_SCALE)))
        print(f"{stem.name} rendered", flush=True)


if __name__ == "__main__":
    main()

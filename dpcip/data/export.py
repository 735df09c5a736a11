"""Depth, image and points in the files that other programs open: PNG, TIFF, OpenEXR, PLY."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dpcip.data.depth_maps import MILLIMETRE
from dpcip.data.images import write_image
from dpcip.data.tone_curve import ToneCurve
from dpcip.utils.errors import InputError
from dpcip.utils.files import replacing

FARTHEST = 65535  # the largest level of 16 bits
EXR_HEADER = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}


def write_depth(path: Path, depth_m: np.ndarray) -> None:
    """Writes depth [H, W], m, > 0, +inf for infinitely far; the file's ending says how.

    .png: 16 bits, millimetres, which its text chunks say; the last level is 65.535 m or farther. .tiff: float32,
    metres. .exr: float32, metres, channel Z.
    """
    with replacing(path) as temporary:
        if path.suffix == ".png":
            levels = np.round(np.minimum(depth_m / MILLIMETRE, FARTHEST)).clip(1).astype(np.uint16)
            told = PngInfo()
            told.add_text("Description", f"Depth: a level is {MILLIMETRE} m, {FARTHEST} is that far or farther")
            told.add_text("depth_scale_m", str(MILLIMETRE))
            Image.fromarray(levels).save(temporary, pnginfo=told)
        elif path.suffix == ".tiff":
            tifffile.imwrite(temporary, depth_m.astype(np.float32), description="depth in metres", metadata=None)
        else:
            header = {**EXR_HEADER, "comments": "Z: depth in metres"}
            OpenEXR.File(header, {"Z": np.ascontiguousarray(depth_m, np.float32)}).write(str(temporary))


def write_picture(path: Path, image: np.ndarray, tone: ToneCurve) -> None:
    """Writes an image [C, H, W] in [0, 1] that has the tone curve `tone`; the file's ending says how.

    .png and .tiff: 16 bits, with the tone curve; .exr: float32, linear in light. One channel is grey, three are RGB. Of
    another number .png holds the mean, .tiff a page each, .exr channels named 0, 1 and so on.
    """
    n_channels = len(image)
    if path.suffix == ".png":
        write_image(path, image, bits=16)
        return
    with replacing(path) as temporary:
        if path.suffix == ".tiff":
            levels = np.round(image.clip(0, 1) * FARTHEST).astype(np.uint16)
            if n_channels == 3:
                tifffile.imwrite(temporary, levels.transpose(1, 2, 0), photometric="rgb", metadata=None)
            else:
                tifffile.imwrite(temporary, levels.squeeze(), photometric="minisblack", metadata=None)
        else:
            light = np.ascontiguousarray(tone.decode(image), np.float32)
            names = {1: "Y", 3: "RGB"}.get(n_channels) or [str(number) for number in range(n_channels)]
            OpenEXR.File(EXR_HEADER, dict(zip(names, light, strict=True))).write(str(temporary))


def write_points(path: Path, image: np.ndarray, depth_m: np.ndarray, keep: np.ndarray, focal_px: float) -> int:
    """Writes the pixels of `keep` as coloured points, binary PLY -> how many.

    image: [C, H, W] in [0, 1], RGB or (of any other number of channels) their mean in grey. depth_m: [H, W], m; keep:
    bool [H, W]; pixels at infinity are left out. Through a pinhole of focal length `focal_px` at the origin and the
    picture's middle: x to the right, y up, z back towards the camera, in metres, so that viewers show it upright.
    Raises InputError if no point is left.
    """
    height, width = depth_m.shape
    rows, columns = np.nonzero(keep & np.isfinite(depth_m))
    if len(rows) == 0:
        raise InputError(f"{path}: no point is certain enough; raise --max-std")
    z = depth_m[rows, columns]
    colours = image if len(image) == 3 else image.mean(axis=0, keepdims=True).repeat(3, axis=0)
    values = {
        "x": (columns + 0.5 - width / 2) / focal_px * z,
        "y": (height / 2 - rows - 0.5) / focal_px * z,
        "z": -z,
        **dict(zip(("red", "green", "blue"), np.round(255 * colours[:, rows, columns].clip(0, 1)), strict=True)),
    }
    points = np.empty(len(rows), [(name, "<f4" if name in "xyz" else "u1") for name in values])
    for name, column in values.items():
        points[name] = column
    # By hand, as the one library that does nothing else, plyfile, is under the GPL.
    header = ["ply", "format binary_little_endian 1.0", "comment metres; x right, y up, z towards the camera"]
    header += [f"element vertex {len(points)}"]
    header += [f"property {'float' if name in 'xyz' else 'uchar'} {name}" for name in values]
    with replacing(path) as temporary:
        temporary.write_bytes("\n".join([*header, "end_header", ""]).encode() + points.tobytes())
    return len(points)

#!/usr/bin/env python
# coding: utf-8

# # 0 · The scenes
# 
# ![The five scenes, their depth and their coded photographs](../results/figures/scenes_contact_sheet.webp)
# 
# To say how good a depth map is, one needs scenes whose depth is known at every pixel. The paper used 110 frames of
# TAUAgent, five animated films rendered with Blender. TAUAgent cannot be passed on, so this repository brings **five scenes
# of its own**, rendered the same way: sharp pictures with the exact distance of each pixel.
# 
# Left the scene, in the middle its depth (dark red: beyond what the camera codes, 1.50 m; bright red: nearer than 0.45 m),
# right the photograph that the coded camera takes of it. Whoever has TAUAgent sets `dataset: tauagent` in `params.yaml`, and
# this notebook and all the others run on that instead.

scale = "tutorial"  # which section of params.yaml made this run
seed = 0
results = "../.work/tutorial"  # where tables and figures go
dataset = "rendered"  # rendered, tauagent or motorcycle
frames = 2  # of each scene, for the statistics


from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import TEXTURELESS_LEVELS, local_contrast, shots, statistics
from dpcip.evaluation.figures import show_figure, show_image, show_map
from dpcip.evaluation.tables import write_table
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.study.checks import check, summary

results = Path(results)
lens = Lens()
sns.set_theme(context="notebook", style="ticks")


fine_bank = PsfBank.synthesise(psi=psi_planes(step=0.1))
depth_colours = plt.get_cmap("viridis_r").with_extremes(over="#500000", under="red")
nearest_m, farthest_m = lens.depth_from_psi(10), lens.depth_from_psi(-4)

examples = {shot.place: shot.read() for shot in shots(dataset)}
height, width = next(iter(examples.values())).depth_m.shape
figure, axes = plt.subplots(
    len(examples), 3, figsize=(13, 1 + 12.5 / 3 * height / width * len(examples)), layout="constrained", squeeze=False
)
for row, (place, scene) in zip(axes, examples.items(), strict=True):
    capture = Sensor().expose(simulate(scene.sharp, scene.psi(lens), fine_bank))
    show_image(row[0], scene.sharp, f"{place}: sharp")
    show_map(row[1], scene.depth_m, "depth", "depth (m)", depth_colours, (nearest_m, farthest_m))
    show_image(row[2], capture, "as the coded camera sees it")
show_figure(results / "figures" / "scenes_contact_sheet.webp", figure)


# ![The five scenes: sharp picture, depth, coded photograph](../results/figures/scenes_contact_sheet.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# ## 0.1 What a scene must offer
# 
# The published camera codes distances from 0.45 to 1.50 m as defocus $\psi$ from 10 down to $-4$ ([notebook 1](01_camera.ipynb)
# derives it). Whatever is farther is blurred as if it stood at 1.50 m, so there is nothing to measure there. In the one
# frame of TAUAgent that is public, 86 % of the pixels lie beyond, and an error over all pixels says little about depth. Our
# scenes are placed (as scale models where the real thing would be larger: a model gives the same picture) so that most
# pixels lie inside:
# 
# Under the tables the notebooks check what they say. `check` prints *yes* where a number clears its bound by more than its
# spread, by which another processor, number of threads or seed may move it; *no* where it misses it by more; and *no difference*
# in between. So the words are the same on every machine; `summary()` at the end shows the numbers.

scenes = {}
for shot in shots(dataset, frames):
    scenes.setdefault(shot.place, []).append(shot.read())
table = pd.DataFrame([{"scene": place, **statistics(list_of, lens)} for place, list_of in scenes.items()])
mean = {"scene": "mean", **table.drop(columns="scene").mean()}
table = pd.concat([table, pd.DataFrame([mean])], ignore_index=True)
caption = (
    f"The scenes ({dataset}, {width}x{height} pixels), shares over all pixels of the frames. In range: 0.45 to 1.50 m. "
    "Texture: median standard deviation in windows of 11x11 pixels. Textureless: windows that vary by less than "
    f"{TEXTURELESS_LEVELS} levels. Scale: {scale}."
)
write_table(results / "tables" / "scenes", table, caption)
table.round(3)


figure, axes = plt.subplots(1, len(scenes), figsize=(13, 2.6), layout="constrained", sharey=True, squeeze=False)
for ax, (place, list_of) in zip(axes[0], scenes.items(), strict=True):
    psi = np.stack([scene.psi(lens) for scene in list_of])
    ax.hist(np.clip(psi, -5, 11).ravel(), bins=np.arange(-5, 11.5, 0.5), weights=np.full(psi.size, 100 / psi.size))
    for edge in (-4, 10):
        ax.axvline(edge, color="0.4", ls="--", lw=1)
    ax.set(title=place, xlabel="ψ (rad): far to near")
axes[0, 0].set_ylabel("% of pixels")
sns.despine()
show_figure(results / "figures" / "scenes_psi_histogram.webp", figure)


# ![How many pixels of each scene lie at which defocus](../results/figures/scenes_psi_histogram.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
if dataset == "rendered":
    nearest = {place: min(float(scene.depth_m.min()) for scene in frames_of) for place, frames_of in scenes.items()}
    check("every scene comes nearer than 0.5 m", max(nearest.values()), below=0.5, spread=0.0001)  # the file's step


# The dashed lines bound the camera's range; the outermost bars hold everything beyond.
# 
# ## 0.2 Texture
# 
# Depth is read from blur, and only something with detail can be blurred visibly. The map shows where a window of 11 × 11
# pixels varies by less than 1.5 grey levels: there **no method** can see depth in the photograph, only guess it from around.

figure, axes = plt.subplots(2, len(examples), figsize=(13, 3.6), layout="constrained", squeeze=False)
for column, (place, scene) in zip(axes.T, examples.items(), strict=True):
    show_image(column[0], scene.sharp, place)
    column[1].imshow(local_contrast(scene.sharp) < TEXTURELESS_LEVELS, cmap="gray_r", interpolation="nearest")
    column[1].set(xticks=[], yticks=[])
axes[1, 0].set_ylabel("black: textureless")
show_figure(results / "figures" / "scenes_textureless.webp", figure)


# ![The scenes, and where they have no texture](../results/figures/scenes_textureless.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
if dataset == "rendered":
    rows = table.set_index("scene").drop("mean")
    print("scenes:", ", ".join(rows.index))
    check("at least 60 % of the pixels in range, on average", rows["in range"].mean(), above=0.6, spread=0.001)
    check("every scene is textured at most places", rows["textureless"].max(), below=0.4, spread=0.001)


# ## 0.3 How exact is the depth?
# 
# The renderer gives the distance along the optical axis through the centre of each pixel, never a mixture at an edge, and
# the file keeps it in steps of 0.1 mm. A check scene, a tilted plane and a sphere, is rendered with every set; their
# distance can be worked out with pencil and paper, and `pytest tests/test_datasets.py` compares. Here for the plane:

from dpcip.data.datasets import DATA, read_manifest
from dpcip.data.depth_maps import read_depth

manifest = read_manifest(DATA / "rendered" / "laptop")
frame = next(frame for frame in manifest["frames"] if frame["name"] == "check_00")
depth_m = read_depth(DATA / "rendered" / "laptop" / "check_00_depth.png", "m", manifest["metres_per_level"])
pose, focal_px = np.array(frame["camera"]["camera_to_world"]), frame["camera"]["focal_px"]
rows_px, columns_px = np.indices(depth_m.shape) + 0.5  # the pixels' centres
rays = np.stack(
    [
        (columns_px - depth_m.shape[1] / 2) / focal_px,
        (depth_m.shape[0] / 2 - rows_px) / focal_px,
        -np.ones_like(depth_m),
    ],
    axis=-1,
)
rays = rays @ pose[:3, :3].T
camera_x, camera_y, camera_z = pose[:3, 3]
plane_m = (0.35 * camera_y - 0.3 - camera_z) / (rays[..., 2] - 0.35 * rays[..., 1])  # the plane z = 0.35 y - 0.3
plane_only = (plane_m > 0) & (plane_m < 6.5) & (columns_px < 180)  # the sphere is farther right
error_m = np.abs(depth_m - plane_m)[plane_only]


# NBVAL_CHECK_OUTPUT
print("pixels compared:", int(plane_only.sum()))
check("largest error under 0.1 mm", 1000 * error_m.max(), below=0.1, spread=0.001)


summary()  # by how much each check above clears its bound


# **What to take away.** Five scenes, each with edges, slopes, texture and bare places at known distances inside the
# camera's range. From here on they are photographed, and the photograph is all that a solver gets.

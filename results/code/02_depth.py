#!/usr/bin/env python
# coding: utf-8

# # 2 · Depth and an all-in-focus image from one photograph
# 
# ![Capture, recovered image and depth](../results/figures/depth_example.webp)
# 
# [Notebook 1](01_camera.ipynb) built the camera. Now we turn it around: given one coded photograph, find the sharp image
# and the depth that made it. Nothing is trained beforehand and no second photograph is used. The idea (*deep image prior*,
# Ulyanov et al. 2018): the output of an untrained convolutional network with random weights is, by its very structure, more
# like a natural image than like noise. So we let such a network **draw** an image and a depth map, photograph the drawing
# with the camera model, and change the network's weights until the photograph equals ours:
# 
# $$\min_\theta\ \mathcal{L}\big(\mathrm{DCM}(I_\theta, \psi_\theta),\ C\big),\qquad (I_\theta, \psi_\theta) = G_\theta(z)$$
# 
# DCM is the camera model of notebook 1, $C$ the capture, $G_\theta$ the network with weights $\theta$, $z$ a fixed input of random numbers, $I_\theta$ the
# all-in-focus image and $\psi_\theta$ the defocus map, which eq. 1 turns into metres; $\mathcal{L}$ is a measure of their difference.

import dpcip  # noqa: F401  before torch, so that idle threads leave the cores to other programs

scale = "tutorial"  # which section of params.yaml made this run
seed = 0
results = "../.work/tutorial"  # where tables and figures go
dataset = "rendered"  # rendered, tauagent or motorcycle
factor = 4  # the picture is shrunk by this factor
preset = "fast"
iterations = 200  # None: the preset's own
frames = 1  # of each scene, for Table 1
seeds = 1  # solves of each frame
study_factor = 4  # the frames of Table 1 are shrunk by this factor
study_iterations = 100  # of each solve of Table 1; 0: the preset's own


from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from dpcip.baselines.evaluate import read_rivals, rival_rows
from dpcip.camera.models import InterpolatedDCM
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import shots
from dpcip.evaluation.figures import show_depth, show_figure, show_image, show_map
from dpcip.evaluation.metrics import confidence_metrics, depth_metrics, image_metrics
from dpcip.evaluation.tables import write_table
from dpcip.generators.registry import make_generator
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.paper.tables import DEPTH, TABLE_1, beats_verdict, comparison
from dpcip.solver.cache import solve_cached
from dpcip.solver.losses import ssim
from dpcip.solver.settings import PRESETS, with_iterations
from dpcip.study.cases import photograph, plan, solution_of
from dpcip.study.checks import check, summary
from dpcip.study.runs import run_study, save_reports

results = Path(results)
sns.set_theme(context="notebook", style="ticks")


# ## 2.1 The photograph
# 
# The simulator of notebook 1 photographs a scene with PSFs 0.1 rad apart and rounds to 8 bits. **From here on the
# solver sees only the picture on the left** and the PSF bank. The other two are the truth that we grade it with.

bank = PsfBank.synthesise()  # what the solver knows of the camera: 15 planes
scene = shots(dataset, frames)[0].read().reduced(factor)  # the first of Table 1's, too
psi_true = scene.psi(bank.lens)
capture = Sensor().expose(simulate(scene.sharp, psi_true, PsfBank.synthesise(psi=psi_planes(step=0.1))))

figure, axes = plt.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
show_image(axes[0], capture, "capture: all that the solver gets")
show_image(axes[1], scene.sharp, "truth: sharp image")
show_depth(axes[2], np.where(scene.valid, scene.depth_m, np.nan), "truth: depth (blank: not measured)")
show_figure(results / "figures" / "depth_capture.webp", figure)


# ![The capture, and the true image and depth](../results/figures/depth_capture.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# ## 2.2 The generator
# 
# The network is an encoder-decoder: five times it halves the image, then doubles it again, with 128 channels everywhere
# and a thin skip connection at each level. Its input is 32 channels of fixed uniform noise; its four outputs pass a sigmoid:
# red, green, blue, and $\psi$ scaled to the camera's range.

# NBVAL_CHECK_OUTPUT
generator = make_generator("dip", tuple(psi_true.shape), bank.psi_range, seed=seed)
with torch.no_grad():
    sharp, psi = generator()
print("parameters:", f"{sum(p.numel() for p in generator.parameters()):,}")
print("image channels:", sharp.shape[0], " pixels with psi beyond the range:", int(((psi < -4) | (psi > 10)).sum()))


# ## 2.3 The whole method in ten lines
# 
# This is the algorithm, complete but for comfort. The first iterations use the squared error, which gets colours and
# coarse shapes right; then $1 - \mathrm{SSIM}$ (structural similarity in a Gaussian window) takes over, which cares for
# detail. Twenty steps of the thousands, to see it move:

camera = InterpolatedDCM(bank, tuple(psi_true.shape))
target = torch.tensor(capture)
adam = torch.optim.Adam(generator.parameters(), lr=0.01)
losses = []
for iteration in range(20):  # the released code: 5001
    coded = camera(*generator())  # draw, then photograph
    loss = (coded - target).square().mean() if iteration < 500 else 1 - ssim(coded, target)
    adam.zero_grad()
    loss.backward()
    adam.step()
    losses.append(loss.item())


# NBVAL_CHECK_OUTPUT
check("the squared error falls", losses[-1] / losses[0], below=0.6, spread=0.1)


# ## 2.4 The solve
# 
# `dpcip.solver.runner.solve` is that loop with what one wants around it: checkpoints that survive a kill, recovery from loss
# spikes, the best state kept, faster arithmetic where the machine has it. Preset `fast` also gives the network a start and
# a finish. Before the first step a depth map is read off the capture's local colour spectra, which takes seconds; the network
# is fitted to it, then to the capture, through a camera model that knows occlusion; at the end the depth's edges are moved to
# the image's, and the image is deconvolved at that depth. Its network is lighter, with 32 instead of 128 channels at the picture's own resolution. [Notebook 7](07_solver.ipynb) takes these steps apart; preset `paper`
# is the loop above.
# 
# `solve_cached` keeps the result, so that running the notebook again costs nothing.

settings = replace(PRESETS[preset], seed=seed)
settings = with_iterations(settings, iterations or settings.iterations)
solution = solve_cached(capture, bank, settings)
report = solution.report
print(f"{report['iterations']} iterations in {report['seconds']:.0f} s on {report['machine']['threads']} threads")
print(f"stopped by: {report['stopped_by']}; generator in {report['generator_precision']}")


figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
ax.plot(solution.fits_db, lw=0.8)
ax.axhline(report["data_fit_db"], color="C1", ls="--", lw=1, label="the result, refined")
ax.axvspan(0, settings.warmup_iterations, color="0.9", label="fitted to the start, no camera yet")
ax.set(xlabel="iteration", ylabel="data fit (dB)", title="how well the drawing's photograph equals the capture")
ax.legend(fontsize=9)
sns.despine()
show_figure(results / "figures" / "depth_fit.webp", figure)


# ![The data fit over the iterations](../results/figures/depth_fit.webp)
# 
# Data fit: the PSNR of the drawing's photograph against the capture. A sudden drop is a step that was too large; the best state is kept.
# 
# *At the scale of [the report](../results/REPORT.md).*

# ## 2.5 The result
# 
# The camera tells depths between 0.45 and 1.5 m apart. What lies farther counts as 1.5 m from here on, in truth and result alike.

psi_clipped = np.clip(psi_true, *bank.psi_range)
truth_m = np.where(scene.valid, bank.lens.depth_from_psi(psi_clipped), np.nan)
limits_m = (float(np.nanmin(truth_m)), float(np.nanmax(truth_m)))
error_m = solution.depth_m - truth_m

image_scores = image_metrics(solution.sharp, scene.sharp)
depth_scores = depth_metrics(solution.psi, psi_true, valid=scene.valid)

height, width = psi_true.shape
figure, axes = plt.subplots(2, 3, figsize=(13, 0.8 + 7.8 * height / width), layout="constrained")
show_image(axes[0, 0], capture, "capture (the only input)")
show_image(
    axes[0, 1], solution.sharp, f"all-in-focus: {image_scores['psnr_db']:.1f} dB, SSIM {image_scores['ssim']:.2f}"
)
show_image(axes[0, 2], scene.sharp, "truth")
show_depth(axes[1, 0], truth_m, "depth, truth", limits_m)
show_depth(
    axes[1, 1], solution.depth_m, f"depth, recovered: RMSE {100 * depth_scores['depth_rmse_m']:.1f} cm", limits_m
)
bound_m = float(np.nanquantile(np.abs(error_m), 0.98))
show_map(axes[1, 2], error_m, "depth error", "recovered minus true (m)", "RdBu", (-bound_m, bound_m))
show_figure(results / "figures" / "depth_example.webp", figure)


# ![Capture, recovered image and depth, truth and depth error](../results/figures/depth_example.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# ## 2.6 The numbers
# 
# PSNR is $-10\log_{10}$ of the mean squared error, in decibels (dB); RMSE and MAE are the root mean square and the mean absolute error.
# A number needs something to be compared with. For the image that is the capture itself, unprocessed; for the depth it is
# a flat map at the true median, the best that one can say without looking (it knows the truth, so it is no rival, just a
# yardstick). *In range*: only pixels whose true depth the camera can tell; *confident half*: the half of the pixels of which the
# solver is more certain (2.7). Columns *as released* hold what the released code would print for the same result: its SSIM uses a data range
# of 2, and its depth error feeds $\psi$ scaled to $[0, 1]$ into eq. 1, which cannot give more than 0.082 "m" whatever the
# estimate (see `dpcip/evaluation/metrics.py`).

flat = np.full_like(psi_true, np.median(psi_true[scene.valid]))
certain = confidence_metrics(solution.psi[scene.valid], solution.psi_std[scene.valid], psi_true[scene.valid])
scores = {**image_scores, **depth_scores, "psi_mae_confident_half": certain["psi_mae_confident_half"]}
rows = [
    {"result": f"dpcip, preset {preset}", **scores, "seconds": report["seconds"]},
    {"result": "capture as it is", **image_metrics(capture, scene.sharp)},
    {"result": "flat map at the true median", **depth_metrics(flat, psi_true, valid=scene.valid)},
]
columns = [
    "result",
    *("psnr_db", "ssim", "depth_rmse_m", "depth_rmse_in_range_m", "depth_mae_m", "psi_mae", "psi_mae_confident_half"),
    *("ssim_as_released", "depth_as_released", "seconds"),
]
table = pd.DataFrame(rows)[columns].rename(columns={name: name.replace("_", " ") for name in columns})
height, width = psi_true.shape
caption = (
    f"Scene {scene.name} ({width}x{height} pixels), {report['iterations']} iterations, seed {seed}, "
    f"{report['machine']['device']} with {report['machine']['threads']} threads, scale: {scale}. "
    "Depth counts every pixel whose distance is known. 'As released' is what the released code's metrics would print."
)
write_table(results / "tables" / "depth_example", table, caption)
table.round(4)


# NBVAL_CHECK_OUTPUT
gain_db = image_scores["psnr_db"] - rows[1]["psnr_db"]
of_flat_map = depth_scores["depth_rmse_m"] / rows[2]["depth_rmse_m"]
check("all-in-focus is nearer the truth than the capture", gain_db, above=0, spread=1)
check("depth is nearer the truth than a flat map", of_flat_map, below=0.9, spread=0.1)
print("pixels beyond the camera's range:", int(((solution.depth_m < 0.44) | (solution.depth_m > 1.51)).sum()))


# ## 2.7 Where the errors are, and whether the solver knows
# 
# Depth is written into blur, and blur can only be seen where there is something to blur; and where two depths meet, a small
# piece of the capture holds both. From both, and from how far the solve went from its start, the solver tells how uncertain
# $\psi$ is, without any truth. A wall without texture that lies between textured things of one depth passes for certain with them. On the left the
# true error, in the middle the predicted uncertainty. On the right the pixels are sorted into fifths by that prediction: if it
# is worth anything the bars rise. Only that order is tested here, not the size of the standard deviations.

error_psi = np.abs(solution.psi - psi_clipped)
edges = np.quantile(solution.psi_std[scene.valid], np.linspace(0, 1, 6))
means = [
    error_psi[scene.valid & (solution.psi_std >= low) & (solution.psi_std <= high)].mean()
    for low, high in zip(edges[:-1], edges[1:], strict=True)
]
bound = float(np.quantile(error_psi, 0.98))
figure, axes = plt.subplots(1, 3, figsize=(14, 0.8 + 4.2 * height / width), layout="constrained")
show_map(axes[0], error_psi, "error", "|ψ error| (rad)", "magma", (0, bound))
show_map(axes[1], solution.psi_std, "predicted uncertainty", "standard deviation (rad)", "magma")
sns.barplot(x=["most", "", " ", "  ", "least"], y=means, color="C0", ax=axes[2])
axes[2].set(xlabel="certainty (fifths of the pixels)", ylabel="mean |ψ error| (rad)")
sns.despine(ax=axes[2])
show_figure(results / "figures" / "depth_uncertainty.webp", figure)


# ![The depth's error, its uncertainty, and the one over the other](../results/figures/depth_uncertainty.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
confident = certain["psi_mae_confident_half"] / depth_scores["psi_mae"]
check("the more certain half errs less", confident, below=1, spread=0.125)
check("the bars rise from the most to the least certain", means[0] / means[4], below=0.6, spread=0.12)


# ## 2.8 Five scenes: the paper's Table 1
# 
# One scene says little. `run_study` takes a list of cases (frame, preset, generator, seed), solves what is not solved yet and
# returns a row of scores for each; killed in the middle, it goes on where it was. The names in column `solves` of the written table
# ([table1_depth.md](../results/tables/table1_depth.md)) lead to each solve's settings, machine and scores in `results/solves`; for a trained network they are the checksum of its weights, which its card has, too.
# 
# The paper's rival is a network that is **trained** on photographs of other scenes (the mono depth network of its reference [4]: five
# convolutions, scores for 16 classes of $\psi$). Stage `depth_fcn` trains it here in two ways: on the frames of all scenes but one,
# five times, so that each photograph goes to the network that has never seen its scene (`other scenes`); and on pictures composed of
# textures at random depths, of which we can make any number (`composed`). Section 2.9 shows how that went.
# The last panel shows the network of `other scenes`. The panels are those of the paper's Figures 2, 3, 7 and 8, in our scenes.

cases = plan(
    dataset, frames, seeds=range(seed, seed + seeds), factor=study_factor, preset=preset, iterations=study_iterations
)
rows = run_study(cases)
save_reports(rows, results / "solves" / "02_depth")
rows[["frame", "seed", "depth_rmse_m", "depth_rmse_in_range_m", "psi_mae", "depth_as_released", "seconds"]].round(4)


rivals = read_rivals(Path("../results/baselines/depth_fcn"))
by_network = rival_rows(cases, rivals)
pd.concat(by_network, names=["learned from", ""]).reset_index(level=0)[
    ["learned from", "frame", "depth_rmse_m", "depth_rmse_in_range_m", "psi_mae"]
].round(4)


shown = list({case.place(): case for case in cases}.values())
found = rows.set_index(["frame", "seed"])
figure, axes = plt.subplots(len(shown), 5, figsize=(17, 1.95 * len(shown) + 0.4), layout="constrained", squeeze=False)
for ax, case in zip(axes, shown, strict=True):
    photo = photograph(case)
    solved = solution_of(found.loc[(case.frame, case.seed)])
    true_m = bank.lens.depth_from_psi(photo.psi_true)
    range_m = (float(true_m.min()), float(true_m.max()))
    show_image(ax[0], photo.capture, f"{case.frame}: capture")
    show_depth(ax[1], true_m, "depth, truth", range_m)
    show_depth(ax[2], solved.depth_m, "depth, recovered", range_m)
    show_map(ax[3], np.abs(solved.depth_m - true_m), "error", "|error| (m)", "magma", (0, 0.2))
    network = rivals.get(f"without_{case.place()}", rivals["composed"])[0]
    show_depth(ax[4], bank.lens.depth_from_psi(network.estimate(photo.capture)), "depth, trained network", range_m)
show_figure(results / "figures" / "table1_depth.webp", figure)


# ![Each scene's capture, depth, recovered depth, error, and a trained network's depth](../results/figures/table1_depth.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# The paper reports one number for depth: 0.0003 "m" on the scene WuManchu, against 0.1639 of a supervised network. Our scenes
# are others (TAUAgent cannot be redistributed; who has it sets `dataset: tauagent` in `params.yaml`), so the verdict is
# *not comparable* and says only where our value lies. `ours` is the metric that the released code prints; the columns after the
# verdict are sound ones, in true metres. Why they differ so much is told in section 2.10.

same_scenes = dataset == "tauagent"
methods = {"DPCIP": (rows, TABLE_1["DPCIP"])}
for kind, part in by_network.items():  # without their milliseconds, which differ from run to run
    methods[f"depth network [4], {kind}"] = (part.assign(seconds=np.nan), TABLE_1["mono depth network [4]"])
lines = []
for method, (part, paper) in methods.items():
    for place, of_place in part.groupby("place", sort=False):
        lines.append(comparison(place, method, DEPTH, paper if place == "WuManchu" else None, of_place, same_scenes))
    lines.append(comparison("all scenes", method, DEPTH, None if same_scenes else paper, part, same_scenes))
for method, (part, _) in list(methods.items())[1:]:  # the claim: zero-shot beats supervised
    errors = [p.groupby("frame")["depth_rmse_m"].mean() for p in (rows, part)]
    said = beats_verdict(*errors, larger_is_better=False)
    lines.append({"what": "DPCIP beats it", "method": method, "metric": "depth_rmse_m", "verdict": said})
table1 = pd.DataFrame(lines).assign(scale=scale)
width, height = rows["width"].max(), rows["height"].max()
caption = (
    f"Table 1, depth of preset {preset} on {len(rows)} photographs ({dataset}, {width}x{height} pixels, "
    f"{rows['iterations'].max()} iterations), scale: {scale}. paper and ours: the released code's metric. "
    "depth_rmse_m, depth_rmse_in_range_m: true metres, over all pixels and over those within the camera's range. "
    f"The networks were trained for minutes, not days (cards in results/baselines), and DPCIP is preset {preset}, "
    "not the paper's recipe: the claim that DPCIP beats them is tested for these."
)
write_table(results / "tables" / "table1_depth", table1, caption)
table1.drop(columns=["device", "scale", "solves"]).round(4)


# NBVAL_CHECK_OUTPUT
flat_rmse = [
    depth_metrics(np.full_like(p.psi_true, np.median(p.psi_true)), p.psi_true)["depth_rmse_m"]
    for p in map(photograph, cases)
]
print("scenes:", rows["place"].nunique())
of_flat_map = rows["depth_rmse_m"].mean() / np.mean(flat_rmse)
check("depth is nearer the truth than a flat map, all scenes together", of_flat_map, below=0.9, spread=0.1)
printed_share = (rows["depth_as_released"] / rows["depth_rmse_m"]).max()
check("the released metric prints less than a tenth of it", printed_share, below=0.1, spread=0.01)


# ## 2.9 How the rival learned
# 
# Error of $\psi$ while training: on photographs that it learns from, and on frames of the same scenes (or other textures) that it does
# not. The best step on the latter is kept. What counts is the third number, the error on a **scene** it has never seen: it is compared
# with saying the median $\psi$ of the training photographs everywhere.

figure, axes = plt.subplots(1, len(rivals), figsize=(15, 2.7), layout="constrained", sharey=True)
for ax, (name, (_, card)) in zip(axes, rivals.items(), strict=True):
    curve = pd.DataFrame(card["curve"])
    ax.plot(curve["step"], curve["train"], label="training")
    ax.plot(curve["step"], curve["validation"], label="validation")
    unseen = np.mean([test["error"] for test in card["test"].values()])
    ax.axhline(unseen, color="C3", ls="--", lw=1, label="unseen scene")
    ax.set(title=name.replace("_", " "), xlabel="step")
axes[0].set_ylim(0, None)  # shared: after all curves are drawn
axes[0].set_ylabel("mean |ψ error| (rad)")
axes[-1].legend(fontsize=9)
sns.despine()
show_figure(results / "figures" / "rival_depth_training.webp", figure)


# ![Training and validation errors of the depth networks](../results/figures/rival_depth_training.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

learned = pd.DataFrame(
    {
        "network": name,
        "learned from": card["data"],
        "photographs": card["samples"],
        "megapixels": card["pixels"] / 1e6,
        "training": card["train"],
        "validation": card["validation"],
        "unseen scene": place,
        "test": test["error"],
        "median of the training": test["blind_error"],
    }
    for name, (_, card) in rivals.items()
    for place, test in card["test"].items()
)
caption = (
    "Mean |psi error| (rad) of the depth network [4]: leave-one-scene-out, and learned from composed pictures. Test: "
    "all frames of a scene it never saw, at full and half size. One training each; its card in results/baselines "
    "tells steps and machine."
)
write_table(results / "tables" / "rival_depth", learned, caption)
learned.round(3)


# NBVAL_CHECK_OUTPUT
print("networks:", len(rivals), " scenes that one was left out of:", learned["unseen scene"].nunique())
of_median = (learned["test"] / learned["median of the training"]).max()
check("better than the median on every unseen scene", of_median, below=0.8, spread=0.05)


# ## 2.10 A slip of units, and what the paper's numbers mean
# 
# The network's depth output lies in $[0, 1]$; eq. 1 wants $\psi$ between $-4$ and $10$. The released evaluation puts the one into
# the other. It is an easy slip, and it does no harm to the images; but every depth then lands between 0.818 and 0.900 m:

psi = np.linspace(-4, 10, 281)
in_metres = bank.lens.depth_from_psi(psi)
as_released = bank.lens.depth_from_psi((psi + 4) / 14)  # psi scaled to [0, 1], where eq. 1 expects radians

figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
axes[0].plot(psi, in_metres, label="eq. 1")
axes[0].plot(psi, as_released, label="as released")
axes[0].set(xlabel="ψ (rad)", ylabel="distance (m)", title="what becomes of ψ")
axes[0].legend()
factor_of_psi = np.gradient(in_metres, psi) / np.gradient(as_released, psi)
axes[1].plot(psi, factor_of_psi)
axes[1].set(
    xlabel="ψ (rad)",
    ylabel="true error / printed error",
    title="how much too small an error is printed",
    ylim=(0, None),
)
sns.despine()
show_figure(results / "figures" / "depth_unit.webp", figure)

printed = {"Table 1, DPCIP": 0.0003, "Table 4, DIP": 0.005, "Table 4, PIP": 0.006}
at = {"ψ = -4 (1.50 m)": 0, "ψ = 0 (0.90 m)": 80, "ψ = 10 (0.45 m)": 280}
in_true_metres = pd.DataFrame({where: {w: p * factor_of_psi[n] for w, p in printed.items()} for where, n in at.items()})
in_true_metres.insert(0, "printed", pd.Series(printed))
in_true_metres.round(4)


# ![What the released metric prints over the true error in metres](../results/figures/depth_unit.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
print(
    "too small by a factor of", round(factor_of_psi[0]), "at the far end,", round(factor_of_psi[-1]), "at the near end"
)
print(
    "largest error that can be printed:",
    round(np.ptp(as_released), 3),
    "m; true range:",
    round(np.ptp(in_metres), 2),
    "m",
)
print("the paper's tables have larger ones:", *(value for value in (0.1639, 0.19) if value > np.ptp(as_released)))


# So the paper's 0.0003 "m" stands for about 1.2 cm if the errors were at the far plane, and for about 1 mm at the near one (the truth
# lies between, by where the errors were): a good depth map still. Its 0.1639 (supervised network) and 0.19 (SIREN) are larger
# than this metric can print, so those rows were computed in another unit than DPCIP's, and the ratio between them
# cannot be read off the table.

summary()  # by how much each check above clears its bound


# **What to take away.** One photograph, no training data, and both the sharp image and a metric depth map come out. The data
# fit alone does not say how good they are: it is far higher than the image's own PSNR, since different drawings explain the
# same photograph nearly equally well. What chooses among them is the prior: the statistics of natural textures at the
# start, the network's structure after it.

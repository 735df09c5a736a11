#!/usr/bin/env python
# coding: utf-8

# # 7 · The solver: where the depth comes from, and why it is fast
# 
# ![Depth and image before any iteration](../results/figures/solver_start.webp)
# 
# [Notebook 2](02_depth.ipynb) solved a photograph by letting an untrained network draw until the drawing's photograph fits.
# As published that takes thousands of steps, most of them spent on two things that can be had more cheaply: finding the
# **right depth** among many that fit nearly as well, and sharpening the image's **fine detail**, which a blur hides so well
# that gradient descent hardly feels it. Preset `fast` takes four steps instead of one:
# 
# 1. **Depth from local spectra**, without any iteration (7.1 to 7.3);
# 2. a camera model that knows **occlusion**, so that depth edges need not be bent to fit (7.4);
# 3. the **generator**, fitted first to that depth and then, as in the paper, to the capture;
# 4. the image **deconvolved** at the depth that the generator found (7.5). The start is refined alike, and is kept as the result if it
#    explains the capture better than what the generator made of it.
# 
# Depths that would need light darker than black or brighter than white are ruled out on the way (7.3). The first step
# also says how sure it is, which gives a **confidence map** (7.6).

import dpcip  # noqa: F401  before torch, so that idle threads leave the cores to other programs

scale = "tutorial"  # which section of params.yaml made this run
seed = 0
results = "../.work/tutorial"  # where tables and figures go
dataset = "rendered"  # rendered, tauagent or motorcycle
factor = 2  # the picture is shrunk by this factor


import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from dpcip.camera.models import KERNEL_ERROR, InterpolatedDCM, MaskedDCM, combined_kernels
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import shots
from dpcip.evaluation.figures import show_figure, show_image, show_map
from dpcip.evaluation.metrics import confidence_metrics, depth_metrics, image_metrics, sparsification
from dpcip.evaluation.tables import write_table
from dpcip.initialization.feasibility import EXCESS
from dpcip.initialization.initialize import depth_prior, find_start, uncertainty
from dpcip.initialization.likelihood import STRIDE_PX, depth_likelihood, half_planes
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.restoration.deconvolution import deconvolve
from dpcip.restoration.edges import snap_to_edges
from dpcip.study.checks import check, summary

results = Path(results)
sns.set_theme(context="notebook", style="ticks")

bank = PsfBank.synthesise()
bank = replace(bank, psf=bank.psf.float())
scene = shots(dataset)[0].read().reduced(factor)
psi_true = np.clip(scene.psi(bank.lens), *bank.psi_range)
photograph = Sensor().expose(simulate(scene.sharp, psi_true, PsfBank.synthesise(psi=psi_planes(step=0.1))))
capture = torch.tensor(photograph, dtype=torch.float32)
height, width = psi_true.shape


# ## 7.1 A window's colours tell its depth
# 
# Take a small window of the capture. What was there before the blur we do not know, but we know what natural textures are
# like: their power falls with frequency as $|f|^{-p}$, and red, green and blue rise and fall together. The mask blurs the
# three channels **differently** at each depth, so the capture's spectra carry that depth's signature. Written as a
# probability: at frequency $f$ the three channels' spectra $Y(f)$ are Gaussian with covariance
# 
# $$S_k(f) = s^2\,|f|^{-p}\, H_k(f)\, R\, H_k(f)^* + \sigma^2 I$$
# 
# where $H_k$ holds the three transfer functions of plane $k$ on its diagonal (the star conjugates and transposes), $R$ the correlation of the channels, $I$ the identity, $s$ the
# texture's contrast and $\sigma$ the sensor's noise (here the rounding to 8 bits). The log-likelihood
# $-\tfrac12\sum_f \big(Y^* S_k^{-1} Y + \log\det S_k\big)$ of every plane costs a few products a frequency. The
# $\log\det$ is what a naive sweep lacks: *deconvolve at every depth and keep the one that looks best* compares planes that
# can hide different amounts of detail, and fails.
# 
# It is cheap because it is **linear** in what it needs to know of the capture: $Y^* S_k^{-1} Y$ is a weighted sum of the nine real
# numbers of which $Y Y^*$ consists, and $\log\det S_k$ a weight of the number 1. Ten features of a window, whatever the plane; a table with
# their weights for each plane is made once.
# 
# Three windows, each with the likelihood of every plane; the dashed line is the truth. The peaks lie within 2 rad of it, but
# they are far too narrow: a real window is neither flat in depth nor a Gaussian texture, so the truth may lie where the
# curve has long left the picture. The likelihood points; how sharp it is must not be believed.

planes = half_planes(bank)  # the bank with a plane added between every two
likelihood = depth_likelihood(capture, planes).numpy()  # [planes, rows / 4, columns / 4]

spots = {"near": np.unravel_index(psi_true.argmax(), psi_true.shape), "far": (height // 8, width // 2)}
spots["middle"] = (int(0.62 * height), width // 2)
figure, axes = plt.subplots(1, 1 + len(spots), figsize=(13, 2.8), layout="constrained")
show_image(axes[0], photograph, "capture")
for ax, (name, (row, column)) in zip(axes[1:], spots.items(), strict=True):
    values = likelihood[:, row // STRIDE_PX, column // STRIDE_PX]
    ax.plot(planes.psi, values - values.max(), color="C0")
    ax.axvline(psi_true[row, column], color="0.3", ls="--", lw=1)
    ax.set(title=name, xlabel="ψ (rad)", ylim=(-60, 3))
    axes[0].plot(column, row, "s", ms=9, mec="w", mfc="none")
    axes[0].annotate(name, (column, row), color="w", xytext=(6, 6), textcoords="offset points", fontsize=8)
axes[1].set_ylabel("log-likelihood")
sns.despine()
show_figure(results / "figures" / "solver_likelihood.webp", figure)


# ![Three windows of a capture, and the likelihood of each depth there](../results/figures/solver_likelihood.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# ## 7.2 From windows to a map
# 
# Neighbouring windows mostly see the same depth. *Semi-global matching* (a chain of labels along eight directions, where
# a jump costs) turns the likelihoods into a map. A window across a depth edge sees both sides and mostly takes the
# sharper one for all (not always: 7.3). So edges come out too far from the sharp object. Near jumps the map is therefore not trusted;
# it is filled in from both sides, across as little **colour** change as possible, and the edge moves to where the image has one.
# The third picture is the start that `fast` uses: planes that need impossible light are ruled out (7.3), then the edges are moved.

prior = depth_prior(capture, bank)
start = find_start(capture, bank)

figure, axes = plt.subplots(1, 4, figsize=(15, 0.6 + 3.6 * height / width), layout="constrained")
show_map(axes[0], psi_true, "truth", "ψ (rad)", "viridis", bank.psi_range)
show_map(axes[1], prior.psi.numpy(), "from the windows", "ψ (rad)", "viridis", bank.psi_range)
show_map(axes[2], start.psi.numpy(), "impossible depths out, edges moved", "ψ (rad)", "viridis", bank.psi_range)
psi_std = uncertainty(start.psi, start.prior, bank).numpy()
show_map(axes[3], psi_std, "how uncertain", "standard deviation (rad)", "magma")
show_figure(results / "figures" / "solver_start.webp", figure)


# ![Depth before any iteration: from the windows, with edges moved, and how uncertain](../results/figures/solver_start.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
error = {
    name: np.abs(psi - psi_true).mean()
    for name, psi in (("windows", prior.psi.numpy()), ("snapped", start.psi.numpy()))
}
flat_error = np.abs(np.median(psi_true) - psi_true).mean()
check("less than 0.4 of a flat map's error", error["windows"] / flat_error, below=0.4, spread=0.01)
check("ruling out and moving the edges help", error["windows"] - error["snapped"], above=0, spread=0.01)


# ## 7.3 Impossible light
# 
# Windows that see **two depths at once** can be worse than unsure. Before the distant street hang flags; their windows hold
# flag and sky, and the likelihood settles on the sky's depth for both. Deconvolution can tell: to explain so sharp an edge
# with the sky's wide PSF it has to draw light outside $[0, 1]$, here mostly brighter than white. That happens in few places (the third
# picture: specks at some of the flags, at a lamp, on the awning). Where it happens the depth is usually wrong; where it does not,
# nothing is said. So around such a place the planes near the depth found are forbidden, on trial, and stay so where the next best
# planes at least halve the excess.
# 
# No scene is darker than black. Light above white there is: highlights may be brighter than the sensor's white, and their blur
# may lie below it. So light above 1 counts only for a photograph that stays below 0.95 in all but one of ten thousand pixels, as here.
# 
# What to expect: some of the largest errors become smaller (the squared error falls), but most of the flags stay nearer to the sky's
# depth than to their own. Errors of the ordinary size may grow a little, for a few windows lose the right plane, too.
# 

places = [shot for shot in shots(dataset) if shot.place == "street"] or shots(dataset)
flags = places[len(places) // 2].read()
window = slice(0, 256), slice(128, 384)
flags_sharp, flags_psi = flags.sharp[:, *window], np.clip(flags.psi(bank.lens)[window], *bank.psi_range)
flags_photograph = Sensor().expose(simulate(flags_sharp, flags_psi, PsfBank.synthesise(psi=psi_planes(step=0.1))))
flags_capture = torch.tensor(flags_photograph, dtype=torch.float32)

flags_prior = depth_prior(flags_capture, bank)
with torch.no_grad():
    flags_image = deconvolve(MaskedDCM(bank, flags_psi.shape).at(flags_prior.psi), flags_capture, flags_capture)
    flags_start = find_start(flags_capture, bank)
    flags_snapped = snap_to_edges(flags_prior.psi, flags_image.clamp(0, 1))  # what `find_start` does, too
excess = (flags_image - flags_image.clamp(0, 1)).abs().amax(dim=0).numpy()

figure, axes = plt.subplots(2, 3, figsize=(13, 8.4), layout="constrained")
show_image(axes[0, 0], flags_sharp, "truth")
show_image(axes[0, 1], flags_image.numpy(), "at the windows' depth")
show_map(axes[0, 2], excess, "light outside [0, 1]", "excess", "magma", (0, 0.2))
show_map(axes[1, 0], flags_psi, "truth", "ψ (rad)", "viridis", bank.psi_range)
show_map(axes[1, 1], flags_snapped.numpy(), "from the windows, edges moved", "ψ (rad)", "viridis", bank.psi_range)
show_map(axes[1, 2], flags_start.psi.numpy(), "and impossible depths ruled out", "ψ (rad)", "viridis", bank.psi_range)
show_figure(results / "figures" / "solver_veto.webp", figure)


# ![Impossible light, and the depth before and after it is ruled out](../results/figures/solver_veto.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
blamed = excess > EXCESS
error_before = np.abs(flags_prior.psi.numpy() - flags_psi)
error_snapped, error_after = (np.abs(psi.numpy() - flags_psi) for psi in (flags_snapped, flags_start.psi))
there = error_before[blamed].mean() / error_before.mean()
check("where light is impossible the depth is farther off", there, above=1.5, spread=0.1)
of_snapped = (error_after**2).mean() / (error_snapped**2).mean()
check("ruling it out helps beyond moving the edges (mean squared error)", of_snapped, below=0.95, spread=0.01)


# ## 7.4 A camera that knows occlusion
# 
# The paper's camera model blurs the **whole** image at each depth and then picks, pixel by pixel. At a depth edge the
# light of one side is so spread with the other side's PSF. The masked model cuts the image into layers by depth first
# ($w_k$: the same hat weights), blurs layers and masks alike, and divides:
# 
# $$\mathrm{masked}(I, \psi) = \frac{\sum_k h_k * (w_k I)}{\sum_k h_k * w_k}$$
# 
# Both get the **true** image and depth here. What is left is the model's own error, which a solve has to hide by bending
# image and depth:

truth = torch.tensor(scene.sharp).float(), torch.tensor(psi_true).float()
models = {"paper's camera": InterpolatedDCM(bank, (height, width)), "masked camera": MaskedDCM(bank, (height, width))}
with torch.no_grad():
    residuals = {name: (camera(*truth) - capture).numpy() for name, camera in models.items()}
fits_db = {name: -10 * np.log10(np.square(residual).mean()) for name, residual in residuals.items()}

figure, axes = plt.subplots(1, 2, figsize=(13, 0.6 + 6 * height / width), layout="constrained")
for ax, (name, residual) in zip(axes, residuals.items(), strict=True):
    show_map(
        ax,
        255 * np.abs(residual).mean(axis=0),
        f"{name}: {fits_db[name]:.1f} dB",
        "|error| (grey levels)",
        "magma",
        (0, 6),
    )
show_figure(results / "figures" / "solver_cameras.webp", figure)


# ![Where the two camera models err at the truth](../results/figures/solver_cameras.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
check("the masked camera explains the true scene down to the rounding", fits_db["masked camera"], above=56, spread=0.2)
check("the paper's camera does not", fits_db["paper's camera"], below=50, spread=0.2)


# ### Few kernels make all planes
# 
# A PSF changes smoothly with defocus, so that the planes' kernels are nearly combinations of a few (singular value decomposition of the
# bank). With $h_k = \sum_r u_{kr} b_r$ the sum over planes becomes one over the few $b_r$,
# 
# $$\sum_k h_k * (w_k I) = \sum_r b_r * \Big(\sum_k u_{kr} w_k\, I\Big),$$
# 
# one convolution for each $b_r$ instead of one for each plane, in the generator's steps and in the deconvolution alike. How many are kept
# is decided when the camera is made: the fewest with which every plane's error is below 0.3 % of its norm (dashed). One line is one
# colour; each kernel is shown at a scale of its own.

_, kernels = combined_kernels(bank, KERNEL_ERROR)
flat = bank.psf.double().flatten(2).transpose(0, 1)  # [channels, planes, taps]
u, values, v = torch.linalg.svd(flat, full_matrices=False)
counts = range(1, len(bank.psi))
errors = [((u[..., :n] * values[:, None, :n]) @ v[:, :n] - flat).norm(dim=2) / flat.norm(dim=2) for n in counts]

figure, axes = plt.subplots(
    1, 1 + len(kernels), figsize=(15, 2.6), layout="constrained", width_ratios=[3] + [1] * len(kernels)
)
for channel, colour in enumerate(("C3", "C2", "C0")):
    axes[0].semilogy(counts, [error[channel].max() for error in errors], color=colour)
axes[0].axhline(KERNEL_ERROR, color="0.5", ls="--", lw=1)
axes[0].set(xlabel="kernels", ylabel="worst plane's error", title=f"{len(kernels)} kernels for {len(bank.psi)} planes")
for number, ax in enumerate(axes[1:]):
    kernel = kernels[number, 1, 18:-18, 18:-18].numpy()
    ax.imshow(kernel, cmap="RdBu", vmin=-np.abs(kernel).max(), vmax=np.abs(kernel).max())
    ax.set(xticks=[], yticks=[], title=f"green, {number + 1}")
show_figure(results / "figures" / "solver_kernels.webp", figure)


# ![The error of few kernels, and the kernels](../results/figures/solver_kernels.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# ## 7.5 The image, once the depth is known
# 
# With $\psi$ fixed the masked camera is **linear** in the image, and finding the image is a classical deconvolution:
# 
# $$\min_I\ \frac{1}{\sigma^2}\big\|\mathrm{masked}(I, \psi) - C\big\|^2 + \sum_x \mathrm{tr}\,\big(\Sigma_x + \epsilon^2 I\big)^{q/2}$$
# 
# $\Sigma_x$ is the covariance of the three channels' gradients around pixel $x$, $\mathrm{tr}$ its trace, $\epsilon$ a small gradient
# that counts as none. The prior with $q = 0.3$ likes few edges,
# and likes them where **all channels** have them: so a channel that is in focus lends its edges to those that are not.
# Reweighted least squares with conjugate gradients need seconds, where the generator needs minutes for the same detail.
# 
# $\sigma$ is the capture's noise only where the model explains the capture. Near a wrong depth it does not: an image that
# explains it all the same would oscillate. So after the first round $\sigma^2$ is, in each neighbourhood, at least half of what the
# model still misses there.

def deconvolved(psi):
    camera = MaskedDCM(bank, (height, width)).at(psi)
    with torch.no_grad():
        return deconvolve(camera, capture, capture).clamp(0, 1).numpy()


images = {
    "capture": photograph,
    "at the windows' depth": deconvolved(prior.psi),
    "at the snapped depth": deconvolved(start.psi),
    "at the true depth": deconvolved(truth[1]),
}
scores = {name: image_metrics(image, scene.sharp) for name, image in images.items()}
figure, axes = plt.subplots(1, 4, figsize=(15, 0.6 + 3.6 * height / width), layout="constrained")
for ax, (name, image) in zip(axes, images.items(), strict=True):
    show_image(ax, image, f"{name}: {scores[name]['psnr_db']:.1f} dB")
show_figure(results / "figures" / "solver_deconvolution.webp", figure)


# ![The capture, and its deconvolution at three depths](../results/figures/solver_deconvolution.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
gain_db = {name: score["psnr_db"] - scores["capture"]["psnr_db"] for name, score in scores.items()}
check("a sharp image without any network", gain_db["at the windows' depth"], above=2, spread=0.1)
lost_db = gain_db["at the true depth"] - gain_db["at the snapped depth"]
check("the depth decides how sharp", lost_db, above=0.5, spread=0.05)


# The gap between the last two pictures is what the generator is for. A joint descent in image and
# depth did **not** close it in our trials: fitted together, image and depth explain the capture ever better and the depth gets worse. The
# network's structure, which draws both with the same features, is the better judge.
# 
# ## 7.6 How sure is the depth?
# 
# A flat wall looks alike at any depth; no solver can measure what the light does not carry. The spread of the smoothed
# likelihood over the planes says so beforehand. It is no guarantee: the smoothing hands a neighbour's certainty on to a wall.
# Near a depth edge that likelihood is sure of itself and often wrong, for its windows see both sides. So three more terms are added in
# squares: the spread of the **depth found** around each pixel (from a local plane, for a slope is no jump), the rounding to planes and,
# after a solve, how far it went from this first depth (where the two disagree one is wrong). To judge the map, we drop the least certain pixels first and look at the
# mean error of those that remain (*sparsification*). A perfect ranking would drop the largest errors first (dashed). AUSE, the *area under the
# sparsification error*, is the area between the two curves: 0 is perfect.

psi_error, shares = np.abs(start.psi.numpy() - psi_true), np.linspace(0.05, 1, 20)
certainty = confidence_metrics(start.psi.numpy(), psi_std, psi_true)

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(shares, sparsification(psi_error, psi_std, shares), label="by our uncertainty")
ax.plot(shares, sparsification(psi_error, psi_error, shares), "--", color="0.5", label="perfect")
ax.axhline(1, color="0.8", lw=1, label="random")
ax.set(xlabel="share of pixels kept", ylabel="mean error, relative", title=f"AUSE {certainty['ause']:.2f}")
ax.legend()
sns.despine()
show_figure(results / "figures" / "solver_sparsification.webp", figure)


# ![The error of the pixels kept, over the share that is kept](../results/figures/solver_sparsification.webp)
# 
# *At the scale of [the report](../results/REPORT.md).*

# NBVAL_CHECK_OUTPUT
of_chance = certainty["ause"] / certainty["ause_random"]
check("the ranking is better than chance", of_chance, below=0.7, spread=0.01)
check("the confident half errs less", certainty["psi_mae_confident_half"] / psi_error.mean(), below=0.8, spread=0.01)
beyond = (psi_error > 3 * psi_std).mean()
check("few errors beyond three standard deviations", beyond, below=0.1, spread=0.001)


rows = [
    {"what": "flat map at the true median", **depth_metrics(np.full_like(psi_true, np.median(psi_true)), psi_true)},
    {"what": "depth from the windows", **depth_metrics(prior.psi.numpy(), psi_true), **scores["at the windows' depth"]},
    {
        "what": "edges moved to the image's",
        **depth_metrics(start.psi.numpy(), psi_true),
        **scores["at the snapped depth"],
    },
    {"what": "image at the true depth", **scores["at the true depth"]},
    {"what": "capture as it is", **scores["capture"]},
]
columns = ["what", "psi_mae", "depth_rmse_m", "depth_rmse_in_range_m", "psnr_db", "ssim"]
table = pd.DataFrame(rows)[columns]
table = table.rename(columns={name: name.replace("_", " ") for name in columns})
caption = (
    f"Scene {scene.name} ({width}x{height} pixels), before any iteration of a network; scale: {scale}. "
    f"Uncertainty: AUSE {certainty['ause']:.2f} (random order: {certainty['ause_random']:.2f}); psi MAE of the more "
    f"certain half {certainty['psi_mae_confident_half']:.2f} rad, of all {psi_error.mean():.2f} rad."
)
write_table(results / "tables" / "solver_start", table, caption)
table.round(3)


# ## 7.7 How fast, how good: the bench
# 
# `dpcip bench` runs the paper's recipe and `fast` on the same photographs and seeds (256x256 pixels in the middle of three
# scenes), looks at both along the way with the truth in hand, and measures their seconds apart, taking turns on a quiet machine. It
# takes hours, so this notebook reads what it found ([results/bench](../results/bench)); nothing here is computed anew. It was
# run before the start became cheaper, the generator lighter and the deconvolution doubtful of what the depth does not explain (7.8): both
# the seconds and the decibels are those of the `fast` of that time. In its picture a line is a scene and seed, the dot its end.
# 
# The paper's recipe gets every help: convolution by FFT, which leaves its numbers alone, and bfloat16, which the machine has (how good the recipe
# would be in float32 was not measured there). It is stopped at 2500 of its 5001 iterations, where it gains little more (the curves show how little). A ratio below 1 is in our favour.
# 
# The curve of `fast` begins before any network has drawn a line: its first point is the depth from the spectra, with its edges
# snapped and the image deconvolved at it. That is a result of its own (`dpcip solve --iterations 1`), and on these scenes it is
# already as good as the paper's end; the network adds what lies between the first point and the last.
# 
# The seconds are those of an AMD EPYC, whose AVX512 computes in bfloat16. On a machine that does not (laptops with Intel processors), or does so
# more slowly than in float32 (a Xeon without AMX: `fast` at 256x128 pixels took 0.46 s an iteration in bfloat16, 0.31 in float32, which is
# thus used there), the ratios will differ; the bench was not run on one. Float32 also takes more memory: one iteration of `fast` at 512x1024
# with all that comes before and after it peaked at 6.7 GiB (`dpcip solve coded.png --max-seconds 60`), where the bench found 5.5 GiB in bfloat16.

bench = json.loads(Path("../results/bench/summary.json").read_text())
cases = pd.read_csv("../results/bench/cases.csv")
ratios = {
    "`fast` as good as the paper's end, against the paper as released": bench["time_ratio_vs_released"],
    "... against the paper optimised": bench["time_ratio_vs_optimised"],
    "... against the paper optimised, up to where it was first as good as its end": bench["time_ratio_first_reach"],
    "whole solve of `fast` against the paper's, optimised": bench["time_ratio_whole_solve_vs_optimised"],
}


def shown(value):
    return "never" if value is None else f"{value:.2g}"


for what, ratio in ratios.items():
    print(f"{shown(ratio):>8}  {what}")
print("at equal time, dB more than the paper:", shown(bench["psnr_gain_equal_time_db"]))
print("at equal time, depth RMSE by the paper's:", shown(bench["depth_rmse_ratio_equal_time"]))
print("GiB at 512x1024:", shown(bench["peak_memory_gib_512x1024"]))
print("141 taps against 71, time ratio:", shown(bench["time_141_taps_over_71"]))
print(
    "512x1024 against 256x256, time ratio:", shown(bench["time_512x1024_over_256x256"]), "(pixels x log(pixels): 9.5)"
)
columns = ["scene", "seed", "paper_psnr_db", "fast_psnr_db", "paper_ssim", "fast_ssim"]
columns += ["paper_depth_rmse_in_range_m", "fast_depth_rmse_in_range_m", "fast_depth_rmse_ratio"]
cases[columns].round(3)


# ![Quality over time: the bench](../results/bench/bench.png)

summary()  # by how much each check above clears its bound


# ## 7.8 What was tried
# 
# Rough trials while this solver was built, one seed each, mostly on 256x256 pixels of the scene `table`; numbers are leads,
# not results (those are measured by `dpcip bench`). *Warm-up*: the first iterations, in which the generator is fitted to the start without
# a camera. *Guide*: a term that afterwards keeps $\psi$ near the start for a while.
# 
# | tried | what came of it | kept |
# |---|---|---|
# | local spectra, Gaussian textures, no window model | psi MAE 2.0 rad | no |
# | ... contrast free at each frequency (a Gaussian scale mixture) | 1.5 | yes |
# | ... and a share of unexplained light | 0.85 | yes |
# | ... and the window's leakage computed instead | 0.5 to 0.6, bias gone | yes |
# | windows of 16 / 24 / 32 / 48 px after smoothing | 0.42 / 0.41 / 0.45 / 0.5 | 24 |
# | 15 planes / 29 interpolated / 29 exact / 57 exact | 0.49 / 0.42 / 0.42 / 0.42 | 29 interpolated |
# | planes ruled out where the image would leave [0, 1] (scene `street`) | the start: 22.7 to 24.6 dB, depth RMSE 0.185 to 0.116 m; kept only where the excess halves, or the scene `table` gets worse (0.067 to 0.070 m) | yes |
# | ... one round of it instead of two; darkness alone | scene `street` at the start 0.116 m: 0.130; 0.147 m | two, both ends |
# | ... the excess around the region counted, too | 0.119 m; scene `garden` 0.142: 0.150 m | no |
# | ... both ends also where highlights clip (scenes exposed 1.4 times as long) | psi MAE of `garden` 0.66 to 0.69 rad, darkness alone 0.62; `street` 0.98 to 1.00, 0.86; `room` 0.90 to 0.95, 0.77 | darkness alone there |
# | trust near jumps by extent / by step / by deviation from a plane | eight settings, five scenes: by extent the best, or within 0.3 % of it, in depth RMSE on each | extent |
# | edges snapped to the image's colours | depth RMSE 0.067 to 0.055 m | yes |
# | image and depth descended together (Gauss-Newton, conjugate gradients) | data fit up to 58 dB, psi MAE from 0.45 up to 0.6 | no |
# | fusing shifted, dilated, eroded depth maps by energy | energy falls, depth gets worse: 0.34 to 0.49 | no |
# | generator fitted to the start, guided, masked camera, image deconvolved at the end | 31.1 dB, 0.049 m at 320 iterations (paper's recipe: 27.8 dB, 0.081 m at 2500) | yes |
# | ... image term towards a deconvolved image, renewed every 80 iterations | image sooner, depth worse: 0.39 instead of 0.33 rad | no |
# | ... 32 and 64 channels at the two finest levels | 3 times quicker, depth 0.39 rad at 300 instead of 0.33 | no |
# | ... 128 / 64 / 32 channels at the finest level alone (192x192 pixels, 200 iterations, frames 07: `table`; `garden`) | 31.1 / 31.2 / 31.0; 31.6 / 32.0 / 31.9 dB, depth 0.25 / 0.24 / 0.25; 0.38 / 0.31 / 0.33 rad; 38 / 31 / 28 s | 32 |
# | ... 64 / 48 channels at all levels, 250 iterations | `table` 31.1 / 31.4 dB in 27 / 22 s; but `garden` 27.1 / 29.4 dB: a region was lost | no |
# | ... guide everywhere instead of away from depth jumps (scene `room`) | depth RMSE 0.155 instead of 0.138 m | away |
# | the likelihood by eigenvectors in torch / as ten features in one compiled loop (256x256 pixels, two threads, frames 14) | 2.7 / 0.15 s, the same plane in every window of three scenes | yes |
# | all 15 planes blurred / 7 kernels (deconvolution at the true depth, 256x256 pixels, `garden`, `street`, `table`) | 27.59, 26.13, 27.49 dB in 2.5 s / 27.59, 26.13, 27.49 dB in 0.7 s | yes |
# | the capture believed / doubted where the depth does not explain it (the start refined, five scenes, frames 07, 256x256 pixels) | 26.7 / 28.2 dB on average, `garden` 22.3 / 26.6; at the true depth 29.9 / 29.6 dB | yes |
# | ... a quarter instead of half of the residual counted as noise | 28.0 dB; at the true depth 29.9 dB | half |
# | depths ruled out by images at full length / of one round, begun from the former image | psi MAE 0.61 / 0.60 rad in 3.0 / 2.3 s (five scenes, frames 07); none ruled out 0.62 | one round |
# | freed memory kept at hand (glibc would return and zero it in every step), and padding that keeps no float32 copy: seconds an iteration at 256x256 / 512x1024, two threads | 0.87 to 1.07 / 16.5 before, 0.67 / 6.5 after, the same numbers to the bit | yes |
# | the start refined at once / after 4, 10, 20, 40 iterations beyond the warm-up (96x96 crops) | `table` 29.8 / 30.1, 29.8, 28.3, 29.6 dB; `garden` 29.7 / 30.3, 30.6, 31.5, 32.1 dB; unrefined 26.4 and 28.8 | the warm-up keeps its length, `--iterations` of 60 or fewer returns the refined start |
# | where an object stands before a background at the far limit (the authors' published capture, 512x1024: a fist), the warm-up took psi to the sigmoid's end and left it there; pull by distance / by cross-entropy | the fist lost (psi -4) / kept | cross-entropy |
# | ... Adam's memory and full learning rate carried over into the capture's loss / begun anew, the rate rising over 30 iterations | the first steps undo the fit / do not | begun anew |
# | the hash grid in place of DIP, the rest of `fast` unchanged (256x256, 400 iterations, one thread) | `table` 33.1 dB, 0.038 m (DIP 32.4, 0.040); `street` 27.4, 0.094 (27.6, 0.094); `room` 28.0, 0.126 (28.6, 0.118): no clear winner, and quicker an iteration; `--generator hashgrid` | DIP, the paper's |
# | prior of the deconvolution: total variation / local colour covariance, q = 0.8 / 0.3 / 0 (true depth) | 29.5 / 29.1 / 31.7 / 31.1 dB | q = 0.3 |
# 
# ## 7.9 The photograph that the authors published
# 
# Their released sample (Headbutt, 1024x512; 86 % of its pixels lie beyond the far limit) is not in this repository. Who has it (see
# [data/README.md](../data/README.md)) gets these numbers from `dpcip solve coded.png --preset ...` and `dpcip evaluate --unit psi`; on two
# threads `fast` took 39 minutes (in bfloat16) and `paper-short` 54 (on another machine, in float32). The authors' own recipe, preset `paper`,
# would need some nine hours there for its 5001 iterations and was not run through; `paper-short` is its recipe with a tenth of them.
# 
# | | PSNR (dB) | SSIM | SSIM as released | depth RMSE (m) | in range (m) | depth as released |
# |---|---|---|---|---|---|---|
# | the paper, scene Headbutt, mean of its photographs | 31.28 | | 0.94 | | | |
# | preset `fast`, 400 iterations, seed 0, this one photograph | 31.12 | 0.907 | 0.950 | 0.070 | 0.183 | 0.0007 |
# | preset `paper-short`, 500 iterations, seed 0, this one photograph | 26.24 | 0.785 | 0.869 | 0.242 | 0.172 | 0.0066 |
# | the coded photograph as it is | 23.91 | 0.729 | 0.821 | | | |
# 
# `paper-short` takes a dark strip of the jacket for something half a metre from the lens, although it explains the capture to 46 dB: a wrong
# depth can fit as well as the right one, and the uncertainty map marks it. Within range its depth is a little better than that of `fast`.
# 
# **What to take away.** Much of what looks like optimisation trouble is a question asked too late: which depth? A
# probability that integrates over all images gives a good first answer in seconds, and leaves the network what it is best at: deciding
# between the few answers that remain.

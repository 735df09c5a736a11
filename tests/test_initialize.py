"""Depth from local spectra, its smoothing, and the deconvolution at a given depth."""

import dataclasses

import numpy as np
import pytest
import torch
from margins import assert_clears
from scipy.signal import fftconvolve

from dpcip.camera.models import MaskedDCM
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import rendered
from dpcip.evaluation.metrics import confidence_metrics, image_metrics
from dpcip.initialization import likelihood as likelihood_module
from dpcip.initialization.initialize import DepthPrior, Start, depth_prior, find_start, uncertainty
from dpcip.initialization.likelihood import (
    LEVEL_SPREAD,
    LEVELS,
    LOWEST_CYCLES,
    STRIDE_PX,
    depth_likelihood,
    half_planes,
    hann_window,
    texture_covariance,
)
from dpcip.initialization.smoothing import best_value, semi_global_cost
from dpcip.optics.psf import PsfBank
from dpcip.restoration import deconvolution
from dpcip.restoration.deconvolution import conjugate_gradients, deconvolve, gradient, gradient_adjoint
from dpcip.restoration.edges import snap_to_edges, spread, trusted

WINDOW = slice(100, 228), slice(200, 328)


@pytest.fixture(scope="session")
def scene(fine_bank: PsfBank) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sharp image, psi and capture of 128x128 pixels of the rendered table, 60 % of the depth range in it."""
    whole = next(shot for shot in rendered() if shot.name == "table_14").read()
    sharp, psi = whole.sharp[:, *WINDOW], whole.psi(fine_bank.lens)[WINDOW].clip(-4, 10)
    return sharp, psi, Sensor().expose(simulate(sharp, psi, fine_bank), 0).astype(np.float32)


@pytest.fixture(scope="session")
def start(scene: tuple[np.ndarray, np.ndarray, np.ndarray], bank: PsfBank) -> Start:
    with torch.no_grad():
        return find_start(torch.as_tensor(scene[2]), dataclasses.replace(bank, psf=bank.psf.float()))


def power_law_texture(side: int, seed: int) -> np.ndarray:
    """[3, side, side]: one random texture with spectrum |f|^-2.4 in all channels."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    noise = np.fft.rfft2(np.random.default_rng(seed).standard_normal((side, side)))
    texture = np.fft.irfft2(noise * np.maximum(frequency, 1 / side) ** -1.2, s=(side, side))
    return np.broadcast_to(0.5 + 0.15 * texture / texture.std(), (3, side, side))


@pytest.mark.parametrize("psi_true", [-4.0, -1.5, 2.0, 6.0, 10.0])
def test_likelihood_finds_the_plane_of_a_flat_texture(bank: PsfBank, fine_bank: PsfBank, psi_true: float) -> None:
    sharp = power_law_texture(160, seed=1).clip(0, 1)
    capture = Sensor().expose(simulate(sharp, np.full((160, 160), psi_true), fine_bank), 0)
    planes = half_planes(bank)
    likelihood = depth_likelihood(torch.as_tensor(capture), planes)
    found = planes.psi[likelihood.sum(dim=(1, 2)).argmax()]
    assert found == pytest.approx(psi_true, abs=0.51)


def slow_likelihood(capture: torch.Tensor, bank: PsfBank, noise: float, window_px: int) -> torch.Tensor:
    """The likelihood as likelihood.py defines it, plane by plane in float64, by eigenvectors: [P, h, w]."""
    window = hann_window(window_px)
    frequency = torch.hypot(torch.fft.fftfreq(window_px)[:, None], torch.fft.rfftfreq(window_px)).double()
    used = (frequency >= LOWEST_CYCLES / window_px) & (frequency <= 0.5)
    own_mirror = torch.zeros(used.shape, dtype=torch.bool)
    own_mirror[:, 0] = True
    if window_px % 2 == 0:
        own_mirror[:, -1] = True
    before, after = window_px // 2, window_px - window_px // 2 - 1
    wide = torch.as_tensor(np.pad(capture.double(), ((0, 0), (before, after), (before, after)), mode="reflect"))
    patches = wide.unfold(1, window_px, STRIDE_PX).unfold(2, window_px, STRIDE_PX)
    mean = (patches * window**2).sum(dim=(-2, -1), keepdim=True)
    spectra = torch.fft.rfft2((patches - mean) * window)[..., used].permute(1, 2, 3, 0)  # [h, w, F, C]
    levels = LEVELS.double()
    near = torch.softmax(-(((levels.log()[:, None] - levels.log()) / LEVEL_SPREAD) ** 2) / 2, dim=1)
    scores = []
    for psf in bank.psf.double():
        value, vector = torch.linalg.eigh(texture_covariance(psf, window, bank.latent)[used])
        energy = torch.einsum("hwfc,fci->hwfi", spectra, vector.conj()).abs().square()
        variance = levels[:, None, None] ** 2 * value + noise**2
        each = -(energy[..., None, :, :] / variance).sum(dim=-1) - variance.log().sum(dim=-1)  # [h, w, levels, F]
        mixed = torch.logsumexp(each[..., None, :, :] + near.log()[:, :, None], dim=-2)
        scores.append((mixed * (1 - own_mirror[used] / 2)).sum(dim=-1).amax(dim=-1))
    return torch.stack(scores)


@pytest.mark.parametrize(
    ("n_channels", "window_px", "size"), [(3, 24, (31, 45)), (1, 16, (30, 20)), (2, 15, (64, 50)), (4, 8, (30, 37))]
)
def test_likelihood_is_the_slow_ones(
    bank: PsfBank, monkeypatch: pytest.MonkeyPatch, n_channels: int, window_px: int, size: tuple[int, int]
) -> None:
    """Any number of channels, windows that do not fill the lanes, in strips and on threads."""
    monkeypatch.setattr(likelihood_module, "CHUNK", 150)
    psf = bank.psf[:, [0, 1, 2, 0][:n_channels]]
    some = PsfBank(psf, bank.psi, latent=(0, 1, 2, 0)[:n_channels])
    texture = np.concatenate([power_law_texture(64, seed) for seed in (1, 2)])[: some.n_latent, : size[0], : size[1]]
    capture = Sensor().expose(simulate(texture.clip(0, 1), np.full(size, 3.3), some), 0)
    reference = slow_likelihood(torch.as_tensor(capture), some, 0.002, window_px)
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found = depth_likelihood(torch.as_tensor(capture), some, 0.002, window_px)
        assert found.shape == reference.shape
        best = reference.argmax(dim=0)
        assert (found.argmax(dim=0) == best).float().mean() >= 0.999
        difference = (found - found.gather(0, best[None])) - (reference - reference.gather(0, best[None]))
        assert difference.abs().max() < 0.02  # of some thousand


def test_covariance_is_that_of_blurred_textures(bank: PsfBank) -> None:
    """Against the sample covariance of windows cut from blurred noise, the window's leakage included."""
    side, psf = 24, bank.psf[0].double()
    window = hann_window(side)
    modelled = texture_covariance(psf, window, tuple(range(len(psf))), mismatch=0).real
    rng = np.random.default_rng(0)
    spectra = []
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256))
    for _ in range(40):
        noise = np.fft.rfft2(rng.standard_normal((256, 256))) * np.maximum(frequency * side, 1) ** -1.2
        texture = np.fft.irfft2(noise, s=(256, 256))
        blurred = np.stack([fftconvolve(texture, kernel, mode="valid") for kernel in psf.numpy()])
        patches = torch.as_tensor(blurred).unfold(1, side, 40).unfold(2, side, 40).flatten(1, 2)
        spectra.append(torch.fft.rfft2(patches * window))
    sample = torch.cat(spectra, dim=1)
    measured = torch.einsum("anyx,bnyx->yxab", sample, sample.conj()).real / sample.shape[1]
    inside = slice(3, 9), slice(3, 9)  # frequencies, none of them its own mirror image
    for channel in range(3):
        ratio = (measured / modelled)[*inside, channel, channel]
        assert ratio.log().abs().median() < 0.12  # 1000 samples scatter by 3 %, correlated windows by more
    scale = torch.diagonal(modelled, dim1=-2, dim2=-1)[inside].sqrt()
    for one, other in ((0, 1), (0, 2), (1, 2)):  # as correlations; the PSFs' phases make some negative
        difference = (measured - modelled)[*inside, one, other] / (scale[..., one] * scale[..., other])
        assert difference.abs().median() < 0.1
        assert (modelled[*inside, one, other] / (scale[..., one] * scale[..., other])).std() > 0.2


def test_depth_prior_beats_a_constant_by_far_and_knows_where(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray], bank: PsfBank
) -> None:
    _, psi, capture = scene
    prior = depth_prior(torch.as_tensor(capture), bank)
    constant = np.abs(psi - np.median(psi)).mean()
    error = np.abs(prior.psi.numpy() - psi).mean()
    assert_clears("prior: depth error by a constant's", error / constant, below=0.35, spread=0.02)
    scores = confidence_metrics(prior.psi.numpy(), prior.psi_std.numpy(), psi)
    assert_clears("prior: AUSE by a random order's", scores["ause"] / scores["ause_random"], below=0.6, spread=0.03)
    half = scores["psi_mae_confident_half"] / error
    assert_clears("prior: error of the confident half by that of all", half, below=0.7, spread=0.03)


def test_depth_prior_is_unsure_where_there_is_no_texture(bank: PsfBank, fine_bank: PsfBank) -> None:
    sharp = power_law_texture(128, seed=2).clip(0, 1).copy()
    sharp[:, :, 64:] = 0.5
    capture = Sensor().expose(simulate(sharp, np.full((128, 128), 3.0), fine_bank), 0)
    std = depth_prior(torch.as_tensor(capture).float(), bank).psi_std
    times = std[:, 110:].median() / std[:, :40].median()
    assert_clears("prior: uncertainty without texture by that with it", times, above=5, spread=0.5)


@pytest.mark.parametrize("size", [(5, 90), (33, 17), (1, 40)])
def test_depth_prior_of_odd_sizes_and_channels(odd_bank: PsfBank, size: tuple[int, int]) -> None:
    prior = depth_prior(torch.rand(2, *size), odd_bank)
    assert prior.psi.shape == prior.psi_std.shape == size
    assert torch.isfinite(prior.psi).all() and torch.isfinite(prior.psi_std).all()
    assert -3 <= prior.psi.min() and prior.psi.max() <= 4


def test_half_planes_lie_between(bank: PsfBank) -> None:
    halves = half_planes(bank)
    assert halves.psi.tolist() == np.arange(-4, 10.5, 0.5).tolist()
    assert torch.allclose(halves.psf[1], (bank.psf[0] + bank.psf[1]) / 2) and torch.equal(halves.psf[2], bank.psf[1])


def test_semi_global_cost_of_a_line_is_the_shortest_path() -> None:
    """One row: the sum of both directions minus the own cost is the cheapest labelling through each pixel."""
    rng = np.random.default_rng(0)
    cost, values = rng.random((3, 1, 5)).astype(np.float32), np.array([0.0, 1.0, 3.0])
    jump = np.minimum(0.2 * np.abs(values[:, None] - values), 0.4)
    labellings = np.array(np.meshgrid(*[range(3)] * 5, indexing="ij")).reshape(5, -1).T
    totals = sum(cost[labellings[:, i], 0, i] for i in range(5)) + sum(
        jump[labellings[:, i], labellings[:, i + 1]] for i in range(4)
    )
    best = np.array([[totals[labellings[:, i] == label].min() for i in range(5)] for label in range(3)])
    smoothed = semi_global_cost(cost, values, 0.2, 0.4)[:, 0]
    # The six other directions find no neighbour rows and add nothing but the own cost, which the sum takes out again.
    relative = smoothed - smoothed.min(axis=0)
    assert np.allclose(relative, best - best.min(axis=0), atol=1e-5)


def test_semi_global_cost_mends_a_pixel_and_keeps_an_edge() -> None:
    cost = np.ones((5, 20, 20))
    cost[0, :, :10] = cost[4, :, 10:] = 0
    cost[:, 8, 4] = [1, 1, 1, 1, 0]  # an outlier
    labels = semi_global_cost(cost, np.arange(5.0), 0.5, 1.0).argmin(axis=0)
    assert (labels[:, :10] == 0).all() and (labels[:, 10:] == 4).all()


def test_best_value_of_a_parabola() -> None:
    values = np.array([0.0, 1.0, 2.0, 4.0])
    position = np.arange(4.0)[:, None, None]
    assert best_value((position - 1.3) ** 2, values)[0, 0] == pytest.approx(1.3)
    assert best_value((position - 2.2) ** 2, values)[0, 0] == pytest.approx(2.4)  # between planes two apart
    assert best_value(position * np.ones((1, 1, 1)), values)[0, 0] == 0


def test_gradient_and_its_adjoint() -> None:
    x, field = torch.rand(2, 7, 9, dtype=torch.float64), torch.rand(2, 2, 7, 9, dtype=torch.float64)
    left, right = (gradient(x) * field).sum().item(), (x * gradient_adjoint(field)).sum().item()
    assert left == pytest.approx(right)


def test_conjugate_gradients_solve_a_system() -> None:
    root = torch.randn(12, 12, dtype=torch.float64)
    matrix, expected = root @ root.T + torch.eye(12), torch.randn(12, dtype=torch.float64)
    b = matrix @ expected
    assert torch.allclose(conjugate_gradients(lambda v: matrix @ v, b, torch.zeros_like(b), 60), expected, atol=1e-8)


def test_deconvolution_at_the_true_depth(scene: tuple[np.ndarray, np.ndarray, np.ndarray], bank: PsfBank) -> None:
    sharp, psi, capture = scene
    single = dataclasses.replace(bank, psf=bank.psf.float())
    camera = MaskedDCM(single, psi.shape).at(torch.as_tensor(psi).float())
    with torch.no_grad():
        result = deconvolve(camera, torch.as_tensor(capture), torch.as_tensor(capture)).numpy()
    before, after = (image_metrics(image, sharp)["psnr_db"] for image in (capture, result))
    assert_clears("deconvolved at the true depth: gain (dB)", after - before, above=5, spread=0.2)


def test_deconvolution_doubts_a_capture_that_the_depth_does_not_explain(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray], bank: PsfBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a depth that is 2 rad off on one side, believing the capture makes an image that oscillates."""
    sharp, psi, capture = (torch.as_tensor(part).float() for part in scene)
    off = psi.clone()
    off[:, 64:] = (off[:, 64:] + 2).clamp(max=10)
    camera = MaskedDCM(dataclasses.replace(bank, psf=bank.psf.float()), (128, 128)).at(off)
    psnr_db = []
    for doubt in (deconvolution.DOUBT, 0.0):
        monkeypatch.setattr(deconvolution, "DOUBT", doubt)
        psnr_db.append(image_metrics(deconvolve(camera, capture, capture).clamp(0, 1).numpy(), scene[0])["psnr_db"])
    assert_clears("deconvolved at a wrong depth: gain of doubt (dB)", psnr_db[0] - psnr_db[1], above=0.5, spread=0.2)


def test_trust_ends_near_a_jump() -> None:
    psi = torch.zeros(30, 60)
    psi[:, 30:] = 2
    weight = trusted(psi)
    assert weight[:, :19].all() and weight[:, 41:].all() and not weight[:, 21:39].any()
    assert trusted(torch.linspace(0, 2, 60).expand(30, 60)).all()  # a slope is no jump


def test_spread_is_large_at_jumps_and_not_on_slopes() -> None:
    psi = torch.zeros(30, 60)
    psi[:, 30:] = 2
    found = spread(psi)
    assert (
        found[15, 30] == pytest.approx(0.5, abs=0.05) and (found[:, :19] < 1e-3).all() and (found[:, 41:] < 1e-3).all()
    )
    slope = 0.1 * torch.arange(60) + 0.05 * torch.arange(30)[:, None]
    assert torch.allclose(spread(psi + slope)[11:-11, 11:-11], found[11:-11, 11:-11], atol=2e-2)


def test_uncertainty_counts_the_spacing_of_planes(odd_bank: PsfBank) -> None:
    """Half planes of the odd bank: -3, -2.25, -1.5, -0.75, 0, 2, 4."""
    for value, spacing in ((-2.25, 0.75), (3.9, 2.0)):
        flat = torch.full((30, 30), value, dtype=torch.float64)
        std = uncertainty(flat, DepthPrior(flat, torch.zeros_like(flat)), odd_bank)
        assert torch.allclose(std, torch.tensor(spacing / 12**0.5, dtype=torch.float64), atol=0.02)
    unsure, elsewhere = (DepthPrior(flat, torch.full_like(flat, 5)), DepthPrior(flat - 5, torch.zeros_like(flat)))
    for prior in (unsure, elsewhere):
        assert torch.allclose(uncertainty(flat, prior, odd_bank).square() - 25, std.square())


def test_uncertainty_covers_the_errors_of_the_start(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray], start: Start, bank: PsfBank
) -> None:
    psi = scene[1]
    error = np.abs(start.psi.numpy() - psi)
    std, prior_std = uncertainty(start.psi, start.prior, bank).numpy(), start.psi_std.numpy()
    beyond, of_prior = (error > 3 * std).mean(), (error > 3 * prior_std).mean()
    assert_clears("start: share of errors beyond three deviations", beyond, below=0.02, spread=0.003)
    assert_clears("start: that share by the prior's", beyond / of_prior, below=0.6, spread=0.1)
    scores = confidence_metrics(start.psi.numpy(), std, psi)
    assert_clears("start: AUSE by a random order's", scores["ause"] / scores["ause_random"], below=0.6, spread=0.03)


def test_snapping_moves_the_depth_edge_to_the_colour_edge() -> None:
    """The depth edge lies 6 px beside the colour edge, as windows put it; on both sides colours hardly vary."""
    column = torch.arange(80)
    image = torch.where(column < 40, 0.2, 0.7).expand(3, 50, 80) + 0.005 * torch.rand(3, 50, 80)
    psi = torch.where(column < 46, 6.0, -2.0).expand(50, 80).contiguous()
    truth = torch.where(column < 40, 6.0, -2.0).expand(50, 80)
    snapped = snap_to_edges(psi, image)
    assert (snapped - truth).abs().mean() < 0.25 * (psi - truth).abs().mean()


def test_start_is_better_than_the_windows_alone(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray], start: Start, bank: PsfBank
) -> None:
    sharp, psi, capture = scene
    windows = depth_prior(torch.as_tensor(capture), bank).psi
    of_windows = np.square(start.psi.numpy() - psi).mean() / np.square(windows.numpy() - psi).mean()
    assert_clears("start: squared depth error by the windows'", of_windows, below=1, spread=0.05)
    gain_db = image_metrics(start.sharp.numpy(), sharp)["psnr_db"] - image_metrics(capture, sharp)["psnr_db"]
    assert_clears("start: sharper than the capture (dB)", gain_db, above=3, spread=0.3)

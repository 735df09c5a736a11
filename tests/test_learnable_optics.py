"""The differentiable PSF bank: equal to the synthesised one, differentiable, in bounds, and able to learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from torch import Tensor

from dpcip.camera.learnable_optics import LearnableOptics
from dpcip.camera.models import InterpolatedDCM
from dpcip.initialization.initialize import depth_prior
from dpcip.optics.lens import Lens, Optics, RingMask, focus_from_known
from dpcip.optics.psf import PsfBank, psi_planes, synthesise_psf
from dpcip.utils.errors import InputError

PLANES = psi_planes(-4, 4, 2)
FOUR_RINGS = Optics(Lens(2.0, 500.0, 0.5), RingMask((0, 0.3, 0.5, 0.8, 1), (0.5, 3, -2, 8)), (550.0, 480.0), 1.1)


def all_learnt(optics: Optics, size: int = 21, dtype: torch.dtype = torch.float64) -> LearnableOptics:
    return LearnableOptics(optics, PLANES, size, phase_reach_rad=1.0, scale_reach=0.1, psi_reach=0.7, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nominal_bank_is_the_synthesised_one(bank: PsfBank, dtype: torch.dtype) -> None:
    module = LearnableOptics(Optics(), bank.psi, bank.size, 1.0, 0.1, 1.0, dtype)
    learnt = module().detach()
    assert learnt.shape == bank.psf.shape and learnt.dtype == dtype
    assert (learnt - bank.psf).abs().max() < 1e-6 * bank.psf.max()
    assert module.optics() == Optics()


@pytest.mark.parametrize("optics", [Optics(), FOUR_RINGS, Optics(mask=RingMask((0, 1), (0,)))])
@pytest.mark.parametrize("learning", ["nothing", "all"])
def test_every_camera_and_size_in_double_precision(optics: Optics, learning: str) -> None:
    reaches = (1.0, 0.1, 0.7) if learning == "all" else (None, None, None)
    for size in (1, 3, 21):
        module = LearnableOptics(optics, PLANES, size, *reaches, dtype=torch.float64)
        for plane, kernels in zip(PLANES, module().detach().numpy(), strict=True):
            for kernel, wavelength_nm in zip(kernels, optics.wavelengths_nm, strict=True):
                expected = synthesise_psf(optics, plane, wavelength_nm, size)
                assert np.abs(kernel - expected).max() < 1e-9 * expected.max()


raw = st.floats(-2, 2)


@settings(max_examples=8, deadline=None)
@given(phases=st.lists(raw, min_size=3, max_size=3), scale=raw, psi=raw)
def test_anywhere_in_bounds_it_is_the_bank_of_its_optics(phases: list[float], scale: float, psi: float) -> None:
    module = all_learnt(FOUR_RINGS)
    with torch.no_grad():
        module.phases.raw.copy_(torch.tensor(phases))
        module.scale.raw.fill_(scale)
        module.psi_offset.raw.fill_(psi)
        learnt = module()
    offset = 0.7 * np.tanh(psi)
    optics = module.optics()
    expected = PsfBank.synthesise(optics, PLANES + offset, 21).psf
    assert (learnt - expected).abs().max() < 1e-4 * expected.max()  # of both profiles' interpolation
    assert learnt.min() >= 0 and torch.allclose(learnt.sum(dim=(2, 3)), torch.ones(1, dtype=torch.float64))
    depth_m = 0.4
    assert optics.lens.psi_from_depth(depth_m) == pytest.approx(FOUR_RINGS.lens.psi_from_depth(depth_m) + offset)


def test_stretched_profile_is_even_in_the_radius_and_never_dark_below_zero() -> None:
    module = LearnableOptics(Optics(), PLANES, 5, scale_reach=0.1, dtype=torch.float64)
    with torch.no_grad():
        module.scale.raw.fill_(0.5)  # stretched: a radius falls within the first interval
        sample = torch.arange(module.get_buffer("kernel").shape[-1], dtype=torch.float64)
        position = module.get_buffer("position") / module.scale()
        assert torch.allclose(module._stretched(sample**2), position**2)  # a cubic is exact, also next to the centre
        assert module._stretched((sample == 3).double()).min() >= 0


def test_derivatives_are_right() -> None:
    module = LearnableOptics(FOUR_RINGS, PLANES[:2], 5, 1.0, 0.1, 0.7, dtype=torch.float64)
    names = [name for name, _ in module.named_parameters()]
    assert len(names) == 3
    # At a sample of the profile (scale 1) and between samples.
    for start in (0.0, 0.3):
        values = [torch.full_like(p, start).requires_grad_() for p in module.parameters()]

        def psf(*inputs: Tensor) -> Tensor:
            return torch.func.functional_call(module, dict(zip(names, inputs, strict=True)), ())

        assert torch.autograd.gradcheck(psf, values, atol=1e-6, fast_mode=True)


@pytest.mark.slow
def test_no_step_leaves_the_bounds() -> None:
    module = all_learnt(Optics(), dtype=torch.float32)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e9)
    target = torch.rand_like(module())
    for _ in range(3):
        optimizer.zero_grad()
        (module() - target).square().sum().backward()
        optimizer.step()
        optics = module.optics()
        change = np.subtract(optics.mask.phases_rad, Optics().mask.phases_rad)
        assert change[0] == 0 and np.abs(change).max() <= 1 + 1e-6
        assert abs(optics.airy_px / Optics().airy_px - 1) <= 0.1 + 1e-6
        assert abs(Optics().lens.psi_from_depth(1.0) - optics.lens.psi_from_depth(1.0)) <= 0.7 + 1e-6
        assert torch.isfinite(module()).all()


def test_what_is_not_to_be_learnt_is_no_parameter() -> None:
    assert not list(LearnableOptics(Optics(), PLANES, 5).parameters())
    (only,) = LearnableOptics(Optics(), PLANES, 5, scale_reach=0.05).parameters()
    assert only.shape == (1,)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"phase_reach_rad": 0.0}, "phase"),
        ({"scale_reach": 0.5}, "below 0.5"),
        ({"psi_reach": float("nan")}, "psi"),
        ({"size": 4}, "odd"),
    ],
)
def test_impossible_reaches_are_refused(arguments: dict, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        LearnableOptics(**{"optics": Optics(), "psi": PLANES, "size": 5, **arguments})


# ---- learning ----


def scene(size: int = 64) -> tuple[Tensor, Tensor]:
    """A textured image [3, size, size] and psi [size, size] over most of PLANES."""
    rng = np.random.default_rng(5)
    layers = [np.kron(rng.random((3, size // n, size // n)), np.ones((1, n, n))) for n in (1, 2, 4, 8)]
    psi = np.linspace(-3, 3, size)[None] + 0.5 * np.sin(np.linspace(0, 9, size))[:, None]
    return torch.tensor(sum(layers) / 4, dtype=torch.float32), torch.tensor(psi, dtype=torch.float32)


def photographed(psf: Tensor, image: Tensor, psi: Tensor) -> Tensor:
    camera = InterpolatedDCM(PsfBank(psf.detach(), PLANES), (psi.shape[0], psi.shape[1]))
    camera.blur.kernel = torch.fft.rfft2(psf, s=camera.blur.fft_size)
    return camera(image, psi)


def learnt(module: LearnableOptics, capture: Tensor, image: Tensor, psi: Tensor) -> list[float]:
    """Descends on the optics alone, at most 20 steps; the losses on the way."""
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=20, line_search_fn="strong_wolfe")
    losses = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = 1e5 * (photographed(module(), image, psi) - capture).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    return losses


@pytest.mark.slow
def test_phases_and_aperture_are_found_when_the_scene_is_known() -> None:
    """Phases off by 0.3 and -0.2 rad, aperture scale by 3 %: found again."""
    true = Optics(mask=RingMask(phases_rad=(0, 6.3, 12.1)), airy_px=1.9044 * 1.03)
    image, psi = scene()
    capture = photographed(PsfBank.synthesise(true, PLANES, 31).psf, image, psi)
    module = LearnableOptics(Optics(), PLANES, 31, phase_reach_rad=1.0, scale_reach=0.1)
    losses = learnt(module, capture, image, psi)
    assert losses[-1] < 1e-3 * losses[0]
    assert module.optics().mask.phases_rad == pytest.approx(true.mask.phases_rad, abs=0.03)
    assert module.optics().airy_px == pytest.approx(true.airy_px, rel=0.003)


@pytest.mark.slow
def test_defocus_offset_is_found_when_psi_is_known() -> None:
    image, psi = scene()
    true = LearnableOptics(Optics(), PLANES + 0.2, 31)
    module = LearnableOptics(Optics(), PLANES, 31, psi_reach=1.0)
    learnt(module, photographed(true(), image, psi), image, psi)
    assert module.psi_offset().item() == pytest.approx(0.2, abs=0.01)
    assert module.optics().lens.focus_m == pytest.approx(Lens().refocused(0.2).focus_m, rel=1e-3)


def test_focus_error_leaves_no_trace_in_a_capture() -> None:
    """PSFs depend on psi alone: a lens focused elsewhere has the same bank, so the same psi explains the capture."""
    right, wrong = Optics(), Optics(lens=Lens(focus_m=0.9 * 1.02))
    assert torch.equal(PsfBank.synthesise(right, PLANES, 31).psf, PsfBank.synthesise(wrong, PLANES, 31).psf)
    psi = np.linspace(-4, 10, 50)
    shift = 1 / wrong.lens.depth_from_psi(psi) - 1 / right.lens.depth_from_psi(psi)
    assert np.ptp(shift) < 1e-12 and abs(shift[0]) > 0.02  # dioptres, one constant


def test_defocus_offset_is_free_where_psi_is() -> None:
    """An offset and the opposite shift of psi cancel, except at pixels that the shift takes beyond the range."""
    planes = psi_planes(-4, 4, 0.5)
    module = LearnableOptics(Optics(), planes, 31, psi_reach=1.0)
    assert module.psi_offset is not None
    image, _ = scene()
    psi = torch.tensor(np.random.default_rng(0).choice(planes[2:-2], (64, 64)).astype(np.float32))

    def capture(offset: float, psi: Tensor) -> Tensor:
        with torch.no_grad():
            module.psi_offset.raw.fill_(np.arctanh(offset))
            return InterpolatedDCM(PsfBank(module(), planes), (64, 64))(image, psi)

    assert (capture(0.5, psi - 0.5) - capture(0.0, psi)).abs().max() < 1e-5
    assert (capture(0.5, psi) - capture(0.0, psi)).abs().max() > 0.01
    low = torch.full_like(psi, -4.0)
    assert (capture(0.5, low - 0.5) - capture(0.0, low)).abs().max() > 0.01


def test_focus_from_one_known_distance() -> None:
    right, wrong = Lens(), Lens(focus_m=0.9 * 1.02)
    assert focus_from_known(right.psi_from_depth(np.array([0.6])), np.array([0.6]), wrong).focus_m == pytest.approx(0.9)
    depth_m = np.array([0.5, 0.8, 1.4])
    assert focus_from_known(right.psi_from_depth(depth_m), depth_m, wrong).focus_m == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("psi", "depth_m", "complaint"),
    [([], [], "both"), ([1.0], [0.5, 0.6], "both"), ([1.0], [0.0], "positive"), ([40.0], [1.0], "beyond infinity")],
)
def test_points_that_tell_no_focus(psi: list[float], depth_m: list[float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        focus_from_known(np.array(psi), np.array(depth_m), Lens())


def test_focus_error_is_found_from_a_capture_and_known_distances(bank: PsfBank) -> None:
    """2 % off: psi found from the capture's spectra, and how far two surfaces truly are, put it right."""
    image = torch.tensor(data.astronaut()[200:296, 150:278].transpose(2, 0, 1) / 255, dtype=torch.float32)
    known_m = np.array([0.62, 1.05])
    psi = torch.tensor(Lens().psi_from_depth(known_m), dtype=torch.float32).repeat_interleave(64).repeat(96, 1)
    capture = (255 * InterpolatedDCM(bank, (96, 128))(image, psi)).round() / 255
    wrong = Lens(focus_m=0.9 * 1.02)
    found = depth_prior(capture, PsfBank(bank.psf, bank.psi, wrong)).psi.numpy()[16:-16]
    psi_found = np.array([np.median(found[:, 8:48]), np.median(found[:, 80:120])])
    assert focus_from_known(psi_found, known_m, wrong).focus_m == pytest.approx(0.9, rel=0.005)

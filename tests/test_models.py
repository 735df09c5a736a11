"""Both camera models: against each other, against their adjoints, against the published capture."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dpcip.camera.models import Blur, InterpolatedDCM, MaskedDCM, combined_kernels, plane_weights
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import nearest_plane, simulate
from dpcip.data.datasets import rendered
from dpcip.data.depth_maps import read_depth
from dpcip.data.images import read_image
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError

SIZES = [(16, 16), (17, 23), (20, 33), (31, 18)]


def psnr_db(x: np.ndarray, y: np.ndarray) -> float:
    return -10 * np.log10(np.mean((x.astype(float) - y) ** 2))


def random_scene(size: tuple[int, int], bank: PsfBank) -> tuple[torch.Tensor, torch.Tensor]:
    low, high = bank.psi_range
    sharp = torch.rand(bank.n_channels, *size, dtype=torch.float64)
    return sharp, low + (high - low) * torch.rand(*size, dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES)
def test_fft_and_direct_convolution_agree(odd_bank: PsfBank, size: tuple[int, int]) -> None:
    sharp, psi = random_scene(size, odd_bank)
    fft, direct = (InterpolatedDCM(odd_bank, size, c)(sharp, psi) for c in ("fft", "direct"))
    assert (fft - direct).abs().max() < 1e-9


def test_fft_and_direct_agree_for_the_published_bank(bank: PsfBank) -> None:
    double = PsfBank(bank.psf.double(), bank.psi)
    sharp, psi = random_scene((50, 41), double)  # smaller than the kernel
    fft, direct = (InterpolatedDCM(double, (50, 41), c)(sharp, psi) for c in ("fft", "direct"))
    assert (fft - direct).abs().max() < 1e-9


@pytest.mark.parametrize("kind", ["fft", "direct", "masked"])
@pytest.mark.parametrize("plane", [0, 2])
def test_delta_in_psf_out(odd_bank: PsfBank, kind: str, plane: int) -> None:
    """The kernel comes out as it is: neither mirrored (it is asymmetric) nor shifted."""
    delta = torch.zeros(2, 15, 18, dtype=torch.float64)
    delta[:, 7, 9] = 1
    psi = torch.full((15, 18), float(odd_bank.psi[plane]), dtype=torch.float64)
    image = camera_of(kind, odd_bank, (15, 18))(delta, psi)
    assert torch.allclose(image[:, 4:11, 6:13], odd_bank.psf[plane], atol=1e-12)
    assert image.sum().item() == pytest.approx(2)


def test_delta_in_psf_out_of_the_simulator(odd_bank: PsfBank) -> None:
    delta = np.zeros((2, 15, 18))
    delta[:, 7, 9] = 1
    image = simulate(delta, np.full((15, 18), 0.0), odd_bank)
    assert np.allclose(image[:, 4:11, 6:13], odd_bank.psf[2], atol=1e-12)


def camera_of(kind: str, bank: PsfBank, size: tuple[int, int]) -> torch.nn.Module:
    return MaskedDCM(bank, size) if kind == "masked" else InterpolatedDCM(bank, size, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["fft", "direct", "masked"])
def test_gradients_in_image_and_psi(odd_bank: PsfBank, kind: str) -> None:
    sharp, psi = random_scene((8, 9), odd_bank)
    camera = camera_of(kind, odd_bank, (8, 9))
    assert torch.autograd.gradcheck(camera, (sharp.requires_grad_(), psi.requires_grad_()))


@pytest.mark.parametrize("kind", ["fft", "masked"])
@pytest.mark.parametrize("size", SIZES)
def test_linear_in_the_image_and_vjp_is_the_adjoint(odd_bank: PsfBank, size: tuple[int, int], kind: str) -> None:
    camera = camera_of(kind, odd_bank, size)
    (x, psi), (y, _) = random_scene(size, odd_bank), random_scene(size, odd_bank)
    assert torch.allclose(camera(2 * x - 3 * y, psi), 2 * camera(x, psi) - 3 * camera(y, psi))
    result, vjp = torch.func.vjp(lambda image: camera(image, psi), x)
    assert (result * y).sum().item() == pytest.approx((x * vjp(y)[0]).sum().item(), rel=1e-12)


@pytest.mark.parametrize("latent", [(), (0, 0)])
@pytest.mark.parametrize("size", SIZES)
def test_adjoint_of_the_layered_camera_is_autograds(
    odd_bank: PsfBank, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], latent: tuple[int, ...]
) -> None:
    bank = PsfBank(odd_bank.psf, odd_bank.psi, latent=latent)
    psi, y = random_scene(size, odd_bank)[1], random_scene(size, odd_bank)[0]
    camera = MaskedDCM(bank, size).at(psi)
    x = random_scene(size, odd_bank)[0][: bank.n_latent]
    monkeypatch.setattr(Blur, "summed", Blur._summed)  # whose backward pass is not the adjoint under test
    assert torch.allclose(camera.adjoint(y), torch.func.vjp(camera, x)[1](y)[0], rtol=0, atol=1e-12)


def test_layered_camera_of_one_tap_is_the_identity() -> None:
    bank = PsfBank(torch.ones(3, 2, 1, 1, dtype=torch.float64), np.array([0.0, 1.0, 2.0]))
    x, psi = torch.rand(2, 5, 6, dtype=torch.float64), 2 * torch.rand(5, 6, dtype=torch.float64)
    camera = MaskedDCM(bank, (5, 6)).at(psi)
    assert len(camera.weights) == 1
    assert torch.allclose(camera(x), x) and torch.allclose(camera.adjoint(x), x)


@pytest.mark.parametrize(("error", "n_kernels"), [(1e-2, 6), (3e-3, 7), (1e-3, 8)])
def test_the_published_bank_needs_few_kernels(bank: PsfBank, error: float, n_kernels: int) -> None:
    assert len(combined_kernels(bank, error)[1]) == n_kernels


@pytest.mark.parametrize("error", [0.2, 0.03, 3e-3, 1e-3, 0])
@pytest.mark.parametrize("latent", [(0, 1, 2), (0, 1, 0), (0, 0, 0)])
def test_few_kernels_make_every_plane_up_to_the_error(bank: PsfBank, error: float, latent: tuple[int, ...]) -> None:
    some = PsfBank(bank.psf.double(), bank.psi, latent=latent)
    shares, kernels = combined_kernels(some, error)
    made = torch.einsum("kcr,rcyx->kcyx", shares.expand(-1, some.n_latent, -1)[:, list(latent)], kernels)
    off = torch.stack([(made - some.psf)[:, np.equal(latent, one)].flatten(1).norm(dim=1) for one in set(latent)])
    norm = torch.stack([some.psf[:, np.equal(latent, one)].flatten(1).norm(dim=1) for one in set(latent)])
    assert (off <= error * norm + 1e-12).all()
    assert shares.shape[-1] == len(kernels) and (len(kernels) == 15 if error == 0 else len(kernels) < 15)
    x, psi = torch.rand(some.n_latent, 30, 40).double(), 14 * torch.rand(30, 40).double() - 4
    few, all_planes = MaskedDCM(some, (30, 40), error)(x, psi), MaskedDCM(some, (30, 40), 0)(x, psi)
    assert (few - all_planes).abs().max() <= 2 * error


@pytest.mark.parametrize("size", SIZES)
def test_masked_dcm_is_the_simulator_where_layers_are_on_its_planes(odd_bank: PsfBank, size: tuple[int, int]) -> None:
    sharp, psi = random_scene(size, odd_bank)
    on_planes = torch.as_tensor(odd_bank.psi)[nearest_plane(psi.numpy(), odd_bank.psi)]
    modelled = MaskedDCM(odd_bank, size)(sharp, on_planes).clamp(0, 1)
    assert np.abs(simulate(sharp.numpy(), on_planes.numpy(), odd_bank) - modelled.numpy()).max() < 1e-9


def test_masked_dcm_reaches_70_db_at_1_psi_layers_in_single_precision(bank: PsfBank) -> None:
    """Depth edges included, on a rendered scene: what the paper's DCM gets wrong."""
    scene = rendered()[0].read()
    sharp, psi = scene.sharp[:, :128, 200:328], np.round(scene.psi(bank.lens)[:128, 200:328]).clip(-4, 10)
    single = PsfBank(bank.psf.float(), bank.psi)
    truth = simulate(sharp, psi, bank)
    arguments = torch.as_tensor(sharp).float(), torch.as_tensor(psi).float()
    masked = MaskedDCM(single, (128, 128))(*arguments).clamp(0, 1)
    interpolated = InterpolatedDCM(single, (128, 128))(*arguments).clamp(0, 1)
    assert psnr_db(masked.numpy(), truth) > 70
    assert psnr_db(interpolated.numpy(), truth) < 50


def test_masked_dcm_stays_finite_where_no_light_arrives() -> None:
    """A ring-shaped kernel leaves the middle of a small spot without any light of its layer."""
    ring = torch.zeros(11, 11)
    ring[0], ring[-1], ring[:, 0], ring[:, -1] = 1, 1, 1, 1
    bank = PsfBank((ring / ring.sum()).expand(2, 1, 11, 11).contiguous(), np.array([0.0, 1.0]))
    psi = torch.zeros(31, 31)
    psi[13:18, 13:18] = 1
    capture = MaskedDCM(bank, (31, 31))(torch.rand(1, 31, 31), psi)
    assert torch.isfinite(capture).all() and capture.abs().max() < 2


def test_weights_are_the_papers_hats() -> None:
    planes = torch.arange(-4.0, 11.0, dtype=torch.float64)
    psi = -4 + 14 * torch.rand(12, 13, dtype=torch.float64)
    hats = torch.relu(1 - (psi - planes[:, None, None]).abs())
    assert torch.allclose(plane_weights(psi, planes), hats)


def test_gradient_at_a_plane_is_one_sides_slope(odd_bank: PsfBank) -> None:
    """And not the sum of both sides', which would throw psi off every plane."""
    planes = torch.tensor([0.0, 1.0, 2.0])
    values = torch.tensor([0.0, 1.0, 3.0])  # slopes 1 and 2
    psi = torch.tensor([[0.0, 0.5, 1.0, 1.5]], requires_grad=True)
    (plane_weights(psi, planes) * values[:, None, None]).sum().backward()
    assert psi.grad is not None and psi.grad.tolist() == [[1, 1, 2, 2]]


def test_weights_interpolate_uneven_planes_and_sum_to_one() -> None:
    planes = torch.tensor([-3.0, -1.5, 0.0, 4.0])
    psi = torch.tensor([[-5.0, -3.0, -2.25, 1.0, 4.0, 9.0]])
    weights = plane_weights(psi, planes)
    assert torch.allclose(weights.sum(dim=0), torch.ones(1, 6))
    assert torch.allclose((weights * planes[:, None, None]).sum(dim=0), psi.clamp(-3, 4))


def test_constant_image_stays_constant_in_both_models(bank: PsfBank) -> None:
    psi = np.linspace(-4, 10, 40 * 37).reshape(40, 37)
    grey = np.full((3, 40, 37), 0.37)
    assert np.allclose(simulate(grey, psi, bank), grey, atol=1e-6)
    for kind in ("fft", "masked"):
        modelled = camera_of(kind, bank, (40, 37))(torch.tensor(grey).float(), torch.tensor(psi).float())
        assert np.allclose(modelled, grey, atol=1e-5)


def test_models_agree_where_depth_is_constant(bank: PsfBank) -> None:
    sharp = np.random.default_rng(0).random((3, 30, 44))
    psi = np.full((30, 44), 3.0)
    modelled = InterpolatedDCM(bank, (30, 44))(torch.tensor(sharp).float(), torch.tensor(psi).float())
    assert np.allclose(simulate(sharp, psi, bank), modelled, atol=1e-5)


def test_simulator_does_not_bleed_over_an_occlusion_edge(bank: PsfBank) -> None:
    """A near white half beside a far black half: each side's light is spread with its own PSF, then normalised."""
    psi = np.where(np.arange(64) < 32, 10.0, -4.0) * np.ones((40, 1))
    sharp = np.broadcast_to((np.arange(64) < 32).astype(float), (3, 40, 64))
    capture = simulate(sharp, psi, bank)
    white, black = (Blur(bank.psf[[k]].double(), (40, 64)) for k in (14, 0))
    mask = torch.tensor(np.ascontiguousarray(sharp))
    expected = white(mask)[0] / (white(mask)[0] + black(1 - mask)[0])
    assert np.allclose(capture, expected, atol=1e-6)


def test_simulator_clips_to_the_banks_range(odd_bank: PsfBank) -> None:
    sharp = np.random.default_rng(0).random((2, 12, 13))
    far, farther = (simulate(sharp, np.full((12, 13), psi), odd_bank) for psi in (-3.0, -9.0))
    assert np.array_equal(far, farther)


def test_nearest_plane() -> None:
    planes = np.array([-3.0, -1.5, 0.0, 4.0])
    assert nearest_plane(np.array([-9, -2.3, -2.2, 1.9, 2.1, 7]), planes).tolist() == [0, 0, 1, 2, 3, 3]


def test_simulator_refuses_images_that_do_not_match(odd_bank: PsfBank) -> None:
    with pytest.raises(InputError, match="channels"):
        simulate(np.zeros((3, 9, 9)), np.zeros((9, 9)), odd_bank)
    with pytest.raises(InputError, match="same"):
        simulate(np.zeros((2, 9, 9)), np.zeros((9, 8)), odd_bank)


def test_simulator_reproduces_the_published_capture(published_sample: Path, fine_bank: PsfBank) -> None:
    sharp, psi = read_image(published_sample / "sharp.png"), read_depth(published_sample / "psi.dpt", "psi")
    capture = Sensor().expose(simulate(sharp, psi, fine_bank))
    assert psnr_db(capture, read_image(published_sample / "coded.png")) >= 63

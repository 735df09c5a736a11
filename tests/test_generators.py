"""What every generator keeps to, and the DIP's exact size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dpcip.generators.coordinate_network import GaussianLayer, SineLayer
from dpcip.generators.hash_grid import HashGrid
from dpcip.generators.registry import GENERATORS, make_generator
from dpcip.generators.skip_network import ReflectPad
from dpcip.solver.settings import PRESETS, with_generator
from dpcip.utils.errors import InputError

N_PARAMETERS = {"dip": 2_293_908, "pip": 344_212, "siren": 199_172}  # the first two as in the released codes


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", [(64, 64), (66, 97), (91, 128)])
def test_output_shapes_and_ranges(name: str, size: tuple[int, int]) -> None:
    sharp, psi = make_generator(name, size, (-4.0, 10.0))()
    assert sharp.shape == (3, *size) and psi.shape == size
    assert sharp.dtype == psi.dtype == torch.float32
    assert 0 <= sharp.min() and sharp.max() <= 1
    assert -4 <= psi.min() and psi.max() <= 10


@pytest.mark.parametrize("name", GENERATORS)
def test_seed_decides_every_weight_and_nothing_else(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (make_generator(name, (64, 64), (-4.0, 10.0), seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    constant = {"weight": {1.0}, "bias": {0.0}}  # batch norm starts at one and zero whatever the seed
    for (key, a), b, c in zip(
        first.state_dict().items(), again.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), key
        drawn = a.ndim > 1 or set(a.flatten().tolist()) not in (*constant.values(), {0})
        assert not drawn or not torch.equal(a, c), key


@pytest.mark.parametrize("name", GENERATORS)
def test_gradient_reaches_every_parameter(name: str) -> None:
    generator = make_generator(name, (64, 80), (-4.0, 10.0))
    sharp, psi = generator()
    (sharp.square().mean() + psi.square().mean()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in generator.parameters())


@pytest.mark.parametrize(("name", "n_parameters"), N_PARAMETERS.items())
def test_parameter_count(name: str, n_parameters: int) -> None:
    assert sum(p.numel() for p in make_generator(name, (64, 64), (-4.0, 10.0)).parameters()) == n_parameters


def test_finest_channels_narrow_the_finest_level_alone() -> None:
    def finest(n: int) -> int:  # two convolutions with their batch norms, and the head
        return (144 * 9 * n + 3 * n) + (n * n + 3 * n) + 4 * (n + 1)

    narrow = make_generator("dip", (64, 64), (-4.0, 10.0), finest_channels=32)
    assert sum(p.numel() for p in narrow.parameters()) == N_PARAMETERS["dip"] - finest(128) + finest(32)
    with pytest.raises(InputError, match="finest_channels is 0"):
        replace(PRESETS["fast"], finest_channels=0)


def test_flat_is_dips_image_at_one_psi() -> None:
    dip, flat = (make_generator(name, (64, 70), (-4.0, 10.0))() for name in ("dip", "flat"))
    assert torch.equal(flat[0], dip[0]) and len(flat[1].unique()) == 1
    assert flat[1][0, 0].item() == pytest.approx(dip[1].mean().item())


def test_dip_input_is_the_papers() -> None:
    code = make_generator("dip", (64, 70), (-4.0, 10.0)).code
    assert code.shape == (1, 32, 64, 70)
    assert 0 <= code.min() and 0.09 < code.max() <= 0.1


def test_number_of_image_channels_is_free() -> None:
    sharp, _ = make_generator("dip", (64, 64), (0.0, 1.0), n_image_channels=1)()
    assert sharp.shape == (1, 64, 64)


def test_unknown_generator_is_refused() -> None:
    with pytest.raises(InputError, match="choose from"):
        make_generator("gan", (64, 64), (-4.0, 10.0))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_reflection_padding_and_its_gradient(memory_format: torch.memory_format) -> None:
    x = torch.rand(1, 2, 5, 4, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ReflectPad.apply(x, 2), x)
    assert torch.equal(ReflectPad.apply(x, 1), F.pad(x, (1,) * 4, mode="reflect"))


def test_reflection_padding_is_autocasts_to_the_bit() -> None:
    weight = torch.rand(3, 8, 3, 3)
    results = []
    for pad in (lambda x: F.pad(x, (1,) * 4, mode="reflect"), lambda x: ReflectPad.apply(x, 1)):
        x = torch.rand(1, 8, 9, 7, generator=torch.Generator().manual_seed(0)).bfloat16().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = F.conv2d(pad(x), weight)
        y.float().square().sum().backward()
        results.append((y, x.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_pip_input_is_its_released_codes() -> None:
    code = make_generator("pip", (64, 70), (-4.0, 10.0)).code
    assert code.shape == (1, 32, 64, 70)
    last = 256.0  # the highest frequency at the last row and column, coordinate 1
    for channel, expected in (
        (14, np.cos(last)),
        (15, np.cos(last)),
        (30, np.sin(last)),
        (31, np.sin(last)),
        (0, np.cos(1)),
    ):
        assert code[0, channel, -1, -1] == pytest.approx(expected, abs=1e-4)
    assert torch.equal(code[0, :16, 0, 0], torch.ones(16)) and torch.equal(code[0, 16:, 0, 0], torch.zeros(16))


@pytest.mark.parametrize("name", ["siren", "gaussian"])
def test_coordinate_networks_ignore_autocast(name: str) -> None:
    """Rounded to bfloat16, the argument of a sine of frequency 30 is worthless."""
    generator = make_generator(name, (64, 64), (-4.0, 10.0))
    plain = generator()
    with torch.autocast("cpu", torch.bfloat16):
        assert all(torch.equal(a, b) for a, b in zip(generator(), plain, strict=True))


def test_hash_grid_is_bilinear_between_its_nodes() -> None:
    grid = HashGrid(n_levels=2, n_features=1, n_rows=100, coarsest=4, finest=16)  # the second level is hashed
    corner, halfway = torch.zeros(1, 2, 1, 1), torch.full((1, 2, 1, 1), 0.125)
    assert grid(corner)[0, 0] == grid.table[0, 0]
    nodes = [0, 1, 5, 6]  # of 5x5
    assert grid(halfway)[0, 0].item() == pytest.approx(grid.table[0, nodes].mean().item(), rel=1e-5)
    assert torch.isfinite(grid(torch.ones(1, 2, 1, 1))).all()  # the last node belongs to the grid
    assert grid.n_cells == [4, 16] and HashGrid().n_cells[::11] == [8, 256]
    nodes = [0, 5 * 2654435761 % 100, 3, (7 ^ (9 * 2654435761)) % 100]  # Mueller et al., eq. 4
    rows = [grid._index(torch.tensor(r), torch.tensor(c), 16, 100).item() for r, c in ((0, 0), (0, 5), (3, 0), (7, 9))]
    assert rows == nodes


def test_coordinate_networks_are_their_authors() -> None:
    """SIREN: frequency 30, weights in +-1/n at first, then +-sqrt(6/n)/30, so that each layer spreads alike."""
    siren = make_generator("siren", (64, 64), (-4.0, 10.0))
    layers = [*(layer.linear for layer in siren.network), siren.head]
    for layer, bound in zip(layers, [1 / 2, *[np.sqrt(6 / 256) / 30] * 4], strict=True):
        assert 0.95 * bound < layer.weight.abs().max() <= bound
    ones = torch.ones(1, 1, 1, 1)
    assert SineLayer(1, 1).activate(ones / 7).item() == pytest.approx(np.sin(30 / 7), abs=1e-5)
    assert GaussianLayer(1, 1).activate(ones / 10).item() == pytest.approx(np.exp(-0.5), abs=1e-5)


def test_gaussian_layer_makes_no_denormal_numbers() -> None:
    """Numbers below 1.2e-38 cost a CPU many times the time of others: neither activation nor gradient has them."""
    arguments = torch.linspace(-5, 5, 2001).requires_grad_()
    bell = GaussianLayer(1, 1).activate(arguments)
    bell.sum().backward()
    for values in (bell.detach(), arguments.grad):
        assert values is not None
        sizes = values.abs()
        assert not ((sizes > 0) & (sizes < torch.finfo(torch.float32).tiny)).any()
    true = np.exp(-50 * arguments.detach().double().numpy() ** 2)
    assert np.abs(bell.detach().numpy() - true).max() < 1e-6


def test_each_generator_has_its_authors_learning_rate() -> None:
    rates = {name: with_generator(PRESETS["paper"], name).learning_rate for name in GENERATORS}
    assert rates["dip"] == rates["pip"] == PRESETS["paper"].learning_rate and rates["siren"] == 1e-4
    assert rates["gaussian"] == 1e-3 and rates["hashgrid"] == 1e-2
    with pytest.raises(InputError, match="choose from"):
        with_generator(PRESETS["paper"], "gan")

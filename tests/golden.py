"""Golden numbers: small solves, deblurrings and trainings, with what came of them when ALGORITHM was last raised.

They keep the declared versions honest, under which dear results are kept (dpcip/utils/keys.py).

    python tests/golden.py                     writes them anew, only where ALGORITHM was raised since (`make golden`)
    python tests/golden.py new NAME...         the first numbers of new cases
    python tests/golden.py constants [NAME...] makes constants a tenth larger (whole numbers by one), one at a time, and
                                               says which of them the golden numbers see; exits with 1 if one is neither
                                               seen nor in UNSEEN

Such a constant is a number, or a tuple or tensor of numbers, in capitals at the top of a module that solves, trainings
or SelfDeblur use. Left out are settings of presets and recipes (they are part of a kept result's key), attributes of
classes, tables of layers, and numbers within functions: the cases run through those, but nothing counts them.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import torch

from dpcip.baselines import selfdeblur, training, training_data
from dpcip.baselines.rival import Sample
from dpcip.camera import models as camera
from dpcip.camera.models import MaskedDCM
from dpcip.data.photographs import photograph_scene
from dpcip.data.scenes import Scene
from dpcip.generators.registry import GENERATORS
from dpcip.initialization.initialize import Start
from dpcip.learnt import making as learnt_making
from dpcip.learnt import training as learnt_training
from dpcip.learnt.depth import weights_for
from dpcip.learnt.pictures import KINDS, Pictures
from dpcip.learnt.samples import Photographer
from dpcip.optics.dual_pixel import dual_pixel_bank
from dpcip.optics.psf import PsfBank, psi_planes
from dpcip.paper.digest import PACKAGE, modules_used
from dpcip.restoration.deconvolution import gradient
from dpcip.solver import stepper as solver
from dpcip.solver.settings import PRESETS, Settings, with_generator
from dpcip.utils.files import write_json

HERE = Path(__file__).resolve().parent / "golden_numbers"
BLOCKS = 4  # maps are kept as means over 4 x 4 blocks
Numbers = dict[str, list[float]]

# Each preset with its stages cut short. In float64: of float32, DIP's solves on another processor or number of threads
# are whole decibels apart after ten steps (batch norm and Adam's first steps magnify rounding).
SHORT = {
    "paper": replace(PRESETS["paper"], iterations=8, l2_iterations=4, halve_rate_at=6),
    "fast": replace(
        PRESETS["fast"],
        iterations=10,
        warmup_iterations=3,
        guide_iterations=4,
        cooldown_iterations=3,
        convergence_window=None,
        precision="float32",
    ),
}


@cache
def published() -> PsfBank:
    """The published camera's bank."""
    return PsfBank.synthesise()


def capture(camera: str) -> np.ndarray:
    """A photograph of two depths, [C, 64, 64] in [0, 1]: stored, so that the simulator may change."""
    with np.load(HERE / "captures.npz", allow_pickle=False) as archive:
        return archive[camera] / 255


def start_of(camera: str) -> Start:
    """Where solves of a capture begin: stored, since the likelihood is computed in float32, whose rounding the steps
    would magnify. The cases named start see what it comes to now."""
    with np.load(HERE / "starts.npz", allow_pickle=False) as archive:
        parts = {field.name: archive[f"{camera}_{field.name}"] for field in fields(Start)}
    return Start(**{name: torch.from_numpy(part).double() for name, part in parts.items()})


def in_blocks(values: torch.Tensor) -> list[float]:
    """Means over blocks of [..., 64, 64], leading axes averaged, too."""
    rows = values.reshape(-1, BLOCKS, 64 // BLOCKS, BLOCKS, 64 // BLOCKS)
    return rows.mean(dim=(0, 2, 4)).flatten().tolist()


def of_solve(settings: Settings, camera: str = "published") -> Numbers:
    """What a solve came to."""
    bank = published() if camera == "published" else dual_pixel_bank()
    work = solver.Stepper(torch.from_numpy(capture(camera)), bank, settings, torch.device("cpu"))
    if settings.warmup_iterations and settings.iterations > 1:
        work.start = start_of(camera)
    while not work.done:
        work.step()
    found = work.finished()
    optics = work.in_use.optics and work.in_use.optics.optics()
    return {
        "fit (dB)": [fit for fit in work.fits_db if math.isfinite(fit)],
        "image": [*in_blocks(found.sharp), gradient(found.sharp).abs().mean().item()],
        "psi (rad)": in_blocks(found.psi),
        "psi_std (rad)": in_blocks(work.psi_std(found.psi)),
        "optics": [*optics.mask.phases_rad, optics.airy_px] if optics else [],
    }


def of_stop(settings: Settings, jolts: Mapping[int, float]) -> Numbers:
    """How a solve of 16 x 16 pixels ended that is jolted: at these calls of `step` the output's bias is so much too
    large. A jolt comes on every processor; a spike of its own comes by chance."""
    crop = torch.from_numpy(capture("published")[:, 24:40, 24:40].copy())
    work = solver.Stepper(crop, published(), settings, torch.device("cpu"))
    calls = given_up = 0
    while not (work.done or given_up):
        with torch.no_grad():
            work.generator.head.bias += jolts.get(calls, 0)
        calls += 1
        try:
            work.step()
        except solver.Diverged:
            given_up = 1
    converged_at = -1 if work.converged_at is None else work.converged_at
    return {
        "counts": [calls, given_up, work.iteration, work.n_rollbacks, converged_at, work.best.iteration],
        "fit (dB)": work.fits_db,
        "loss": [work.best.loss],
        "spike level": [level for level in [work._spike_level()] if math.isfinite(level)],
    }


def of_deblurring(recipe: selfdeblur.Recipe, at: Sequence[int]) -> Numbers:
    """What SelfDeblur came to on one channel after steps that it takes for these of its schedule."""
    work = selfdeblur.Deblurring(torch.from_numpy(capture("published")[1]), recipe, torch.device("cpu"))
    work.bfloat16 = False
    for iteration in at:
        work.iteration = iteration
        work.step()
    return {"image": in_blocks(work.sharp), "kernel": work.kernel.flatten().tolist()}


def _samples(picture: np.ndarray, *psis: float) -> list[Sample]:
    return [Sample(picture, picture[::-1].copy(), np.full((64, 64), psi)) for psi in psis]


def of_training(network: str) -> Numbers:
    """Losses of six steps of a rival on two photographs, and its estimate after them."""
    picture = capture("published")
    samples = _samples(picture, -2.0, 5.0)
    recipe = training.Recipe(network, steps=6, crop_px=48, batch=2)
    torch.manual_seed(recipe.seed)
    rival = training.NETWORKS[network]().double()
    adam = torch.optim.Adam(rival.parameters(), lr=recipe.learning_rate)
    losses = [training._step(rival, adam, samples, recipe, step, bfloat16=False) for step in range(recipe.steps)]
    kind = "psi (rad)" if network == "depth_fcn" else "image"
    return {"loss": losses, kind: in_blocks(torch.from_numpy(rival.eval().estimate(picture)))}


def of_looks(network: str) -> Numbers:
    """The curve of a whole training, judged on another photograph, and the estimate of the weights that were kept.

    The network is of float64, which autocast leaves alone: no bfloat16, whatever the processor is quick at.
    """
    kind, cpu, picture = training.NETWORKS[network], torch.device("cpu"), capture("published")
    recipe = training.Recipe(network, steps=20, crop_px=32, batch=2, learning_rate=0.003)
    with (
        mock.patch.dict(training.NETWORKS, {network: lambda: kind().double()}),
        mock.patch.object(training, "pick_device", lambda: cpu),
        tempfile.TemporaryDirectory() as work,
    ):
        found = training.train(recipe, _samples(picture, -2.0, 5.0, 1.0), _samples(1 - picture, 3.0), Path(work))
    return {
        "counts": [found.best_step, *(row["step"] for row in found.curve)],
        "loss": [row["loss"] for row in found.curve],
        "error": [row[name] for name in ("train", "validation") for row in found.curve],
        "psi (rad)" if network == "depth_fcn" else "image": in_blocks(
            torch.from_numpy(found.network.estimate(picture))
        ),
    }


def of_photographs() -> Numbers:
    """A scene through the simulator, and a training's composed pictures, of some layers and of one."""
    sharp, psi = capture("published").astype(np.float32), np.linspace(-4, 10, 64**2, dtype=np.float32).reshape(64, 64)
    lens = published().lens
    scene = Scene("golden", sharp, lens.depth_from_psi(psi), np.ones((64, 64), bool))
    made = [photograph_scene(scene).capture]
    for most_layers in (1, 6):
        made += [sample.capture[:, :64, :64] for sample in training_data.composed(1, 0, most_layers)]
    return {"image": [number for image in made for number in in_blocks(torch.from_numpy(image))]}


def of_learnt() -> Numbers:
    """Pictures of every kind, what the network reads of their photographs, and losses of its first steps, float64."""
    bank, pictures = PsfBank.synthesise(psi=psi_planes(-2, 4, 2), size=23), Pictures()
    photographer = Photographer(bank)
    samples = [photographer.take(pictures, number) for number in range(len(KINDS))]
    recipe = learnt_training.Recipe(len(samples), steps=4, batch=2)
    network = learnt_training.untrained(bank).double()
    adam, turns = learnt_training._adam(network, recipe), learnt_training.symmetries(bank)
    losses = []
    for step in range(recipe.steps):
        batch = learnt_training.draw_batch(samples, recipe, step, turns)
        losses.append(learnt_training._step(network, adam, batch, bank, recipe, step, bfloat16=False))
    read = [torch.exp(-s.volumes.costs.float() / 6).mean(dim=(2, 3)) for s in samples]  # of each prior and plane
    return {
        "image": [number for s in samples for number in in_blocks(s.capture[:, :64, :64].float())],
        "psi (rad)": [number for s in samples for number in in_blocks(s.psi[:64, :64])],
        "read": torch.stack(read).flatten().tolist(),
        "loss": losses,
    }


def of_learnt_depth() -> Numbers:
    """Depth by the network that comes with dpcip, of a made-up picture photographed by the published camera."""
    bank, picture = PsfBank.synthesise(), Pictures()[0]
    bank = replace(bank, psf=bank.psf.float())
    low, high = bank.psi_range
    psi = torch.from_numpy(low + (high - low) * picture.nearness)
    with torch.no_grad():
        light = MaskedDCM(bank, (psi.shape[0], psi.shape[1]), error=0)(torch.from_numpy(picture.sharp), psi)
    prior = weights_for(bank).prior(torch.round(light.clamp(0, 1) * 255) / 255, bank, 0.003)
    return {
        "psi (rad)": in_blocks(prior.psi[48:112, 48:112]),
        "psi_std (rad)": in_blocks(prior.psi_std[48:112, 48:112]),
    }


def _cases() -> Iterator[tuple[str, ModuleType, Callable[[], Numbers]]]:
    for preset, short in SHORT.items():
        for name in GENERATORS:
            settings = with_generator(short, name)
            yield f"{preset}-{name}", solver, lambda settings=settings: of_solve(settings)
        yield f"{preset}-dual_pixel", solver, lambda short=short: of_solve(short, "dual_pixel")
    fast = SHORT["fast"]
    yield "start", solver, lambda: of_solve(replace(fast, iterations=1))
    yield "start-dual_pixel", solver, lambda: of_solve(replace(fast, iterations=1), "dual_pixel")
    yield "start-noisy", solver, lambda: of_solve(replace(fast, iterations=1, noise=0.02))
    yield "start-learnt", solver, of_learnt_depth
    yield "start-shot", solver, lambda: of_solve(replace(fast, iterations=1, noise=0.004, shot=0.0004))
    yield "noisy", solver, lambda: of_solve(replace(fast, noise=0.02))
    # PIP: DIP draws neighbours that are equal but for rounding, whose sign is the slope of the total variation.
    smooth = replace(with_generator(SHORT["paper"], "pip"), psi_tv=0.1)
    yield "smooth", solver, lambda: of_solve(smooth)
    learnt = {"learn_phases_rad": 0.5, "learn_scale": 0.05}
    yield "learnt-optics", solver, lambda: of_solve(replace(fast, **learnt))
    # At the full learning rate: with the ramp of `fast` the optics hardly move in so few steps.
    yield "learnt-optics-paper", solver, lambda: of_solve(replace(SHORT["paper"], **learnt))
    # Siren's small steps, so that its losses fall alike everywhere.
    calm = replace(
        with_generator(PRESETS["paper"], "siren"),
        iterations=150,
        l2_iterations=40,
        cooldown_iterations=5,
        convergence_window=6,
        halve_rate_at=55,
        spike_factor=2.0,
    )
    yield "stop-converged", solver, lambda: of_stop(calm, {20: 9.0, 74: math.nan})
    yield "stop-explained", solver, lambda: of_stop(replace(calm, noise=0.12), {})
    yield "stop-given-up", solver, lambda: of_stop(calm, {call: math.nan for call in range(8, 100, 2)})
    short = selfdeblur.Recipe(kernel_px=9, iterations=10)
    yield "selfdeblur", selfdeblur, lambda: of_deblurring(short, range(10))
    # The steps before and after each change of the original's schedule.
    around = (499, 500, 1999, 2000, 2999, 3000, 3999, 4000, 4001)
    yield "selfdeblur-schedule", selfdeblur, lambda: of_deblurring(selfdeblur.Recipe(kernel_px=9), around)
    yield "photographs", camera, of_photographs
    for network in training.NETWORKS:
        yield f"training-{network}", training, lambda network=network: of_training(network)
        yield f"looks-{network}", training, lambda network=network: of_looks(network)
    yield "learnt", learnt_making, of_learnt


CASES = {name: (module, compute) for name, module, compute in _cases()}
# How far a number may be from the stored one. AVX2 or AVX-512, one thread or two move none by more than a hundredth of
# it (a grey level of a photograph by a twentieth); `make golden` prints what a machine does.
TOLERANCES = {
    "fit (dB)": 0.002,
    "loss": 0.0002,
    "image": 0.0001,
    "psi (rad)": 0.002,
    "psi_std (rad)": 0.002,
    "optics": 0.0001,
    "kernel": 0.00002,
    "error": 0.002,
    "spike level": 0.0002,
    "read": 0.001,  # of photographs of which a grey level may turn
    "counts": 0.5,  # whole numbers
}
# Where each declared module's code begins.
ENTRANCES = {
    camera: "dpcip.baselines.training_data",
    solver: "dpcip.solver.runner",
    selfdeblur: "dpcip.baselines.selfdeblur",
    training: "dpcip.baselines.training",
    learnt_making: "dpcip.learnt.making",
}
# Constants that no case can see, and why. Where `constants` names another one, add a case, or the reason here.
_WHY = {
    "estimates of cost": (
        "solver.cost.PROBE_SIDE_PX solver.cost.BYTES_PER_PARAMETER solver.cost.BLOCK_PX solver.cost.BASE_GIB "
    ),
    "files and checks of input": (
        "data.depth_maps.DPT_TAG data.images.MIN_SIDE_PX data.depth_maps.MILLIMETRE optics.psf.MAX_PLANES "
        "optics.psf.SUM_TOLERANCE "
    ),
    "threads and memory": (
        "utils.machine._M_TRIM_THRESHOLD utils.machine._M_MMAP_MAX utils.machine._LOOK_SECONDS utils.machine._MOST "
    ),
    "how many windows at once": ("initialization.likelihood.CHUNK initialization.level_mixture.LANES "),
    "compiled in, and read at import for the table of levels": ("initialization.level_mixture.N_LEVELS "),
    "when a checkpoint is written": (
        "solver.runner.CHECKPOINT_SECONDS baselines.training.CHECKPOINT_SECONDS learnt.training.CHECKPOINT_SECONDS "
    ),
    "read at definition; between two ranks of the bank": ("camera.models.KERNEL_ERROR "),
    "read at definition; seen where the file is edited": (
        "restoration.deconvolution.REWEIGHTINGS restoration.edges.COLOUR_SCALE initialization.likelihood.WINDOW_PX "
    ),
    "a tenth more crosses no frequency of a window": ("initialization.likelihood.LOWEST_CYCLES "),
    "a guard or threshold that no case comes near": (
        "camera.models.LEAST_COVERAGE initialization.initialize.FEW initialization.initialize.WHITE "
        "initialization.feasibility.ROUNDS learnt.depth.SAME_KERNEL learnt.volumes.MOST_PLANES "
        "learnt.volumes.HIGHEST_COST "
    ),
    "of a data set: part of what is photographed": (
        "data.scenes.MOTORCYCLE_FOCAL_PX data.scenes.MOTORCYCLE_BASELINE_M "
        "data.scenes.MOTORCYCLE_PRINCIPAL_OFFSET_PX data.scenes.MOTORCYCLE_SCALE "
    ),
    "of mosaics, which no training has": ("camera.sensor.SENSOR_LEVELS "),
    "the declared version itself": (
        "camera.models.ALGORITHM solver.stepper.ALGORITHM baselines.selfdeblur.ALGORITHM "
        "baselines.training.ALGORITHM learnt.making.ALGORITHM "
    ),
    "read at import, as a setting's default: part of the key": ("camera.noise.ROUNDING "),
    "of pictures and files of results": (
        "data.images.MOST_CHANNELS data.tone_curve.SRGB_KNEE data.tone_curve.SRGB_LINEAR_KNEE "
        "solver.solution.PREVIEW_DPI "
        "evaluation.figures.PREVIEW_DPI evaluation.figures.PAGE_PX evaluation.figures.LOSSY_QUALITY "
    ),
    "bounds on files and optics (tests/awkward)": (
        "data.depth_maps.LARGEST data.depth_maps.LEAST_IN_RANGE data.depth_maps.RANGE_MARGIN "
        "data.images.JPEG_IN_TIFF data.images.LEAST_USED data.images.LUMINANCES data.images.MOST_BYTES "
        "data.images.MOST_SATURATED data.images.ORIENTATION optics.lens.AIRY_PX optics.lens.MOST_RINGS "
        "optics.lens.MOST_WAVELENGTHS optics.lens.WAVELENGTHS_NM optics.psf.MOST_NODES optics.psf.MOST_TAPS "
        "optics.psf.MOST_VALUES "
    ),
    "of result.html": (
        "viewer.page.DEPTH_LEVELS viewer.page.LARGEST_SIDE viewer.page.MOST_PIXELS viewer.page.PAGE_BYTES "
        "viewer.page.QUALITY viewer.page.SMALL_QUALITY viewer.page.SMALL_SIDE viewer.page.STD_LEVELS "
    ),
    "of estimates from a capture, whose results the cases are told": (
        "camera.noise.BLOCK_PX camera.noise.CALMEST camera.noise.DARK camera.noise.BRIGHT camera.noise.MAD_TO_STD "
        "camera.noise.MOSAIC camera.noise.WHITE camera.noise.FEWEST camera.noise.LEAST_SHARE camera.noise.FITS "
    ),
    "told from wild pictures, which no case draws (tests/test_solver.py)": (
        "solver.stopping.LEAST_FALL solver.stopping.LOST_FALL solver.stopping.OCTAVES "
    ),
}
UNSEEN = {name: why for why, names in _WHY.items() for name in names.split()}


def stored(name: str) -> dict:
    """The golden file of a case: {algorithm, numbers}."""
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def apart(name: str, numbers: Numbers) -> dict[str, float]:
    """The largest difference of each kind from the stored numbers, in units of its tolerance; inf where lengths
    differ."""
    kept, off = stored(name)["numbers"], {}
    for kind in kept.keys() | numbers.keys():
        old, new = np.array(kept.get(kind, [])), np.array(numbers.get(kind, []))
        alike = old.shape == new.shape
        off[kind] = float(np.abs(old - new).max(initial=0)) / TOLERANCES[kind] if alike else math.inf
    return off


def moved(name: str, numbers: Numbers) -> dict[str, float]:
    """What differs from the stored numbers by more than its tolerance, in units of it."""
    return {kind: share for kind, share in apart(name, numbers).items() if not share <= 1}


def write(new: Sequence[str] = ()) -> None:
    """Computes every case, or the new ones; stores it where it is new or its ALGORITHM was raised.

    Exits with 1 if one moved without, was lowered, or has no numbers and was not named.
    """
    if unknown := set(new) - set(CASES):
        sys.exit(f"no such cases: {', '.join(sorted(unknown))}")
    refused = []
    for name in new or CASES:
        (module, compute), path = CASES[name], HERE / f"{name}.json"
        then = stored(name)["algorithm"] if path.is_file() else None
        if new and then is not None:
            refused.append(f"{name}: is not new")
        elif not new and then is None:
            refused.append(f"{name}: no numbers; if the case is new: python tests/golden.py new {name}")
        elif then is not None and module.ALGORITHM < then:
            refused.append(f"{name}: ALGORITHM in {_file(module)} was lowered; it was {then}, and may only rise")
        elif then == module.ALGORITHM:
            off = apart(name, compute())
            print(f"{name}: {max(off.values()):.3f} of the tolerance away")
            if not max(off.values()) <= 1:
                refused.append(f"{name}: numbers moved: raise ALGORITHM in {_file(module)}, then make golden")
        else:
            write_json(path, {"algorithm": module.ALGORITHM, "numbers": compute()})
            print(f"{name}: written")
    sys.exit("\n".join(refused) or None)


def _file(module: ModuleType) -> str:
    return Path(str(module.__file__)).relative_to(PACKAGE.parent).as_posix()


def constants(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Module and name of each constant that lies where one of the declared modules can come across it."""
    for path in modules_used(f"import {ENTRANCES[module]}"):
        dotted, source = (
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts),
            path.read_text(encoding="utf-8"),
        )
        for name, value in vars(importlib.import_module(dotted)).items():
            own = re.search(rf"^[A-Z0-9_, ]*\b{name}\b", source, re.MULTILINE)  # imports are other modules' own
            if name.isupper() and own and larger(value) is not None:
                yield dotted, name


def larger(value: object) -> object:
    """The constant a tenth larger, or one larger if it is whole; None if it is no such constant."""
    if isinstance(value, tuple):
        parts = [larger(part) for part in value]
        return None if not parts or None in parts or any(isinstance(part, tuple) for part in parts) else tuple(parts)
    if isinstance(value, int) and not isinstance(value, bool):
        return value + 1
    return value * 1.1 if isinstance(value, float | torch.Tensor) else None


def try_constants(names: Sequence[str]) -> None:
    """Each constant made larger, wherever it was imported: which case sees it first, for each declared module.

    A constant is missed if none of the modules that use it sees it: what one of them does with it may be too little.
    """
    missed, seen, tried = set[str](), set[str](), set()
    for module in ENTRANCES:
        cases = [name for name, case in CASES.items() if case[0] is module]
        for dotted, name in constants(module):
            own = f"{dotted.removeprefix('dpcip.')}.{name}"
            if (module, own) in tried or own in UNSEEN or (names and name not in names):
                continue
            tried.add((module, own))
            value = getattr(importlib.import_module(dotted), name)
            holders = [
                m for m in [*sys.modules.values()] if m.__name__.startswith("dpcip") and vars(m).get(name) is value
            ]
            for holder in holders:
                setattr(holder, name, larger(value))
            try:
                found = next((case for case in cases if moved(case, CASES[case][1]())), "NOT SEEN")
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            for holder in holders:
                setattr(holder, name, value)
            (missed if found == "NOT SEEN" else seen).add(own)
            print(f"{module.__name__}: {own} = {value}: {found}", flush=True)
    missed -= seen
    sys.exit(f"neither seen nor in UNSEEN: {', '.join(sorted(missed))}" if missed else None)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["constants", *names]:
            try_constants(names)
        case ["new", *names] if names:
            write(names)
        case []:
            write()
        case _:
            sys.exit(__doc__)

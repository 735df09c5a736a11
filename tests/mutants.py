"""Do the tests notice a mistake? Each of these mistakes, made in a copy of the tree, must turn its tests red.

    python tests/mutants.py            all of them, in ten minutes on one core; `make mutants`
    python tests/mutants.py psf stop   those whose name holds one of the words

A test that cannot fail shows nothing. A mutant is one piece of text, found exactly once under dpcip/ (in whatever file
it now lies), the text that a mistake would put in its place, and the tests that are to see it. Before the mutants, the
same tests must be green. Exits with 1 if a mutant survives, if its text is not found, or if it cannot even be imported.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
COPIED = ("dpcip", "tests")  # everything else is linked to
LIBRARIES = (
    "torch",
    "scipy.signal",
    "skimage.metrics",
    "matplotlib.pyplot",
    "pandas",
    "papermill",
    "dvc.repo",
)
GREEN, RED = 0, 1  # of pytest's exit statuses


@dataclass(frozen=True)
class Mutant:
    """A mistake: its name, the text it replaces, with what, and the tests that see it."""

    name: str
    old: str
    new: str
    tests: str


GOLDEN = "test_golden.py::test_numbers_stand_while_the_algorithm_does"
MUTANTS = [
    Mutant(
        "optics: the aperture's diameter for its radius",
        "aperture_radius_mm: float = 1.14",
        "aperture_radius_mm: float = 2.28",
        "test_lens.py::test_published_camera_depths",
    ),
    Mutant(
        "optics: focused at 1 m, not 0.9 m",
        "focus_m: float = 0.9",
        "focus_m: float = 1.0",
        "test_lens.py::test_published_camera_depths",
    ),
    Mutant(
        "optics: psi rises with depth",
        "return (1.0 / depth_m - 1.0 / self.focus_m) / self.dioptres_per_psi",
        "return (1.0 / self.focus_m - 1.0 / depth_m) / self.dioptres_per_psi",
        "test_lens.py::test_depth_and_psi_invert_each_other",
    ),
    Mutant(
        "optics: the outer ring's phase 5 % off",
        "phases_rad: tuple[float, ...] = (0.0, 6.0, 12.3)",
        "phases_rad: tuple[float, ...] = (0.0, 6.0, 12.9)",
        "test_psf.py::test_energy_matches_the_papers_table_3",
    ),
    Mutant(
        "optics: phase grows with the wavelength",
        "+ self.mask.phase_rad(rho)) * self.lens.reference_wavelength_nm / wavelength_nm",
        "+ self.mask.phase_rad(rho)) * wavelength_nm / self.lens.reference_wavelength_nm",
        "test_lens.py::test_pupil_phase_grows_as_wavelength_shrinks",
    ),
    Mutant(
        "psf: all colours diffract alike",
        "frequency = np.pi * radius_px / (optics.airy_px * scale)",
        "frequency = np.pi * radius_px / optics.airy_px",
        "test_psf.py::test_energy_matches_the_papers_table_3",
    ),
    Mutant(
        "psf: amplitude for intensity",
        "return np.abs(amplitude) ** 2",
        "return np.abs(amplitude)",
        "test_psf.py::test_energy_matches_the_papers_table_3",
    ),
    Mutant(
        "psf: one kernel of sum 1 vouches for the others",
        "worst = (psf.sum(dim=(2, 3)) - 1).abs().max().item()",
        "worst = (psf.sum(dim=(2, 3)) - 1).abs().min().item()",
        "test_psf.py::test_damaged_kernels_are_refused",
    ),
    Mutant(
        "psf: a fifth of a pixel off the centre",
        "+ offset).ravel()  # sub-pixel positions along one axis",
        "+ offset + 0.2).ravel()",
        "test_psf.py::test_any_mask_gives_a_positive_unit_symmetric_psf",
    ),
    Mutant(
        "camera: correlation for convolution, so kernels are mirrored",
        'self.register_buffer("kernel", torch.fft.rfft2(psf, s=self.fft_size), persistent=False)',
        'self.register_buffer("kernel", torch.fft.rfft2(psf.flip(-2, -1), s=self.fft_size), persistent=False)',
        "test_models.py::test_delta_in_psf_out",
    ),
    Mutant(
        "camera: the result a pixel beside the image",
        "start = self.n_taps - 1\n",
        "start = self.n_taps - 2\n",
        "test_models.py::test_delta_in_psf_out",
    ),
    Mutant(
        "camera: darkness beyond the border",
        'padded = F.pad(flat, (margin, margin, margin, margin), mode="replicate")',
        "padded = F.pad(flat, (margin, margin, margin, margin))",
        "test_models.py::test_constant_image_stays_constant_in_both_models"
        " test_selfdeblur.py::test_far_scene_is_one_uniform_blur",
    ),
    Mutant(
        "camera: the nearest plane alone instead of hats",
        "rise = torch.where(rise < 1, rise, torch.ones_like(rise))",
        "rise = torch.where(rise < 0.5, rise * 0, torch.ones_like(rise))",
        "test_models.py::test_weights_are_the_papers_hats",
    ),
    Mutant(
        "masked camera: layers summed and not divided by their share",
        "return self.blur.summed(self.weights * image) / self.coverage",
        "return self.blur.summed(self.weights * image)",
        "test_models.py::test_masked_dcm_is_the_simulator_where_layers_are_on_its_planes",
    ),
    Mutant(
        "simulator: light not divided by the blurred masks",
        "return (light / coverage.clamp_min(1e-12)).clamp(0, 1).numpy()",
        "return light.clamp(0, 1).numpy()",
        "test_models.py::test_simulator_does_not_bleed_over_an_occlusion_edge",
    ),
    Mutant(
        "sensor: no rounding to 8 bits",
        "digital = np.round(np.clip(signal, 0, 1) * levels) / levels",
        "digital = np.clip(signal, 0, 1)",
        "test_sensor.py::test_default_is_eight_bits_without_noise",
    ),
    Mutant(
        "likelihood: channels taken for independent",
        "CHANNEL_CORRELATION = 0.98",
        "CHANNEL_CORRELATION = 0.0",
        "test_initialize.py::test_covariance_is_that_of_blurred_textures",
    ),
    Mutant(
        "likelihood: the determinant's sign",
        "crossed, log_determinant]",
        "crossed, -log_determinant]",
        "test_initialize.py::test_likelihood_finds_the_plane_of_a_flat_texture",
    ),
    Mutant(
        "smoothing: jumps cost at least the cap, not at most",
        "jump = np.minimum(slope * np.abs(values[:, None] - values), cap)",
        "jump = np.maximum(slope * np.abs(values[:, None] - values), cap)",
        "test_initialize.py::test_semi_global_cost_of_a_line_is_the_shortest_path",
    ),
    Mutant(
        "feasibility: a veto stays where it does not help",
        "after <= REMEDY * before",
        "after >= REMEDY * before",
        "test_feasibility.py::test_a_veto_stays_only_where_it_helps",
    ),
    Mutant(
        "feasibility: highlights rule their depth out",
        "allowed = self.image.clamp(0, 1) if within_white else self.image.clamp_min(0)",
        "allowed = self.image.clamp(0, 1)",
        "test_feasibility.py::test_excess_counts_both_ends_or_darkness_alone",
    ),
    Mutant(
        "likelihood: a window's last frequencies left out of the sum of logarithms",
        "if f % 4 == 3 or f == n_frequencies - 1:",
        "if f % 4 == 3:",
        "test_initialize.py::test_likelihood_is_the_slow_ones",
    ),
    Mutant(
        "camera: fewer kernels than the error asks for",
        ".any(dim=0).any(dim=0).sum())",
        ".all(dim=0).all(dim=0).sum())",
        "test_models.py::test_few_kernels_make_every_plane_up_to_the_error",
    ),
    Mutant(
        "deconvolution: the capture is believed where the depth does not explain it",
        "DOUBT = 0.5",
        "DOUBT = 0.0",
        "test_initialize.py::test_deconvolution_doubts_a_capture_that_the_depth_does_not_explain",
    ),
    Mutant(
        "deconvolution: the gradient's adjoint with the wrong sign",
        "horizontal = F.pad(right, (1, 0)) - F.pad(right, (0, 1))",
        "horizontal = F.pad(right, (0, 1)) - F.pad(right, (1, 0))",
        "test_initialize.py::test_gradient_and_its_adjoint",
    ),
    Mutant(
        "deconvolution: the prior's exponent of Gaussian images",
        "EXPONENT = 0.3",
        "EXPONENT = 2.0",
        f"{GOLDEN}[start]",
    ),
    Mutant(
        "loss: SSIM's window of another width",
        "WINDOW_SIGMA_PX = 1.5",
        "WINDOW_SIGMA_PX = 1.7",
        "test_losses.py::test_ssim_agrees_with_scikit_image_inside_the_border",
    ),
    Mutant(
        "stepper: Adam remembers the warm-up",
        "self.optimizer = self._adam()  # what it remembers is of the warm-up's loss",
        "pass",
        "test_solver.py::test_warm_up_leaves_no_memory_in_the_optimiser",
    ),
    Mutant(
        "stepper: the rate does not rise after the warm-up",
        "rate *= (age + 1) / RAMP_ITERATIONS",
        "pass",
        "test_solver.py::test_learning_rate_rises_after_the_warm_up",
    ),
    Mutant(
        "stepper: the guide pulls at full weight to its end",
        "guide = guide * (1 - age / settings.guide_iterations)",
        "pass",
        f"{GOLDEN}[fast-dip]",
    ),
    Mutant(
        "stepper: a spike does not lower the rate",
        "self._restore(self._snapshot)\n        self.rate_scale /= 2",
        "self._restore(self._snapshot)",
        "test_solver.py::test_nan_or_spike_is_rolled_back[nan]",
    ),
    Mutant(
        "stepper: the cooldown ends at the full rate",
        "rate *= (1 - math.cos(math.pi * to_go / settings.cooldown_iterations)) / 2",
        "rate *= (1 + math.cos(math.pi * to_go / settings.cooldown_iterations)) / 2",
        "test_solver.py::test_convergence_begins_the_cooldown",
    ),
    Mutant(
        "stepper: the best state is the last",
        "if self.best.iteration < self.stage_start or new.loss < self.best.loss:",
        "if True:",
        "test_solver.py::test_best_state_is_kept_by_data_loss",
    ),
    Mutant(
        "stop: it ends while the guide still pulls",
        "first = settings.warmup_iterations + max(settings.l2_iterations, settings.guide_iterations)",
        "first = settings.warmup_iterations + settings.l2_iterations",
        "test_solver.py::test_guided_solve_does_not_converge_under_its_guide",
    ),
    Mutant(
        "stop: a falling loss has converged",
        "return min(losses[-window:]) > (1 - CONVERGED_GAIN) * min(losses[:-window])",
        "return min(losses[-window:]) < (1 - CONVERGED_GAIN) * min(losses[:-window])",
        "test_solver.py::test_convergence_rule",
    ),
    Mutant(
        "stop: noise in decibels of amplitude for those of power",
        "return fit_db > -20 * math.log10(noise)",
        "return fit_db > -10 * math.log10(noise)",
        "test_solver.py::test_solve_ends_once_the_residual_is_noise",
    ),
    Mutant(
        "checkpoint: Adam's memory is lost",
        'self.in_use.settle()\n        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))',
        "self.in_use.settle()",
        "test_solver.py::test_state_resumes_to_the_bit",
    ),
    Mutant(
        "checkpoint: the rate that a rollback halved is lost",
        'self.rate_scale, self.n_rollbacks = state["rate_scale"], state["n_rollbacks"]',
        'self.n_rollbacks = state["n_rollbacks"]',
        "test_solver.py::test_resume_after_a_rollback_keeps_the_halved_rate",
    ),
    Mutant(
        "metrics: mean absolute for root mean square",
        "np.sqrt(np.mean(values**2))",
        "np.mean(np.abs(values))",
        "test_metrics.py::test_depth_errors_in_metres",
    ),
    Mutant(
        "metrics: PSNR of a data range of 2",
        "peak_signal_noise_ratio(truth, estimate, data_range=1.0)",
        "peak_signal_noise_ratio(truth, estimate, data_range=2.0)",
        "test_metrics.py::test_psnr_and_ssim_of_known_images",
    ),
    Mutant(
        "alignment: moved the other way",
        "np.roll(image, tuple(int(part) for part in shift)",
        "np.roll(image, tuple(-int(part) for part in shift)",
        "test_alignment.py::test_any_shift_in_reach_is_found",
    ),
    Mutant(
        "SelfDeblur: the kernel mirrored",
        "kernel.flip(0, 1)[None, None]",
        "kernel[None, None]",
        "test_selfdeblur.py::test_blur_is_a_convolution_and_valid",
    ),
    Mutant(
        "training: the left-out scene is learned from",
        "if place == left_out:\n                continue",
        "if place == left_out:\n                pass",
        "test_baselines.py::test_no_training_sees_its_left_out_scene_or_its_validation_frames",
    ),
    Mutant(
        "training: validation frames are learned from",
        "learned += samples[:middle] + samples[middle + len(FACTORS) :]",
        "learned += samples",
        "test_baselines.py::test_no_training_sees_its_left_out_scene_or_its_validation_frames",
    ),
    Mutant(
        "viewer: a byte of the depth is packed wrongly",
        "(differences >> 8).astype",
        "(differences >> 7).astype",
        "test_viewer.py::test_depth_and_uncertainty_survive_the_packing",
    ),
    Mutant(
        "viewer: a page of any size",
        "PAGE_BYTES = 4_900_000",
        "PAGE_BYTES = 9_900_000",
        "test_viewer.py::test_a_large_or_noisy_photograph_is_shown_smaller_and_the_page_says_so",
    ),
    Mutant(
        "export: linear light keeps the tone curve",
        "np.ascontiguousarray(tone.decode(image), np.float32)",
        "np.ascontiguousarray(image, np.float32)",
        "test_export.py::test_every_file_opens_and_holds_what_it_should",
    ),
    Mutant(
        "export: uncertain points stay",
        "psi_std <= max_std",
        "psi_std >= 0",
        "test_export.py::test_points_lie_where_the_lens_saw_them",
    ),
    Mutant(
        "provenance: files that no stage writes go unnoticed",
        "return [path for path in files if not any(path == out or out in path.parents for out in outs)]",
        "return [path for path in files if not any(path == out or results in path.parents for out in outs)]",
        "test_provenance.py::test_missing_and_added_files_are_found",
    ),
    Mutant(
        "pipeline: a misspelt parameter passes",
        "unknown = sorted(set(values) - set(known))",
        "unknown = sorted(set(known) - set(known))",
        "test_pipeline.py::test_misspelt_parameter_is_refused",
    ),
    Mutant(
        "keys: order of an array's axes does not count",
        'return f"{part.dtype}{part.shape}{values}".encode()',
        'return f"{part.dtype}{part.size}{values}".encode()',
        "test_keys.py::test_everything_else_counts",
    ),
    Mutant(
        "command: a 16-bit capture is rounded to 8 bits",
        "write_image(out, exposed, bits)",
        "write_image(out, exposed, 8)",
        "test_cli.py::test_sixteen_bit_capture_is_not_rounded",
    ),
    Mutant(
        "solver: an image of waves is the result",
        "        if self.oscillating:\n            return Estimate(start.sharp, start.psi)\n",
        "",
        "test_solver.py::test_an_image_of_waves_is_not_the_result",
    ),
    Mutant(
        "noise: shot noise does not grow with light",
        "(read**2 + shot * light)",
        "(read**2 + shot + 0 * light)",
        "test_noise.py::test_noise_of_each_pixel_follows_from_its_light",
    ),
    Mutant(
        "likelihood: the noise of a window does not count",
        "windows * (self.noise / within.sqrt()), mean * (self.noise / within.sqrt())",
        "windows, mean",
        "test_noise.py::test_a_window_of_more_noise_counts_as_one_of_less_contrast",
    ),
    Mutant(
        "registry: a thing from outside is known by its name alone",
        "self._origins[name] = _loading[-1]",
        'self._origins[name] = ""',
        "test_registry.py::test_what_comes_from_outside_is_known_by_its_code_and_not_by_its_comments",
    ),
    Mutant(
        "interface: a scene may have another size than its depth",
        "if np.ndim(sharp) != 3 or sharp.shape[1:] != depth_m.shape:",
        "if False:",
        "test_api.py::test_scenes_that_are_none",
    ),
]


def home_of(mutant: Mutant, package: Path) -> Path:
    """The one file that holds the mutant's text. Exits if there is none, or more than one place."""
    places = [path for path in package.rglob("*.py") for _ in range(path.read_text(encoding="utf-8").count(mutant.old))]
    if len(places) != 1:
        sys.exit(
            f"{mutant.name}: its text is found {len(places)} times under {package.name}/, not once: {mutant.old!r}"
        )
    return places[0]


def copy_of(top: Path, home: Path) -> None:
    """The tree at `home`: its own code and tests, links to the rest."""
    for path in top.iterdir():
        if path.name in COPIED:
            shutil.copytree(path, home / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name not in (".venv", ".work"):
            (home / path.name).symlink_to(path)


def status(tests: list[str], home: Path) -> tuple[int, str]:
    """pytest's exit status for these tests of the copy, and what it printed.

    In a fork of this process, which has loaded the libraries already: that takes seconds, a mutant's tests mostly less.
    """
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if child == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            os.chdir(home)
            sys.path.insert(0, str(home))
            options = ["-x", "--tb=short", "-p", "no:cacheprovider"]
            os._exit(pytest.main([*options, *(f"tests/{test}" for test in tests)]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return code, printed.read()


def main() -> None:
    """Makes each mistake in turn and prints a table of what came of it."""
    words = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    survivors = []
    os.environ["OMP_NUM_THREADS"] = "1"  # a fork must not inherit threads
    for library in LIBRARIES:
        importlib.import_module(library)
    # Without files of bytecode: a mutant of the same length within the same second would not be noticed by Python.
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        copy_of(TOP, home)
        os.environ["PYTHONPATH"] = str(home)  # for tests that start another Python
        homes = {mutant.name: home_of(mutant, home / "dpcip") for mutant in chosen}
        code, printed = status(sorted({test for mutant in chosen for test in mutant.tests.split()}), home)
        if code != GREEN:
            sys.exit(f"{printed}\nthese tests are not green without a mistake")
        print("no mistake: green", flush=True)
        for mutant in chosen:
            path, begin = homes[mutant.name], time.monotonic()
            whole = path.read_text(encoding="utf-8")
            path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
            code, printed = status(mutant.tests.split(), home)
            path.write_text(whole, encoding="utf-8")
            word = {GREEN: "GREEN: survived", RED: "red"}.get(code, "BROKEN: pytest could not run")
            print(f"{word:8} {time.monotonic() - begin:4.0f} s  {mutant.name}  ({mutant.tests})", flush=True)
            if code != RED:
                survivors.append(mutant.name)
                print(printed[-2000:])
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mistakes turn tests red")
    sys.exit("\n".join(survivors) or None)


if __name__ == "__main__":
    main()

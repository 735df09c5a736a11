"""Calibration: PSFs and mask found again from simulated charts of known cameras, and what cannot be found refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dpcip.calibration.calibrate import calibrate
from dpcip.calibration.mask_fit import PSI_REACH, fit_mask
from dpcip.calibration.profiles import Chart, RadialBasis, measure
from dpcip.calibration.report import write_calibration
from dpcip.camera.simulator import simulate
from dpcip.cli import main as cli
from dpcip.data.images import write_image
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.lens import Lens, Optics, RingMask, read_optics
from dpcip.optics.psf import PsfBank, synthesise_psf
from dpcip.optics.rings import ring_amplitudes
from dpcip.utils.errors import InputError
from dpcip.utils.files import write_npy

SIZE = 31  # taps that hold the small cameras' PSFs
OTHER = Optics(  # unlike the published camera in lens, mask and sampling
    lens=Lens(1.0, 455.0, 0.7), mask=RingMask((0, 0.45, 0.7, 1), (0, 2.5, 7.0)), airy_px=1.3
)
BOXES = {31: (94.72, 96.69, 98.49), 23: (87.31, 94.30, 97.32), 19: (77.20, 89.10, 96.25), 15: (56.24, 78.81, 94.28)}


def rounded(image: np.ndarray) -> np.ndarray:
    """As an 8-bit file holds it."""
    return (np.round(255 * image) / 255).astype(np.float32)


def noise_chart(height: int = 160, width: int = 160) -> np.ndarray:
    """A printed chart of coloured blots of 1 to 8 pixels: [3, H, W]."""
    rng = np.random.default_rng(3)
    layers = [np.kron(rng.random((3, -(-height // n), -(-width // n))), np.ones((1, n, n))) for n in (1, 2, 4, 8)]
    return rounded(sum(layer[:, :height, :width] for layer in layers) / len(layers))


def bold_chart() -> np.ndarray:
    """Black and white squares of several sizes over each other: [3, 160, 160], in light."""
    rng = np.random.default_rng(3)
    layers = [np.kron(rng.integers(0, 2, (3, 160 // n, 160 // n)), np.ones((1, n, n))) for n in (2, 4, 8)]
    return np.clip(sum(layers) / len(layers), 0.02, 0.98)


def photograph(optics: Optics, psi: np.ndarray) -> np.ndarray:
    """The chart as `optics` sees it at psi [H, W] of few values, 8 bits."""
    planes = np.unique(np.append(psi, [-5, 12]))
    return rounded(simulate(noise_chart(*psi.shape), psi, PsfBank.synthesise(optics, planes, SIZE)))


def flat_chart(optics: Optics, psi: float, said: float | None = None) -> Chart:
    """A photograph at one distance, whose depth map says `said`."""
    where = np.full((160, 160), psi)
    return Chart(photograph(optics, where), noise_chart(), where if said is None else np.full_like(where, said))


def test_ring_amplitudes_add_up_to_the_psf() -> None:
    basis = RadialBasis(SIZE)
    amplitudes = ring_amplitudes(OTHER, np.array([3.0]), 600.0, basis.radii_px)[:, 0]
    waves = np.exp(1j * np.array(OTHER.mask.phases_rad) * 455 / 600)
    kernel = basis.kernel(basis.coefficients(np.abs(waves @ amplitudes) ** 2))
    expected = synthesise_psf(OTHER, 3.0, 600.0, SIZE)
    assert np.abs(kernel - expected).max() < 2e-3 * expected.max()


def test_profiles_of_two_distances_in_one_picture() -> None:
    psi = np.full((160, 256), -2.0)
    psi[:, 100:] = 4.03
    levels = measure([Chart(photograph(OTHER, psi), noise_chart(160, 256), psi)], basis := RadialBasis(SIZE))
    assert [level.psi for level in levels] == pytest.approx([-2.0, 4.03])
    for level in levels:
        kernels = basis.kernel(level.profiles)
        assert kernels.sum(axis=(1, 2)) == pytest.approx(1) and kernels.min() >= 0
        assert 255 * level.rmse == pytest.approx(0.289, abs=0.02)  # rounding to 8 bits: no edge's light was let in
        for kernel, wavelength_nm in zip(kernels, OTHER.wavelengths_nm, strict=True):
            expected = synthesise_psf(OTHER, level.psi, wavelength_nm, SIZE)
            assert np.abs(kernel - expected).sum() < 0.03
    assert levels[0].data[0].n_pixels == (160 - 30) * (100 - 30)


def test_a_small_shift_is_measured() -> None:
    chart = flat_chart(OTHER, 4.0)
    fine = simulate(np.kron(noise_chart(), np.ones((1, 2, 2))), np.full((320, 320), 0.0), _delta(0, 1))
    half = fine.reshape(3, 160, 2, 160, 2).mean(axis=(2, 4))  # half a pixel of the chart further to the right
    coded = simulate(half, chart.psi, PsfBank.synthesise(OTHER, np.array([4.0, 5.0]), SIZE))
    level = measure([dataclasses.replace(chart, coded=coded.astype(np.float32))], RadialBasis(SIZE))[0]
    assert level.shift_px == pytest.approx(np.array([[0, 0.5]] * 3), abs=0.1)
    assert np.abs(measure([chart], RadialBasis(SIZE))[0].shift_px).max() < 0.01


def _delta(down: int, right: int) -> PsfBank:
    """A bank that only shifts."""
    psf = torch.zeros(2, 3, 3, 3)
    psf[:, :, 1 + down, 1 + right] = 1
    return PsfBank(psf, np.array([0.0, 1.0]))


@pytest.mark.parametrize("gain", [0.8, 0.3])
def test_gain_is_told_from_the_psf(gain: float) -> None:
    chart = flat_chart(OTHER, 4.0)
    dim = dataclasses.replace(chart, coded=gain * chart.coded)
    level = measure([dim], RadialBasis(SIZE))[0]
    assert [c.gain(p) for c, p in zip(level.data, level.profiles, strict=True)] == pytest.approx([gain] * 3, abs=1e-3)
    assert np.abs(level.shift_px).max() < 0.01


@pytest.mark.parametrize(("given_airy_px", "seed"), [(1.45, 1), (1.18, 2)])
def test_another_camera_from_several_distances_and_a_wrong_start(given_airy_px: float, seed: int) -> None:
    """Mask unknown, airy_px 10 % off, focus distance 2 % off: all are found."""
    given = dataclasses.replace(OTHER, mask=RingMask(), airy_px=given_airy_px, lens=Lens(1.0, 455.0, 0.7 * 1.02))
    charts = []
    for depth_m in (1.0, 0.62, 0.5):
        psi, said = (lens.psi_from_depth(depth_m) for lens in (OTHER.lens, given.lens))
        charts.append(flat_chart(OTHER, psi, said))
    fit = fit_mask(measure(charts, basis := RadialBasis(SIZE)), basis, given, n_rings=3, fit_focus=True, seed=seed)
    assert fit.optics.mask.edges == pytest.approx(OTHER.mask.edges, abs=0.003)
    assert fit.optics.mask.phases_rad == pytest.approx(OTHER.mask.phases_rad, abs=0.03)
    assert fit.optics.airy_px == pytest.approx(OTHER.airy_px, rel=0.003)
    assert fit.optics.lens.focus_m == pytest.approx(0.7, rel=0.002)
    truth = {"edge_1": 0.45, "phase_2_rad": 7.0, "airy_px": 1.3}
    for name, value in truth.items():  # the uncertainties are of the right size
        assert abs(fit.parameters[name] - value) < 6 * fit.standard_error[name] < 0.2


def test_one_distance_gives_the_whole_bank() -> None:
    planes = np.arange(-4.0, 11.0)
    calibration = calibrate([flat_chart(OTHER, -3.0)], OTHER, 3, planes, SIZE, fit_focus=False)
    assert calibration.explained and calibration.bank.psi.tolist() == planes.tolist()
    error = (calibration.bank.psf - PsfBank.synthesise(OTHER, planes, SIZE).psf).abs().sum(dim=(2, 3))
    assert error.max() < 0.05  # also 13 rad away from the chart


def test_a_mask_beyond_the_model_leaves_the_measured_planes() -> None:
    charts = [flat_chart(OTHER, -3.0), flat_chart(OTHER, 5.0)]
    wrong = dataclasses.replace(OTHER, wavelengths_nm=(455.0, 535.0, 600.0))
    calibration = calibrate(charts, wrong, 2, np.arange(-4.0, 11.0), SIZE, fit_focus=False)
    assert not calibration.explained and calibration.excess > 0.5 / 255
    assert calibration.bank.psi == pytest.approx([-3, 5])
    truth = PsfBank.synthesise(OTHER, np.array([-3.0, 5.0]), SIZE)
    assert (calibration.bank.psf - truth.psf).abs().sum(dim=(2, 3)).max() < 0.03
    with pytest.raises(InputError, match="one distance makes no bank"):
        calibrate(charts[:1], wrong, 2, np.arange(-4.0, 11.0), SIZE, fit_focus=False)


def test_a_mask_near_focus_is_not_told_from_its_negative() -> None:
    negative = dataclasses.replace(OTHER, mask=RingMask(OTHER.mask.edges, (0, -2.5, -7.0)))
    for wavelength_nm in OTHER.wavelengths_nm:  # why it is refused
        same, other = (synthesise_psf(o, p, wavelength_nm, SIZE) for o, p in ((OTHER, 0.4), (negative, -0.4)))
        assert np.allclose(same, other, atol=1e-12)
    basis = RadialBasis(SIZE)
    with pytest.raises(InputError, match="another distance"):
        fit_mask(measure([flat_chart(OTHER, 0.9 * PSI_REACH)], basis), basis, OTHER, 3, fit_focus=True)


def test_the_published_capture(published_sample: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """Table 3 to 0.1 points, and the capture down to its rounding, from one distance and no knowledge of the mask."""
    files = ["--coded", published_sample / "coded.png", "--sharp", published_sample / "sharp.png"]
    files += ["--depth", published_sample / "psi.dpt", "--unit", "psi"]
    assert run(monkeypatch, "calibrate", *files, "--out", tmp_path / "bank.npz") == 0
    report = json.loads((tmp_path / "bank.json").read_text())
    assert report["explained_by_ring_mask"]
    for row in report["levels"]:
        for box, table in BOXES.items():
            assert row[f"box {box} %"] == pytest.approx(table["RGB".index(row["channel"])], abs=0.1)
        assert row["rmse levels"] < 0.293
    bank = PsfBank.load(tmp_path / "bank.npz")
    for box, table in BOXES.items():
        assert 100 * bank.energy(box)[0] == pytest.approx(table, abs=0.1)
    known = Optics()
    assert report["optics"]["mask"]["phases_rad"] == pytest.approx(known.mask.phases_rad, abs=0.02)
    assert report["optics"]["mask"]["edges"] == pytest.approx(known.mask.edges, abs=0.002)


# ---- the command, and inputs that end in one line ----


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["dpcip", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a chart's photograph, its original and its depth; the current directory."""
    monkeypatch.chdir(tmp_path)
    psi = np.full((160, 160), -3.0)
    write_image(Path("coded.png"), photograph(OTHER, psi))
    write_image(Path("sharp.png"), noise_chart())
    write_npy(Path("psi.npy"), psi)
    Path("optics.yaml").write_text("lens: {focus_m: 0.7, aperture_radius_mm: 1.0}\nairy_px: 1.4\n")
    return tmp_path


CALIBRATE = (
    *("calibrate", "--coded", "coded.png", "--sharp", "sharp.png", "--unit", "psi"),
    *("--size", SIZE, "--out", "bank.npz", "--optics", "optics.yaml"),
)


def test_the_command_on_files(files: Path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, *CALIBRATE, "--depth", "psi.npy", "--psi", -4, 4, 2) == 0
    printed = capsys.readouterr().out
    for word in ("rmse levels", "box 31 %", "phase_2_rad", "standard error", "explains the photographs", "0.7 m"):
        assert word in printed
    assert {f"bank.{s}" for s in ("npz", "json", "png", "yaml")} <= {p.name for p in Path().iterdir()}
    bank = PsfBank.load(Path("bank.npz"))
    assert bank.psi.tolist() == [-4, -2, 0, 2, 4] and bank.lens.focus_m == 0.7
    again = PsfBank.synthesise(read_optics(Path("bank.yaml")), bank.psi, SIZE)
    assert np.allclose(again.psf, bank.psf, atol=1e-6)
    report = json.loads(Path("bank.json").read_text())
    assert report["parameters"]["airy_px"] == pytest.approx(1.3, rel=0.01)
    assert cv2.imread("bank.png").std() > 20


@pytest.mark.slow
def test_tone_curves_of_photograph_and_original(files: Path, monkeypatch, capsys) -> None:
    """Stored with curves of their own: with them the mask is found, without them none, and the message says why."""
    where = np.full((160, 160), -3.0)
    light = simulate(bold_chart(), where, PsfBank.synthesise(OTHER, np.array([-3.0, -2.0]), SIZE))
    write_image(Path("coded.png"), ToneCurve("srgb").encode(light), 16)
    write_image(Path("sharp.png"), ToneCurve(2.0).encode(bold_chart()), 16)
    assert run(monkeypatch, *CALIBRATE, "--depth", -3, "--gamma", "srgb", "--sharp-gamma", 2) == 0
    assert read_optics(Path("bank.yaml")).mask.edges == pytest.approx(OTHER.mask.edges, abs=0.003)
    assert run(monkeypatch, *CALIBRATE, "--depth", -3, "--overwrite") == 2
    assert "tone curves" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "name"), [("--coded", "bank.png"), ("--optics", "bank.yaml")])
def test_what_is_read_is_not_overwritten(files: Path, monkeypatch, capsys, option: str, name: str) -> None:
    given = list(CALIBRATE)
    at = given.index(option) + 1
    Path(str(given[at])).rename(name)
    given[at] = f"../{files.name}/{name}"
    before = Path(name).read_bytes()
    assert run(monkeypatch, *given, "--depth", -3) == 2
    assert f"{name}: is read, and would be overwritten" in capsys.readouterr().err and Path(name).read_bytes() == before


def test_optics_of_an_earlier_calibration_do_not_stay_beside_measured_planes(tmp_path: Path) -> None:
    charts = [flat_chart(OTHER, -3.0), flat_chart(OTHER, 5.0)]
    calibration = calibrate(charts, OTHER, 1, np.arange(-4.0, 11.0), SIZE, fit_focus=False)
    assert not calibration.explained
    (tmp_path / "bank.yaml").write_text("airy_px: 1.3\n")
    written = write_calibration(tmp_path / "bank.npz", calibration, (31,))
    assert sorted(written) == sorted(tmp_path.iterdir())


def test_help(monkeypatch, capsys) -> None:
    assert run(monkeypatch, "calibrate", "--help") == 0
    assert "Usage: dpcip calibrate" in capsys.readouterr().out


def _write(name: str, image: np.ndarray) -> None:
    write_image(Path(name), image)


def _shifted() -> None:
    _write("coded.png", np.roll(photograph(OTHER, np.full((160, 160), -3.0)), 2, axis=1))


FAULTS = [
    ("other size", lambda: _write("sharp.png", noise_chart(160, 150)), "-3", (), ["coded.png", "160x160", "150x160"]),
    ("depth size", lambda: write_npy(Path("d.npy"), np.zeros((9, 9))), "d.npy", (), ["coded.png", "depth map 9x9"]),
    ("no flat region", lambda: write_npy(Path("d.npy"), np.tile(np.arange(160) / 9, (160, 1))), "d.npy", (), ["wide"]),
    ("no texture", lambda: _write("sharp.png", np.full((3, 160, 160), 0.5)), "-3", (), ["texture", "psi = -3.0"]),
    ("black", lambda: _write("coded.png", np.zeros((3, 160, 160))), "-3", (), ["only 0 pixels", "black", "psi = -3.0"]),
    ("saturated", lambda: _write("coded.png", 9 * noise_chart()), "-3", (), ["only", "saturated", "expose anew"]),
    ("no curve", lambda: None, "-3", ("--sharp-gamma", "9999"), ["gamma: '9999' is no tone curve"]),
    ("beyond the planes", lambda: None, "-7", (), ["psi = -7.0", "-4 to 10"]),
    ("in focus only", lambda: None, "0.1", (), ["negative", "another distance"]),
    ("no depth", lambda: None, "absent.npy", (), ["absent.npy", "no such file"]),
    ("not a number", lambda: None, "nan", (), ["--depth nan"]),
    ("uneven", lambda: None, "-3", ("--depth", "2"), ["1 --coded", "2 --depth"]),
    ("no bank", lambda: None, "-3", ("--out", "bank.mat"), ["bank.mat", ".npz"]),
    (
        "channels",
        lambda: Path("optics.yaml").write_text("wavelengths_nm: [550]\n"),
        "-3",
        (),
        ["3 channels", "optics 1"],
    ),
    ("unlike", lambda: _write("coded.png", noise_chart()[:, ::-1]), "-3", (), ["coded.png", "register the two"]),
    ("shifted", _shifted, "-3", (), ["coded.png", "shift about", "register the two"]),
]


@pytest.mark.parametrize(("spoil", "depth", "more", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faults_end_in_one_line(files: Path, monkeypatch, capsys, spoil, depth, more, words) -> None:
    spoil()
    assert run(monkeypatch, *CALIBRATE, "--depth", depth, *more) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and line.startswith("dpcip: ")
    for word in words:
        assert word in line
    assert not Path("bank.npz").exists()

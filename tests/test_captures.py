"""Folders of a user's captures, and the real one that `dpcip fetch` brings: what is found, and what is told."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dpcip.data import phasecam3d
from dpcip.data.captures import captures, read_capture
from dpcip.data.images import read_image, write_image
from dpcip.data.tone_curve import ToneCurve
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError

OPTICS = "mask: {edges: [0, 1], phases_rad: [0]}\nlens: {focus_m: 0.7}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete capture: image.png, bank.npz, capture.yaml, notes.md."""
    home = tmp_path / "captures" / "kitchen"
    write_image(home / "image.png", np.random.default_rng(0).random((3, 70, 90)))
    psf = np.full((3, 3, 5, 5), 1 / 25, np.float32)
    np.savez(home / "bank.npz", psf=psf, psi=np.array([-1.0, 0, 1]), focus_m=0.5)
    (home / "capture.yaml").write_text("gamma: 2.2\nblack: 10\nroi: [5, 0, 80, 64]\n")
    (home / "notes.md").write_text("Second try, with the ring light.\n")
    return home


def test_a_complete_capture(folder: Path) -> None:
    (capture,) = captures(folder.parent)
    assert capture.name == "kitchen" and capture.notes.startswith("Second try")
    levels = read_image(folder / "image.png")[:, :64, 5:85] * 255
    assert np.allclose(capture.light, ((levels - 10) / 245).clip(0, 1) ** 2.2, atol=1e-5)
    assert capture.bank.size == 5 and capture.bank.lens.focus_m == 0.5
    assert capture.record["roi"] == [5, 0, 80, 64] and capture.tone == ToneCurve(2.2)


def test_notes_in_another_encoding_are_no_fault(folder: Path) -> None:
    (folder / "notes.md").write_bytes("Küche: do not pass it on".encode("latin-1"))
    assert read_capture(folder).notes.endswith("che: do not pass it on")


def test_options_go_before_the_folders_own(folder: Path, bank: PsfBank) -> None:
    bank.save(folder / "other.npz")
    capture = read_capture(folder, {"gamma": "1", "roi": "0,0,90,70"}, folder / "other.npz")
    assert np.allclose(capture.light, ((read_image(folder / "image.png") * 255 - 10) / 245).clip(0, 1), atol=1e-6)
    assert capture.bank.size == 71


def test_optics_instead_of_a_bank(folder: Path) -> None:
    (folder / "bank.npz").unlink()
    (folder / "optics.yaml").write_text(OPTICS)
    assert read_capture(folder).bank.lens == Lens(focus_m=0.7)


def test_a_photograph_alone_is_the_published_cameras(folder: Path, bank: PsfBank) -> None:
    capture = read_capture(folder / "image.png")
    assert np.array_equal(capture.light, read_image(folder / "image.png"))
    assert np.array_equal(capture.bank.psf, bank.psf) and capture.notes == ""


def test_none_and_several(folder: Path, tmp_path: Path) -> None:
    assert list(captures(tmp_path / "nowhere")) == []
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("how to")
    assert list(captures(tmp_path / "empty")) == []
    (folder.parent / ".ipynb_checkpoints").mkdir()
    (folder.parent / "attic").mkdir()
    for file in folder.iterdir():
        (folder.parent / "attic" / file.name).write_bytes(file.read_bytes())
    assert [capture.name for capture in captures(folder.parent)] == ["attic", "kitchen"]


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no photograph": (lambda f: (f / "image.png").unlink(), "kitchen: holds no photograph; put one there as image.png"),
    "two photographs": (lambda f: (f / "image.tif").write_bytes(b""), "kitchen: holds 2 photographs"),
    "no camera": (lambda f: (f / "bank.npz").unlink(), "neither bank.npz nor optics.yaml is there"),
    "two cameras": (lambda f: (f / "optics.yaml").write_text(OPTICS), "give one of them"),
    "bank damaged": (lambda f: (f / "bank.npz").write_bytes(b"PK\x03\x04"), "bank.npz"),
    "unknown key": (lambda f: (f / "capture.yaml").write_text("gama: 2"), "capture.yaml: unknown option gama"),
    "no mapping": (lambda f: (f / "capture.yaml").write_text("2.2"), "capture.yaml: cannot be read"),
    "a list": (
        lambda f: (f / "capture.yaml").write_text("- gamma"),
        "capture.yaml: cannot be read (its lines must read",
    ),
    "endless region": (lambda f: (f / "capture.yaml").write_text("roi: [.inf, 0, 9, 9]"), "capture.yaml: roi: [inf, 0"),
    "half a pixel": (lambda f: (f / "capture.yaml").write_text("roi: [0.5, 0, 64, 64]"), "capture.yaml: roi: [0.5, 0"),
    "no YAML": (lambda f: (f / "capture.yaml").write_text("gamma: [2"), "capture.yaml: cannot be read"),
    "region outside": (lambda f: (f / "capture.yaml").write_text("roi: [30, 0, 64, 64]"), "image.png: region 30,0"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_told_in_one_line(case: str, folder: Path) -> None:
    spoil, told = FAULTS[case]
    spoil(folder)
    with pytest.raises(InputError) as error:
        list(captures(folder.parent))
    assert told in str(error.value) and "\n" not in str(error.value)


# ---- PhaseCam3D's ----

HEIGHTS_NM = np.random.default_rng(0).integers(0, 1500, (23, 23))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A web site with a picture and a height map in the places where the repository has them."""
    root = tmp_path / "site"
    write_image(root / phasecam3d.PICTURE, np.random.default_rng(0).random((3, 70, 90)))
    (root / phasecam3d.HEIGHT_MAP).parent.mkdir(parents=True)
    np.savetxt(root / phasecam3d.HEIGHT_MAP, HEIGHTS_NM * 1e-9, newline="\r\n")
    picture = hashlib.sha256((root / phasecam3d.PICTURE).read_bytes()).hexdigest()
    monkeypatch.setattr(phasecam3d, "PICTURE_SHA256", picture)
    heights = hashlib.sha256(HEIGHTS_NM.astype("<i2").tobytes()).hexdigest()
    monkeypatch.setattr(phasecam3d, "HEIGHT_MAP_SHA256", heights)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root)) as server:
        monkeypatch.setattr(phasecam3d, "REPOSITORY", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield root
        server.shutdown()
        thread.join()


def test_fetched_capture_is_one_that_can_be_solved(site: Path, tmp_path: Path) -> None:
    folder = phasecam3d.fetch(tmp_path / "captures")
    (capture,) = captures(tmp_path / "captures")
    assert capture.name == "phasecam3d" and capture.light.shape == (3, 70, 90)
    assert capture.bank.psf.shape == (21, 3, 23, 23) and capture.bank.psi_range == (-10, 10)
    (folder / "capture.yaml").write_text("gamma: 1.5\n")
    phasecam3d.fetch(tmp_path / "captures")  # again: a user's own settings stay
    assert (folder / "capture.yaml").read_text() == "gamma: 1.5\n"


def test_fetch_refuses_other_files(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savetxt(site / phasecam3d.HEIGHT_MAP, (HEIGHTS_NM + 1) * 1e-9)
    with pytest.raises(InputError, match="height_map.txt: holds other heights"):
        phasecam3d.fetch(tmp_path / "a")
    monkeypatch.setattr(phasecam3d, "PICTURE_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"image.png: could not be fetched \(.*put it at .*image.png by hand"):
        phasecam3d.fetch(tmp_path / "b")
    assert not (tmp_path / "b" / "phasecam3d" / "image.png").exists()


def test_fetch_leaves_what_is_anothers(site: Path, tmp_path: Path) -> None:
    """A picture of the user's own is not replaced, nor a bank that he put there."""
    home = phasecam3d.fetch(tmp_path)
    (home / "bank.npz").write_bytes(b"mine")
    phasecam3d.fetch(tmp_path)
    assert (home / "bank.npz").read_bytes() == b"mine"
    (home / "image.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="image.png: is another picture than PhaseCam3D's"):
        phasecam3d.fetch(tmp_path)
    assert (home / "image.png").read_bytes() == b"mine"


def test_fetch_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phasecam3d, "REPOSITORY", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(InputError, match="could not be fetched"):
        phasecam3d.fetch(tmp_path)


def test_flat_mask_gives_a_lens() -> None:
    """Without heights the PSFs are a plain lens's: the same for +psi and -psi, mirrored, and sharpest in focus."""
    psf = phasecam3d.height_map_bank(np.zeros((23, 23))).psf.numpy()
    assert np.allclose(psf, psf[::-1], atol=1e-6)
    assert np.allclose(psf, psf.transpose(0, 1, 3, 2), atol=1e-6)
    peak = psf.max(axis=(2, 3))
    assert np.all(peak.argmax(axis=0) == 10) and np.all(np.diff(peak[10:16], axis=0) < 0)
    assert psf[10, 2].argmax() == 11 * 23 + 11


def test_a_prism_shifts_the_image_by_what_optics_says() -> None:
    """A wedge adding one wave from edge to edge of the 23 samples' period moves blue's PSF by one pixel."""
    samples = np.arange(23) - 11
    wave_m = 470e-9 / phasecam3d.INDEX_STEP  # height of one wave in blue
    wedge = np.broadcast_to(wave_m * samples / 23, (23, 23))
    psf = phasecam3d.height_map_bank(wedge).psf.numpy()[10, 2]
    straight = phasecam3d.height_map_bank(np.zeros((23, 23))).psf.numpy()[10, 2]
    assert np.allclose(psf, np.roll(straight, 1, axis=1), atol=1e-6)


def test_checksum_is_that_of_the_copy_in_hand() -> None:
    copy = Path(__file__).resolve().parents[2] / "shared" / "data" / "phasecam3d" / "coded.png"
    if not copy.is_file():
        pytest.skip("PhaseCam3D's photograph is not on this machine")
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == phasecam3d.PICTURE_SHA256

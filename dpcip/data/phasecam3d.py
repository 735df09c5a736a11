"""A real photograph through a real phase mask, PhaseCam3D's, fetched from where its authors publish it.

Source: Wu, Boominathan, Chen, Sankaranarayanan, Veeraraghavan, "PhaseCam3D", ICCP 2019; repository
YichengWu/PhaseCam3D. It states no licence: neither the picture nor a part of it belongs in this repository.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import pooch
import torch

from dpcip.data.captures import CAPTURES
from dpcip.optics.lens import Lens
from dpcip.optics.psf import PsfBank
from dpcip.utils.errors import InputError
from dpcip.utils.files import one_line, replacing

# Pinned to the commits in which the files were added. Where this was written the addresses could not be reached:
# untested but for the names, which are those of an index of the repository. PICTURE is the figure of the project page;
# its checksum is that of a copy.
REPOSITORY = "https://raw.githubusercontent.com/YichengWu/PhaseCam3D"
PICTURE = "0b39f4cb0e04efd191699cfb6b184b9910c60149/docs/data/phasecam3d_image.png"
PICTURE_SHA256 = "e0cb318932492e2c11f4e86a2371bd8f51982d92321c7b241f8fbd40f23612f8"
HEIGHT_MAP = "4667148fd9061f37b987b6b6eb3b3cf23a86cdc5/trained_framework/HeightMap.txt"
# Of its 23 x 23 heights in whole nanometres (int16, little-endian): line ends and digits beyond do not matter.
HEIGHT_MAP_SHA256 = "335dd2312683ce55d3ee76738665c5de4ded95e49dede46dea854cda83b1e493"

# Their depth_estimation.py: gen_OOFphase, gen_PSFs and the parameters below them.
WAVELENGTHS_NM = (610.0, 530.0, 470.0)  # R, G, B; defocus psi is stated at the second
FFT_SIZES = (31, 27, 23)  # odd, about in proportion to the wavelengths: all channels have the same pixel
GRID_HALF_WIDTH = 1.1  # of the height map, in aperture radii
INDEX_STEP = 0.5  # refractive index of the mask minus that of air
PSI = np.arange(-10.0, 11.0)  # rad
# Aperture: 2.835 mm across (their section on the prototype). The focus distance is not published with the picture: with
# this guess psi = -10 to 10 is 6.3 to 0.54 m. Trust psi and the order of depths, not metres.
LENS = Lens(aperture_radius_mm=1.4175, reference_wavelength_nm=WAVELENGTHS_NM[1], focus_m=1.0)

CAPTURE_YAML = """\
# The picture's tone curve is not known; see notes.md.
gamma: {gamma}
"""
GAMMA = 1.0  # of 1, 2.2 and srgb the one with the best fit and the least ringing, at 256x256 px and --iterations 1
NOTES = """\
PhaseCam3D's photograph through its fabricated phase mask (Wu et al., ICCP 2019; github.com/YichengWu/PhaseCam3D,
docs/data/phasecam3d_image.png). No licence is stated: do not pass it on.

- 256 colours, dithered or not, and a tone curve that is not known.
- bank.npz is computed from the height map that the authors publish as trained (trained_framework/HeightMap.txt), not
  measured on the mask that they built: expect a residual. The likelihood of the local spectra finds no depth with it
  (nearly one psi everywhere, 448x512 px, noise 0.004 to 0.04); the all-in-focus image comes out sharper all the same.
- The focus distance is a guess (1 m): psi and the order of depths mean something, metres do not.
"""


def height_map_bank(height_m: np.ndarray) -> PsfBank:
    """PSFs of PhaseCam3D's camera with a mask of these heights: [N, N] metres -> 21 planes, 3 channels, N taps.

    Pupil `P(rho) = circ(rho) exp(j (2 pi / lambda (n - 1) h + psi rho^2 lambda_G / lambda))`, PSF `|FFT P|^2` at one
    sample a pixel, cut to N taps (their gen_PSFs) and here divided by its sum.
    """
    n = len(height_m)
    position = np.linspace(-GRID_HALF_WIDTH, GRID_HALF_WIDTH, n)
    square = position[:, None] ** 2 + position**2
    aperture = square <= 1 + 1e-9  # the rim's samples lie on it
    kernels = np.empty((len(PSI), len(WAVELENGTHS_NM), n, n))
    for channel, (wavelength_nm, size) in enumerate(zip(WAVELENGTHS_NM, FFT_SIZES, strict=True)):
        margin = (size - n) // 2
        defocus = PSI[:, None, None] * square * LENS.reference_wavelength_nm / wavelength_nm
        mask = 2 * np.pi / (wavelength_nm * 1e-9) * INDEX_STEP * height_m
        pupil = np.zeros((len(PSI), size, size), complex)
        inner = (slice(None), slice(margin, margin + n), slice(margin, margin + n))
        pupil[inner] = aperture * np.exp(1j * (mask + defocus))
        kernels[:, channel] = np.abs(np.fft.fftshift(np.fft.fft2(pupil), axes=(1, 2)))[inner] ** 2
    kernels /= kernels.sum(axis=(2, 3), keepdims=True)
    return PsfBank(torch.tensor(kernels, dtype=torch.float32), PSI, LENS, "PhaseCam3D's height map")


def fetch(root: Path = CAPTURES) -> Path:
    """Downloads the photograph and the mask, and writes the capture's folder below `root`; returns the folder.

    Files that are there already are not downloaded again, and capture.yaml and bank.npz are left as they are. Raises
    InputError if a file cannot be had or is not the one that is meant.
    """
    folder = root / "phasecam3d"
    picture = folder / "image.png"
    if picture.is_file() and hashlib.sha256(picture.read_bytes()).hexdigest() != PICTURE_SHA256:
        raise InputError(f"{picture}: is another picture than PhaseCam3D's; give --to another folder")
    _retrieve(PICTURE, f"sha256:{PICTURE_SHA256}", folder, "image.png")
    height_m = _height_map(_retrieve(HEIGHT_MAP, None, folder, "height_map.txt"))
    if not (folder / "bank.npz").exists():
        height_map_bank(height_m).save(folder / "bank.npz")
    for name, text in (("capture.yaml", CAPTURE_YAML.format(gamma=GAMMA)), ("notes.md", NOTES)):
        if not (folder / name).exists():
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return folder


def _retrieve(address: str, known_hash: str | None, folder: Path, name: str) -> Path:
    pooch.get_logger().setLevel(logging.ERROR)
    url = f"{REPOSITORY}/{address}"
    try:
        return Path(pooch.retrieve(url, known_hash, fname=name, path=folder))
    except (OSError, ValueError) as error:  # no network, or another file
        reason = one_line(error)[:120]
        raise InputError(f"{url}: could not be fetched ({reason}); put it at {folder / name} by hand") from error


def _height_map(path: Path) -> np.ndarray:
    """The 23 x 23 heights (m) of the file, compared with what is expected."""
    try:
        height_m = np.loadtxt(path)
        nanometres = np.rint(height_m * 1e9).astype("<i2")
    except ValueError as error:
        raise InputError(f"{path}: is not a table of heights; delete it and fetch again") from error
    if hashlib.sha256(nanometres.tobytes()).hexdigest() != HEIGHT_MAP_SHA256:
        raise InputError(f"{path}: holds other heights than PhaseCam3D's trained mask; delete it and fetch again")
    return height_m

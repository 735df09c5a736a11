"""The end of a solve: depth edges at the image's edges, fine detail, and both still explaining the capture."""

import dataclasses

import numpy as np
import pytest
import torch
from margins import assert_clears
from scipy.ndimage import gaussian_filter

from dpcip.camera.models import MaskedDCM
from dpcip.camera.sensor import Sensor
from dpcip.camera.simulator import simulate
from dpcip.data.datasets import rendered
from dpcip.evaluation.metrics import image_metrics
from dpcip.optics.psf import PsfBank
from dpcip.restoration.refinement import refined

WINDOW = slice(100, 196), slice(200, 328)


@pytest.mark.slow
def test_soft_generator_output_gets_detail_and_sharp_depth_edges(bank: PsfBank, fine_bank: PsfBank) -> None:
    """What a generator leaves: the image without its finest detail, the depth smeared over its edges."""
    whole = next(shot for shot in rendered() if shot.name == "table_14").read()
    sharp, psi = whole.sharp[:, *WINDOW], whole.psi(fine_bank.lens)[WINDOW].clip(-4, 10)
    capture = torch.as_tensor(Sensor().expose(simulate(sharp, psi, fine_bank), 0)).float()
    soft = torch.as_tensor(gaussian_filter(sharp, (0, 1.2, 1.2))).float()
    smeared = torch.as_tensor(gaussian_filter(psi, 3.0)).float()
    single = dataclasses.replace(bank, psf=bank.psf.float())
    with torch.no_grad():
        image, depth = refined(capture, single, soft, smeared)
        fit_db = -10 * (MaskedDCM(single, psi.shape)(image, depth) - capture).square().mean().log10().item()
    gain_db = image_metrics(image.numpy(), sharp)["psnr_db"] - image_metrics(soft.numpy(), sharp)["psnr_db"]
    of_smeared = np.square(depth.numpy() - psi).mean() / np.square(smeared.numpy() - psi).mean()
    assert_clears("refined: finer detail (dB)", gain_db, above=1, spread=0.2)
    assert_clears("refined: squared depth error by the smeared one's", of_smeared, below=0.93, spread=0.02)
    assert_clears("refined: the capture stays explained (dB)", fit_db, above=50, spread=0.5)
    assert image.min() >= 0 and image.max() <= 1

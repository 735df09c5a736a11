"""What a solve ends with: depth edges moved to the image's, and the image deconvolved at that depth."""

from __future__ import annotations

from torch import Tensor

from dpcip.camera.models import MaskedDCM
from dpcip.camera.noise import Level, at_least
from dpcip.optics.psf import PsfBank
from dpcip.restoration.deconvolution import NOISE, deconvolve
from dpcip.restoration.edges import snap_to_edges

COLOUR_SCALE = 0.015  # of the edges: the image is sharper here than at the start, and its edges are more to be trusted


def refined(capture: Tensor, bank: PsfBank, sharp: Tensor, psi: Tensor, noise: Level = NOISE) -> tuple[Tensor, Tensor]:
    """Image and depth brought to agree with the capture and with each other: [L, H, W] in [0, 1] and psi [H, W] (rad).

    The generator's fine detail lags behind its depth, and its depth edges are soft. Deconvolution at its depth gives
    the detail; the edges of that image say where the depth's are; and a second deconvolution has the better depth.
    """
    camera = MaskedDCM(bank, (psi.shape[-2], psi.shape[-1])).to(psi.device)
    noise = at_least(noise, NOISE)
    detailed = deconvolve(camera.at(psi), capture, sharp, noise)
    psi = snap_to_edges(psi, detailed.clamp(0, 1), COLOUR_SCALE)
    return deconvolve(camera.at(psi), capture, detailed, noise).clamp(0, 1), psi

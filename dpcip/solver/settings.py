"""What a solve is told besides the photograph and the optics: its settings, and the presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from dpcip.camera.models import CAMERAS, Convolution
from dpcip.camera.noise import ROUNDING
from dpcip.generators.registry import GENERATORS
from dpcip.initialization.likelihood import MISMATCH
from dpcip.solver.losses import LOSSES
from dpcip.utils.errors import InputError
from dpcip.utils.keys import LATER
from dpcip.utils.registry import Registry

CHOICES = {
    "precision": ("float32", "auto"),
    "convolution": ("fft", "direct"),
    "depth": ("likelihood", "learnt"),
}


@dataclass(frozen=True)
class Settings:
    """Everything that determines a solve besides the capture, the PSF bank and the machine.

    >>> replace(PRESETS["fast"], generator="pip").iterations
    400
    """

    generator: str = "dip"
    finest_channels: int = 128  # of DIP's level at the picture's own resolution
    iterations: int = 5001
    l2_iterations: int = 500  # mean squared error for so long, then `loss`
    loss: str = field(default="ssim", metadata=LATER)  # 1 - SSIM (solver/losses.py)
    learning_rate: float = 0.01  # Adam
    halve_rate_at: int | None = 4000  # iteration from which the learning rate is half
    precision: Literal["float32", "auto"] = "float32"  # auto: bfloat16 in the generator where it is quicker
    channels_last: bool = False
    convolution: Convolution = "fft"  # of the interpolated camera
    camera: str = "interpolated"  # the paper's DCM; "masked" knows occlusion (camera/models.py)
    warmup_iterations: int = 0  # first the generator is fitted for so long to depth and image from the local spectra
    guide_iterations: int = 0  # then the pull towards that depth fades away over so many
    cooldown_iterations: int = 0  # over the last so many the learning rate falls to zero, as a cosine
    # What the generator is fitted to first: depth by likelihood alone, or by the network trained for the bank.
    depth: Literal["likelihood", "learnt"] = field(default="likelihood", metadata=LATER)
    refine: bool = False  # at the end depth edges move to the image's, and the image is deconvolved at that depth
    spike_factor: float | None = None  # a loss above so many times the recent median is rolled back; NaN always is
    convergence_window: int | None = None  # the loss fell by less than 5 % in so many iterations: cool down, then stop
    noise: float = ROUNDING  # standard deviation of the capture's noise, full scale 1 (camera/noise.py estimates it)
    shot: float = field(default=0.0, metadata=LATER)  # variance of its shot noise at full scale; `noise` is the rest
    # What the PSFs do not explain (initialization/mismatch.py estimates both): of the texture, a share of its
    # amplitude, for the likelihood of depth; of the capture, a standard deviation, full scale 1, for the image. 0: no
    # more than the noise.
    mismatch: float = field(default=MISMATCH, metadata=LATER)
    model_error: float = field(default=0.0, metadata=LATER)
    psi_tv: float = 0.0  # weight of psi's total variation, as a share of its range, in the loss
    learn_phases_rad: float = 0.0  # how far the mask's ring phases may be learnt away from nominal; 0: not at all
    learn_scale: float = 0.0  # the same for the aperture's scale, a factor
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "l2_iterations", "warmup_iterations", "guide_iterations", "cooldown_iterations"):
            if getattr(self, name) < (name == "iterations"):
                raise InputError(f"settings: {name} is {getattr(self, name)}; it must be positive")
        if self.finest_channels < 1:
            raise InputError(f"settings: finest_channels is {self.finest_channels}; it must be positive")
        _ = GENERATORS[self.generator], CAMERAS[self.camera], LOSSES[self.loss]  # InputError where one is unknown
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"settings: {name} is {getattr(self, name)!r}; choose from {', '.join(choices)}")
        if not (0 < self.noise < 1 and 0 <= self.psi_tv < math.inf):
            raise InputError(
                f"settings: noise is {self.noise}, psi_tv {self.psi_tv}; noise must lie between 0 and 1, psi_tv be "
                "finite and not negative"
            )
        if not 0 <= self.shot < 1:
            raise InputError(f"settings: shot is {self.shot}; it must be a variance, 0 or more and below 1")
        if not (0 < self.mismatch < 1 and 0 <= self.model_error < 1):
            raise InputError(
                f"settings: mismatch is {self.mismatch}, model_error {self.model_error}; the first must lie between 0 "
                "and 1, the second be below 1 and not negative"
            )
        if not (0 <= self.learn_phases_rad < math.inf and 0 <= self.learn_scale < 0.5):
            raise InputError(
                f"settings: learn_phases_rad is {self.learn_phases_rad}, learn_scale {self.learn_scale}; the first "
                "must be finite and not negative, the second lie between 0 and 0.5"
            )
        if not 0 < self.learning_rate < 1:
            raise InputError(f"settings: learning_rate is {self.learning_rate}; it must lie between 0 and 1")


# "paper" is the paper and its released code: 5001 iterations, float32. Its blurs go through the FFT, which gives the
# same numbers as the released code's direct convolution (tests/test_models.py) in a fraction of the time.
PRESETS: Registry[Settings] = Registry("preset")
PRESETS.update(
    {
        "paper": Settings(),
        # The paper's recipe in a laptop's patience: a tenth of its iterations, quicker arithmetic.
        "paper-short": Settings(
            iterations=500, l2_iterations=150, halve_rate_at=None, precision="auto", channels_last=True
        ),
        "fast": Settings(
            finest_channels=32,  # with 128 an iteration takes 1.3 times as long, for the same quality
            iterations=400,
            l2_iterations=0,
            halve_rate_at=None,
            precision="auto",
            channels_last=True,
            camera="masked",
            warmup_iterations=60,
            guide_iterations=150,
            cooldown_iterations=80,
            refine=True,
            spike_factor=5.0,
            convergence_window=50,
        ),
    }
)


def with_iterations(settings: Settings, iterations: int) -> Settings:
    """The same recipe for another number of iterations.

    The warm-up keeps its length: a generator half fitted to the start is worse than the start, which a solve that ends
    in its warm-up returns. The guide shrinks with fewer iterations and the cooldown changes in proportion.
    """
    share = iterations / settings.iterations
    return replace(
        settings,
        iterations=iterations,
        guide_iterations=round(settings.guide_iterations * min(share, 1)),
        cooldown_iterations=round(settings.cooldown_iterations * share),
    )


def uses_start(settings: Settings) -> bool:
    """Whether the recipe begins with a first estimate of depth and image; the paper's does not."""
    return settings.warmup_iterations > 0 or settings.guide_iterations > 0


def with_generator(settings: Settings, name: str) -> Settings:
    """The recipe with another generator, and the learning rate that its authors give it.

    Raises InputError for a name that is not registered.
    """
    return replace(settings, generator=name, learning_rate=GENERATORS[name].learning_rate)

from .api import evaluate, photograph, solve
from .camera.sensor import Sensor
from .data.captures import UserCapture, read_capture
from .data.scenes import Scene
from .generators.registry import GENERATORS, Generator
from .optics.lens import Lens, Optics, RingMask
from .optics.psf import PsfBank
from .solver.settings import PRESETS, Settings
from .solver.solution import Solution
from .utils.errors import InputError

__version__: str
__all__ = [
    "GENERATORS",
    "PRESETS",
    "Generator",
    "InputError",
    "Lens",
    "Optics",
    "PsfBank",
    "RingMask",
    "Scene",
    "Sensor",
    "Settings",
    "Solution",
    "UserCapture",
    "evaluate",
    "photograph",
    "read_capture",
    "solve",
]

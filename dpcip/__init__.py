"""dpcip: all-in-focus image and metric depth from one photograph taken through a phase mask.

    import dpcip

    capture = dpcip.photograph(scene)   # or your own: dpcip.read_capture("photo.png").light
    solution = dpcip.solve(capture)     # .sharp, .depth_m, .psi_std; .plot(), .save("result")
    dpcip.evaluate(solution, scene)

__init__.pyi lists the names that other programs need; each is loaded when first used, since torch takes seconds. Behind
them are the rooms, `dpcip.solver`, `dpcip.camera` and so on (CONTRIBUTING.md has the map).
"""

import os

import lazy_loader

__version__ = "0.1.0"

# Idle OpenMP threads spin before they sleep, which takes from busy processes beside them and, in the end, from a solve.
# A thirtieth of GNU's spinning costs a solve alone nothing (`python tests/contention.py`); none at all, which is
# OMP_WAIT_POLICY=PASSIVE, costs 20 to 35 %. It must be said before torch is loaded; who has set any of these knows
# better. GOMP_: GNU's, in torch's Linux wheels. KMP_ (ms, else 200): LLVM's, of macOS and conda; not tested there.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("KMP_BLOCKTIME", "1")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

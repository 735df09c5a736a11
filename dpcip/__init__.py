"""dpcip: all-in-focus image and metric depth from one photograph taken through a phase mask."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads spin before they sleep, which takes from busy processes beside them and, in the end, from a solve.
# A thirtieth of GNU's spinning costs a solve alone nothing (`python tests/contention.py`); none at all, which is
# OMP_WAIT_POLICY=PASSIVE, costs 20 to 35 %. It must be said before torch is loaded; who has set any of these knows
# better. GOMP_: GNU's, in torch's Linux wheels. KMP_ (ms, else 200): LLVM's, of macOS and conda; not tested there.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ.setdefault("KMP_BLOCKTIME", "1")

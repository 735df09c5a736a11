"""Notebooks as tests: `python -m pytest -p tests.nbval_adapter notebooks`, also with `-n 2 --dist loadscope`.

All that the repository knows of nbval is here, so that it can be replaced: in cells marked `# NBVAL_CHECK_OUTPUT` what
is printed must equal what is stored, in the others nothing is compared but an error is a failure. Kernels run in
pytest's own environment. A notebook's cells go to one process, other tests to whichever is free.
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# So that two processes end together: the longest first, other notebooks and tests/ after them.
LONGEST_FIRST = ("06_real_world", "02_depth", "05_generators", "04_deblurring", "07_solver")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Sets nbval's options; the plugin itself is registered by its installation."""
    config.option.nbval_lax = True
    config.option.nbval_current_env = True
    config.option.loadscopereorder = False  # xdist would put those with the most cells first


class NotebooksWhole(LoadScopeScheduling):
    """A notebook to a process, each test on its own. (xdist's groups do not work with pytest 9.)"""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        return path if path.endswith(".ipynb") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> NotebooksWhole:
    """Shares the work among processes."""
    return NotebooksWhole(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts, and leaves the order within a notebook as it is."""
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)) if item.path.suffix == ".ipynb" else 99)

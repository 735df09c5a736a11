# make test, make repro: both make the environment in .venv first when it is missing, half made or out of date.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help writable repro site publish check test mutants lint golden notebooks lock clean

TORCH := 2.13.0

# The first python3.11 or python3 on PATH that runs (a pyenv shim may not), is 3.11 or newer and can make environments.
PYTHON ?= $(shell type -aP python3.11 python3 | grep -vxF -e '$(CURDIR)/.venv/bin/python3.11' -e '$(CURDIR)/.venv/bin/python3' \
	| while read -r p; do "$$p" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' &>/dev/null && echo "$$p" && break; done)

# Commands run with the environment's own programs first: DVC's stages and the notebooks' kernels call `python`.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" DVC_NO_ANALYTICS=1
PIP := .venv/bin/python -m pip --disable-pip-version-check --no-input

help:
	@echo 'make repro   what is missing or outdated of tables, figures and report; if nothing is, one row is solved anew as a proof'
	@echo '             FORCE=1: all of it anew, about an hour on two cores; stopped, make repro goes on where it was'
	@echo '             SCALE=tutorial: in small, about a quarter of an hour on two cores, into .work/tutorial; results/ stays as it is'
	@echo '             PROOF=1: that row once more, beside the stored one'
	@echo 'make site    results/REPORT.md and the executed notebooks as web pages: .work/site/index.html'
	@echo 'make check   the inner loop, within two minutes: lint, types, the quick tests, two short solves'
	@echo 'make test    environment, lint, tests, notebooks'
	@echo 'make mutants do the tests notice a mistake? some fifty of them, one after another'
	@echo 'make lint    ruff and mypy'
	@echo 'make golden  the golden numbers anew, where an ALGORITHM was raised; of a new case: tests/golden.py new NAME'
	@echo 'make notebooks  the outputs stored in notebooks/ anew (scale tutorial)'
	@echo 'make publish URL=https://github.com/OWNER/NAME   badges, Binder and Colab links in README.md, address in CITATION.cff'
	@echo 'make lock    requirements.lock anew, with the newest packages that fit pyproject.toml'
	@echo 'make clean   away with .venv and tool caches; results and interrupted work stay'
	@echo 'PYTHON=...   the interpreter to build .venv with, 3.11 or newer'

writable:
	@test -w . || { echo '$(CURDIR): is read-only; copy it (cp -r) to a folder of your own and run make there' >&2; exit 1; }

# Each stamp is written last, so a killed installation starts over.
.venv/locked: requirements.lock | writable
	@test -n '$(PYTHON)' || { echo 'dpcip needs Python 3.11 or newer with venv: install it, or say make PYTHON=/path/to/python' >&2; exit 1; }
	'$(PYTHON)' -m venv --clear .venv
	$(PIP) install -r requirements.lock
	touch $@

.venv/ready: .venv/locked pyproject.toml | writable
	$(PIP) install --quiet --no-build-isolation --no-deps -e .
	touch $@

SCALE ?=
FORCE ?=
PROOF ?=
repro: .venv/ready
	$(RUN) python -m dpcip.paper.repro $(if $(filter-out 0,$(FORCE)),--force) $(if $(filter-out 0,$(PROOF)),--proof) $(SCALE)

# The report with the executed notebooks, as pages in .work/site: large, and made from what is in git.
site: .venv/ready
	$(RUN) python -m dpcip.paper.site .work/site

# Once the repository has an address: make publish URL=https://github.com/OWNER/NAME
publish: .venv/ready
	$(RUN) python -m dpcip.paper.publish $(URL)

# `-n auto`: a process a core, as far as the memory goes, each with one thread unless OMP_NUM_THREADS says otherwise
# (conftest.py). A notebook stays with one process (tests/nbval_adapter.py).
test: lint
	$(RUN) python -m pytest -n auto --dist loadscope -p tests.nbval_adapter notebooks tests

SHORT_SOLVES := tests/test_cli.py::test_simulate_solve_evaluate \
	'tests/test_golden.py::test_numbers_stand_while_the_algorithm_does[fast-dip]'
check: lint
	$(RUN) python -m pytest -n auto --dist worksteal -m 'not slow' tests
	$(RUN) python -m pytest $(SHORT_SOLVES)

mutants: .venv/ready
	$(RUN) python tests/mutants.py

lint: .venv/ready
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports --no-cache --no-logo

# What solves, trainings and deblurrings in small come to: tests/golden_numbers. A new case's first numbers: python
# tests/golden.py new NAME; a missing file is refused otherwise.
golden: .venv/ready
	$(RUN) python tests/golden.py

# What GitHub shows and `make test` compares with. Without timestamps, so that only what changed differs, and without the
# pictures that Markdown cells show from results/figures (tag SAVED of dpcip/evaluation/figures.py).
NOTEBOOKS ?= $(wildcard notebooks/*.ipynb)
notebooks: .venv/ready
	$(RUN) jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
		--NotebookExporter.preprocessors=nbconvert.preprocessors.TagRemovePreprocessor \
		--TagRemovePreprocessor.remove_single_output_tags=saved $(NOTEBOOKS)

lock:
	@test -n '$(PYTHON)' || { echo 'make lock needs Python 3.11: say make lock PYTHON=/path/to/python3.11' >&2; exit 1; }
	rm -rf .work/lock
	'$(PYTHON)' -m venv .work/lock
	.work/lock/bin/python -m pip install --upgrade setuptools
	.work/lock/bin/python -m pip install torch==$(TORCH) 'soupsieve<3' -e '.[dev]' # 3 is not for Debian's Python 3.11.2
	{ grep '^#' requirements.lock; .work/lock/bin/python -m pip freeze --all --exclude pip --exclude-editable \
		| sed 's/+cpu$$//' | grep -viE '^(nvidia|cuda|triton)'; } > .work/requirements.lock
	mv .work/requirements.lock requirements.lock

clean:
	rm -rf .venv .work/lock .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info

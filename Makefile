# make test, make repro: both make the environment in .venv first when it is missing, half made or out of date.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help repro site publish test lint notebooks lock clean

TORCH := 2.13.0

# The first python3.11 or python3 on PATH that runs (a pyenv shim may not), is 3.11 or newer and can make environments.
PYTHON ?= $(shell type -aP python3.11 python3 | grep -vxF -e '$(CURDIR)/.venv/bin/python3.11' -e '$(CURDIR)/.venv/bin/python3' \
	| while read -r p; do "$$p" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' &>/dev/null && echo "$$p" && break; done)

# Commands run with the environment's own programs first: DVC's stages and the notebooks' kernels call `python`.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" DVC_NO_ANALYTICS=1
PIP := .venv/bin/python -m pip --disable-pip-version-check --no-input

help:
	@echo 'make repro   every table and figure anew, as dvc.yaml says (what is up to date is not made again)'
	@echo '             SCALE=tutorial: in small, about a quarter of an hour on two cores, into .work/tutorial; results/ stays as it is'
	@echo 'make site    results/REPORT.md and the executed notebooks as web pages: .work/site/index.html'
	@echo 'make test    environment, lint, tests, notebooks'
	@echo 'make lint    ruff and mypy'
	@echo 'make notebooks  the outputs stored in notebooks/ anew (scale tutorial)'
	@echo 'make publish URL=https://github.com/OWNER/NAME   badges, Binder and Colab links in README.md, address in CITATION.cff'
	@echo 'make lock    requirements.lock anew, with the newest packages that fit pyproject.toml'
	@echo 'make clean   away with .venv and tool caches; results and interrupted work stay'
	@echo 'PYTHON=...   the interpreter to build .venv with, 3.11 or newer'

# Each stamp is written last, so a killed installation starts over.
.venv/locked: requirements.lock
	@test -n '$(PYTHON)' || { echo 'dpcip needs Python 3.11 or newer with venv: install it, or say make PYTHON=/path/to/python' >&2; exit 1; }
	'$(PYTHON)' -m venv --clear .venv
	$(PIP) install -r requirements.lock
	touch $@

.venv/ready: .venv/locked pyproject.toml
	$(PIP) install --quiet --no-build-isolation --no-deps -e .
	touch $@

SCALE ?=
repro: .venv/ready
	$(RUN) python -m dpcip.repro $(SCALE)

# The report with the executed notebooks, as pages in .work/site: large, and made from what is in git.
site: .venv/ready
	$(RUN) python -m dpcip.site .work/site

# Once the repository has an address: make publish URL=https://github.com/OWNER/NAME
publish: .venv/ready
	$(RUN) python -m dpcip.publish $(URL)

test: lint
	$(RUN) python -m pytest tests
	$(RUN) python -m pytest --nbval-lax --nbval-current-env $(addprefix --nbval-sanitize-with ,$(wildcard notebooks/*.cfg)) notebooks

lint: .venv/ready
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

# What GitHub shows and nbval compares with. Without timestamps, so that only what changed differs.
NOTEBOOKS ?= $(wildcard notebooks/*.ipynb)
notebooks: .venv/ready
	$(RUN) jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)

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

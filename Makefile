# Two commands: `make demo` and `make test`. Everything else is for people who work on the code.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# Some images set it; then each of the daemons that the tests start would compile the whole source anew.
unexport PYTHONDONTWRITEBYTECODE

FUZZ_S ?= 600
DEEP_S ?= 600
# Stories wait for devices about as often as they work: one worker more than there are cores, at most six.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -lt 6 ] && echo $$((n + 1)) || echo 6)

.PHONY: help demo test test-fast check lint format types bench fuzz test-deep lock clean setup setup-dev parts

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: setup ## run the daemon with 50 simulated adapters on loopback; Ctrl-C ends it
	$(BIN)/kajitori demo

test: setup-dev parts ## set everything up and run every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: setup-dev ## format, lint, types, architecture and fast tests; under a minute when warm
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m fast -p no:cacheprovider $$(grep -rl 'mark\.fast' tests --include='test_*.py')

format: setup-dev ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup-dev ## print each figure beside a named baseline of the same run
	$(BIN)/python -m tests.bench

fuzz: setup-dev $(VENV)/.ready-fuzz ## fuzz every parser and the doors, guided by coverage; FUZZ_S=600 seconds in all
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S)

test-deep: setup-dev ## mutate the rules (DEEP_S=600 seconds, 0: all), and each rule against its own tests; cut a push after every byte and kill it in every state (hours)
	$(BIN)/python -m tests.mutation --seconds $(DEEP_S)
	$(BIN)/python -m tests.mutation --each-rule
	$(BIN)/python -m tests.deep
	KAJITORI_REAL_S=300 $(BIN)/python -m pytest -q tests/controller/metering/test_real_line.py

lock: ## resolve the dependencies again (needs uv); no index address is written
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q --group build pyproject.toml -o requirements.lock
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q --extra pdf -c requirements.lock pyproject.toml -o requirements-pdf.lock
	uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q --group fuzz -o requirements-fuzz.lock

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) .fuzz dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/.ready-run
setup-dev: $(VENV)/.ready-dev

parts: ## install the servers that the tests talk to (as root), or list what is missing
	@sh tests/parts.sh

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Kajitori needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh deploy/need-ensurepip.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-run: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready-run
	$(PIP) -r requirements-dev.lock
	@touch $@

$(VENV)/.ready-fuzz: requirements-fuzz.lock $(VENV)/.ready-dev
	$(PIP) -r requirements-fuzz.lock
	@touch $@

# Two commands do everything on a fresh machine with python3, python3-venv and make: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test check bench chaos clean help

help:            ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(STAMP)    ## set up and run the relay with its embedded store and the example workspace
	$(BIN)/relay up

test: $(STAMP)   ## set up and run lint, types, floors and all tests
	$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

check: $(STAMP)  ## lint, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/relay check recipes

bench: $(STAMP)  ## measure the relay beside its references
	$(BIN)/python -m bench $(ARGS)

chaos: $(STAMP)  ## kill, cut, fill and freeze a relay under load: make chaos SECONDS=600 SEED=1
	$(BIN)/python -m tests.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

$(STAMP): pyproject.toml .ci/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "relay needs Python 3.11 or newer; set PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --group dev --editable .
	@touch $(STAMP)

clean:           ## remove the virtual environment and every cache; the data folder stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
PROJECT := $(INSTALL) --no-deps --no-build-isolation --editable .
COVER := --cov --cov-report=
PYTEST := $(BIN)/pytest --numprocesses 4
LAWS := core/model/*,core/rules/*,bots/*/wire.py

.PHONY: help run test check cases conformance bench soak mutants

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 13

run: .venv/.installed  ## install what the program needs, and start it
	@$(BIN)/signoff run

test: .venv/.installed-dev  ## every test but the proofs and the soaks
	@rm -f .coverage .coverage.*
	$(PYTEST) -m "not proof and not soak" $(COVER)

check: .venv/.installed-dev  ## what CI runs: format, lint, types, contracts, all tests, coverage floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
ifdef SIGNOFF_TESTED  # make test has just passed and left its coverage: add the proofs (5: there are none)
	$(PYTEST) -m "proof and not soak" $(COVER) --cov-append || [ $$? -eq 5 ]
else
	$(PYTEST) -m "not soak" $(COVER)
endif
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='$(LAWS)'

cases: .venv/.installed-dev  ## what must hold of inquiries, case by case, in every place
	$(BIN)/python -m tests.cases

conformance: .venv/.installed-dev  ## every adapter against its fake: adapter x group, and no cell empty
	$(BIN)/python -m tests.conformance.platforms

bench: .venv/.installed-dev  ## measure
	$(BIN)/python -m benchmarks

soak: .venv/.installed-dev  ## the proofs and the soaks, at full length
	SIGNOFF_SOAK=1 $(PYTEST) -m "proof or soak"

mutants: .venv/.installed-dev  ## break the code in many places, and see that a test notices each
	$(BIN)/python -m tests.mutants

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Signoff needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/.installed: requirements/run.txt pyproject.toml | .venv/bin/python
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(PROJECT)
	@touch $@

.venv/.installed-dev: requirements/run.txt requirements/dev.txt pyproject.toml | .venv/bin/python
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(PROJECT)
	@touch .venv/.installed $@

# Each target makes the environment it needs in .venv. A stamp per extra makes the second call instant;
# a newer pyproject.toml installs again.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo check lint types layers docs test laws slow bench clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --editable
# One worker per core with one BLAS thread each beats one process with threaded BLAS: most tests are small matrices.
# loadscope keeps the tests of one module, and so its fixtures, on one worker.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadscope
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3 python

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{ printf "make %-6s  %s\n", $$1, $$2 }'

$(BIN)/python:
	@for candidate in $(PYTHONS); do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "make: making $(VENV) with $$("$$candidate" --version)"; "$$candidate" -m venv $(VENV); exit 0; \
	  fi; \
	done; \
	echo "make: no Python 3.11 or newer with the venv module was found (tried: $(strip $(PYTHONS)))." >&2; \
	echo "make: install one (Debian: python3 and python3-venv), or name it: make PYTHON=/path/to/python3 demo" >&2; \
	exit 1

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "make: installing varmix[$*] into $(VENV)"
	@$(PIP) ".[$*]"
	@touch $@
.PRECIOUS: $(VENV)/.installed-%

demo: $(VENV)/.installed-demo ## fit the data that ship with varmix in every way, write a table and figures to varmix-demo/
	@$(BIN)/varmix demo

test: $(VENV)/.installed-test ## run the tests, without the slow ones
	@$(PYTEST)

laws: $(VENV)/.installed-test ## run only the laws that every scheme and factor must obey
	@$(PYTEST) tests/laws

slow: $(VENV)/.installed-test ## run the slow tests, with longer searches for counterexamples
	@VARMIX_HYPOTHESIS=slow $(PYTEST) tests/laws
	@VARMIX_HYPOTHESIS=slow $(PYTEST) -m slow

check: lint types layers docs ## style, types, layers and a strict build of the documentation

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

layers: $(VENV)/.installed-dev
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.installed-docs ## build the documentation into docs/_build/html; any warning is an error
	@$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

bench: $(VENV)/.installed-test ## time varmix beside other programs
	@shopt -s nullglob; found=(benchmarks/*.py); \
	 if [ $${#found[@]} -eq 0 ]; then echo "make: benchmarks/ holds no program" >&2; exit 1; fi; \
	 for program in "$${found[@]}"; do echo "== $$program"; $(BIN)/python "$$program"; done

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist docs/_build docs/jupyter_execute varmix-demo .pytest_cache .mypy_cache .ruff_cache \
	  .import_linter_cache .hypothesis

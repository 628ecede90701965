# Everything from a clean clone. `make` alone lists what there is.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
CORE_ROOMS := objects keys history federation strategies merging
CORE_TESTS = $(foreach room,$(CORE_ROOMS),$(wildcard tests/$(room) tests/test_$(room).py))

.DEFAULT_GOAL := help
.PHONY: help demo demo-heart test test-core lint slow faults planted torture bench picture science-demo science-phantom science-lgg clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: .venv/.learning ## four hospitals with different scanners learn to draw brain tumours (installs PyTorch)
	$(BIN)/imagiq demo brain $(ARGS)

demo-heart: .venv/.core ## four real hospitals predict heart disease, five ways, in seconds (needs no PyTorch)
	$(BIN)/imagiq demo heart $(ARGS)

test: .venv/.dev ## the test suite, under 5 minutes; what takes longer is in slow, faults and torture
	$(PYTEST) -n 2 $(ARGS)

test-core: .venv/.dev ## the pure rooms alone, under 10 seconds
	$(PYTEST) -q -n 2 -m "not process" --hypothesis-profile=core $(or $(CORE_TESTS),$(error there are no core tests)) $(ARGS)

lint: .venv/.dev ## style, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

slow: .venv/.dev ## every document, networks in workers, running sites, quick benchmarks: what takes minutes
	$(PYTEST) -n 2 --dist loadfile -m "slow and not faults" $(ARGS)

faults: .venv/.dev ## real sites killed, cut, lied to and flooded: one test for each fault, some ten minutes (docs/faults.md)
	$(PYTEST) -n 3 --dist loadfile -p no:randomly -m faults tests/faults tests/torture/test_kill_running_sites.py $(ARGS)

planted: .venv/.dev ## plant bugs, one at a time, and see that the suite finds each
	$(BIN)/python tests/planted/run.py $(ARGS)

torture: .venv/.dev ## the long form of the state machines and crash tests
	$(PYTEST) -n 2 -m torture --hypothesis-profile=torture --timeout=0 $(ARGS)

bench: .venv/.dev ## the budgets, each beside its limit line
	$(BIN)/python -m benchmarks $(ARGS)

picture: .venv/.learning ## render the demo's report for README.md (needs Chromium)
	$(BIN)/imagiq demo brain --folder build/picture --fresh --quiet
	$(BIN)/python docs/pictures/render.py build/picture/report.html docs/pictures/report.png

science-demo: .venv/.learning ## the brain demonstration on seeds 100 to 104 (docs/results; some 20 processor minutes)
	$(BIN)/python -m science.phantom $(ARGS)

science-phantom: .venv/.learning ## the same, trained to convergence, on seeds 100 to 102 (some 60 processor minutes)
	$(BIN)/python -m science.phantom --steps 750 --updates 2 --converged 0
	$(BIN)/python -m science.phantom --steps 750 --updates 2 --seeds 100-102 $(ARGS)

science-lgg: .venv/.learning ## real gliomas of four institutions, five folds (needs ../shared/data; some 45 processor minutes)
	$(BIN)/python -m science.lgg --steps 400 --updates 2 $(ARGS)

clean: ## remove the environment and all caches
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
	find src tests benchmarks science -name __pycache__ -prune -exec rm -rf {} +

# A stamp is newer than what was installed from: the second call installs nothing.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'imagiq needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...'; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.core: .venv/.made pyproject.toml constraints.txt
	@echo 'Installing imagiq into .venv ...'
	@$(PIP) install --editable . --constraint constraints.txt
	@touch $@

.venv/.learning: .venv/.core
	@echo 'Installing PyTorch and MONAI into .venv ...'
	@$(PIP) install --editable '.[learning]' --constraint constraints.txt
	@touch $@

.venv/.dev: .venv/.core
	@echo 'Installing what the tests need into .venv ...'
	@$(PIP) install --editable '.[dev]' --constraint constraints.txt
	@touch $@

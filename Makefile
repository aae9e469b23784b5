# make run: a running system. make test: every test. Python 3.11 or newer is all they need.
.PHONY: install run check test bench torture torture-smoke torture-mutants test-tools lock docs image help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

install: $(VENV)/.runtime .env ## virtual environment, locked dependencies, .env with its own keys

run: install ## set everything up and serve
	@exec $(BIN)/gunicorn -c gunicorn.conf.py wsgi:app

test: $(VENV)/.dev ## every test
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## formatting, lint, types, import rules, code rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_code_rules.py

bench: $(VENV)/.dev ## speed and memory, compared with the limits of this machine
	$(BIN)/python -m bench

torture: $(VENV)/.dev ## the promises of docs/reliability.md under faults: 45 minutes
	$(BIN)/python -m torture

torture-smoke: $(VENV)/.dev ## the same at its smallest; a part of make test
	$(BIN)/python -m torture --scale smoke

torture-mutants: $(VENV)/.dev ## prove that each of the fault checks can fail
	$(BIN)/python -m torture --mutants

lock: $(VENV)/.dev ## renew the locked versions of the dependencies
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --upgrade pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --upgrade pyproject.toml --group dev -o requirements/dev.lock

test-tools: ## on Debian, as root: what the tests of PostgreSQL, of browsers and of faults need
	apt-get update -q && apt-get install -y -q postgresql chromium firefox-esr strace gcc libc6-dev nginx-light

docs: $(VENV)/.dev ## write the generated parts of docs/
	$(BIN)/python -m scripts.write_docs

image: ## the container image, by docker, podman or buildah
	scripts/build_image.sh

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' Makefile

.env:
	@$(PYTHON) scripts/make_env.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.lock | $(BIN)/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements/runtime.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime | $(BIN)/python
	$(BIN)/python -m pip install -q --require-hashes -r requirements/dev.lock
	@touch $@

# Everything a newcomer needs; `make help` lists it.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
export NEXT_TELEMETRY_DISABLED := 1
# Compiled modules are kept in our own folders whatever the machine's habit: without them each process compiles anew what it
# imports, two seconds of three at the start of each, and a desk has eight.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup up down status doctor test webtest itest browser budget chromium conformance check format lock gen migrate web clean

help: ## what can be done
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/ —/'

$(VENV)/.installed: requirements/base.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Perpilot needs Python 3.11 or newer: set PYTHON=python3.12, for example"; exit 1; }
	@echo "[1/3] Python packages (about 1.2 GB, once)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: python3-venv)"; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements/base.txt -r requirements/dev.txt
	@$(BIN)/python -c 'import pathlib, site; pathlib.Path(site.getsitepackages()[0], "perpilot.pth").write_text(str(pathlib.Path.cwd()) + "\n")'
	@printf '#!/bin/sh\nPYTHONDONTWRITEBYTECODE= exec "$$(dirname "$$0")/python" -m apps.cli.main "$$@"\n' > $(BIN)/perpilot && chmod +x $(BIN)/perpilot
	@touch $@

setup: $(VENV)/.installed ## install and build, start nothing
	@echo "[2/3] The desk's pages"
	@$(BIN)/python -m apps.cli.build_web
	@echo "[3/3] Compiled kernels"
	@$(BIN)/python -m apps.cli.warm_kernels

up: setup ## install, migrate, start everything, open the desk
	@exec $(BIN)/perpilot up

down status doctor: $(VENV)/.installed ## stop, look, diagnose
	@$(BIN)/perpilot $@

check: $(VENV)/.installed ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The checks and the pages' tests take what the tests, which wait a lot, leave over of the processor; they are shown last.
test: setup ## every test
	@mkdir -p .cache; nice -n 15 $(MAKE) --no-print-directory check webtest > .cache/checks.log 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest -n 2 --dist loadgroup -rs; tests=$$?; \
	wait $$checks; checks=$$?; cat .cache/checks.log; \
	$(BIN)/python -m tests.keys_written; exit $$((tests | checks | $$?))

webtest: $(VENV)/.installed ## the pages' style, types and tests
	$(BIN)/python -m apps.cli.build_web --test

itest: $(VENV)/.installed ## only the tests that need servers
	$(BIN)/python -m pytest -m integration

browser: $(VENV)/.installed ## the pages and actions of the demo desk that runs, in a real Chromium; pictures into docs/images
	cd apps/web && PATH="$$PATH:$(CURDIR)/$(BIN)" node scripts/check-desk.mjs ../../docs/images

budget: setup ## how fast the pages are, in a real Chromium
	cd apps/web && export PATH="$$PATH:$(CURDIR)/$(BIN)" && node scripts/size.mjs && node scripts/check-budget.mjs

chromium: setup ## a browser for the tests that need one, where the machine has none
	@cd apps/web && PATH="$$PATH:$(CURDIR)/$(BIN)" node scripts/browser.mjs --install

conformance: $(VENV)/.installed ## released clients of other people against the emulated exchange (installs them)
	CONFORMANCE=1 $(BIN)/python -m pytest -rs tests/conformance

migrate: $(VENV)/.installed ## bring the database of DATABASE_URL to this code's schema
	$(BIN)/python -m alembic upgrade head

web: $(VENV)/.installed ## build the desk's pages
	@$(BIN)/python -m apps.cli.build_web

format: $(VENV)/.installed ## rewrite style
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: ## pin requirements anew, with hashes, without addresses
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q --upgrade requirements/base.in -o requirements/base.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -q --upgrade requirements/dev.in -o requirements/dev.txt

gen: $(VENV)/.installed ## the API's OpenAPI document and the web client made from it
	$(BIN)/python -m apps.api.export_openapi apps/web/openapi.json
	cd apps/web && npm run gen

clean: ## remove what was built, keep ./var
	rm -rf $(VENV) .cache apps/web/node_modules apps/web/.next apps/web/out

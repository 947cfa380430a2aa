# Needs Python 3.11 or newer with its venv module, and make. Paths are relative: a folder with blanks in its name is fine.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

# The tests start the service hundreds of times; without bytecode, each start would compile it again.
unexport PYTHONDONTWRITEBYTECODE

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

bin := .venv/bin
# Stamps: the environment is touched only when what it is made from has changed.
runtime := .venv/runtime.stamp
development := .venv/development.stamp

# The dashboard: what is served, and what it is made from.
bundle := service/dashboard/index.html
sources := $(shell find dashboard/src -type f ! -name schema.d.ts) dashboard/index.html dashboard/vite.config.ts dashboard/package-lock.json
packages := dashboard/node_modules/development.stamp
node := .venv/node.stamp

.PHONY: help run test check fix bench openapi lock image clean dashboard bundle screenshots

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(runtime)  ## start Restante with its own PostgreSQL, on http://127.0.0.1:8080
	@$(MAKE) --no-print-directory $(bundle) || echo "Restante starts without its dashboard; \`make bundle\` tries again." >&2
	@$(bin)/restante serve

test: $(development) $(packages) $(bundle)  ## run all tests; arguments for pytest in ARGS
ifdef ARGS
	@$(bin)/python -m pytest $(ARGS)
else
	@$(npm) test --silent
	@$(bin)/python -m pytest --numprocesses 2 --dist worksteal -m "not alone"
	@$(bin)/python -m pytest -m alone
endif

dashboard: $(packages)  ## the dashboard with reload, on http://127.0.0.1:8081, beside a `make run`
	@$(npm) run --silent dev

bundle: $(bundle)  ## build the dashboard into service/dashboard

screenshots: $(development) $(bundle)  ## photograph every screen of the dashboard, into build/screenshots
	@$(bin)/python tests/dashboard/screenshots.py

check: $(development) $(packages)  ## look for mistakes without running anything: style, types, directions of imports, dependencies
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy
	$(bin)/lint-imports
	$(bin)/deptry .
	$(npm) run --silent check

fix: $(development) $(packages)  ## let ruff and biome format, and repair what they can
	$(bin)/ruff check --fix .
	$(bin)/ruff format .
	$(npm) run --silent fix

bench: $(development)  ## measure, and write the table to bench/results; arguments in ARGS
	@$(bin)/python bench/run $(ARGS)

openapi: $(development)  ## write openapi/openapi.json
	@$(bin)/restante openapi > openapi/openapi.json.new
	@mv openapi/openapi.json.new openapi/openapi.json

lock:  ## resolve the dependencies anew (needs uv)
	$(compile) pyproject.toml --group build -o requirements.lock
	$(compile) pyproject.toml --extra otel --group build -c requirements.lock -o requirements-otel.lock
	$(compile) pyproject.toml --group build --group dev -c requirements.lock -o requirements-dev.lock
	$(compile) pyproject.toml --group bench -c requirements.lock -o requirements-bench.lock
	$(compile) --group pyproject.toml:node -o requirements-node.lock

image:  ## build the container image
	docker build --tag restante .

clean:  ## remove everything that was made, except the data in .restante
	rm -rf .venv build dist service/dashboard dashboard/node_modules *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

compile = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# The first Python that is new enough and can make environments; PYTHON=... chooses another.
python = $$(for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$python"; break; fi; done)

# Made anew when its Python is gone, or when the checkout has moved: an environment holds its own path.
.venv/environment.stamp: $(if $(shell .venv/bin/python -c 'import os, sys; sys.exit(open(".venv/environment.stamp").read() != os.getcwd())' 2>/dev/null || echo stale),always)
	@python=$(python); \
	if [ -z "$$python" ]; then \
		echo "Restante needs Python 3.11 or newer with venv (on Debian and Ubuntu: apt install python3 python3-venv)." >&2; exit 1; \
	fi; \
	"$$python" -m venv --clear .venv
	@printf %s "$$(pwd -P)" > $@

.PHONY: always
always:

$(runtime): .venv/environment.stamp requirements.lock pyproject.toml
	@if ! [ -e $(development) ]; then $(bin)/pip install --quiet --require-hashes -r requirements.lock; fi
	@if [ -e $(development) ]; then $(MAKE) --no-print-directory $(development); fi
	@$(install)
	@touch $@

$(development): .venv/environment.stamp requirements-dev.lock pyproject.toml
	@$(bin)/pip install --quiet --require-hashes -r requirements-dev.lock
	@$(install)
	@touch $@

# The project itself, as a path: what is edited is what runs.
install = $(bin)/pip install --quiet --no-deps --no-build-isolation --no-index --editable .

# Node is the machine's, or pip's where the machine has none; it is needed to build the dashboard and to check it.
$(node): .venv/environment.stamp requirements-node.lock
	@$(bin)/python dashboard/build.py has-node || $(bin)/pip install --quiet --require-hashes -r requirements-node.lock
	@touch $@

$(bundle): $(sources) | $(node)
	@$(bin)/python dashboard/build.py
	@touch $@

npm = $(bin)/python dashboard/build.py npm

$(packages): dashboard/package-lock.json | $(node)
	@$(npm) ci --ignore-scripts --no-progress --loglevel=error
	@touch $@

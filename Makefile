# `make up` starts the mesh, `make test` proves it, `make help` lists the rest.
# All that a machine needs is Python 3.11 or newer, with venv and pip, and make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check -qq
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--extra local --extra triton --extra otel --group build \
	--generate-hashes --no-emit-index-url --no-header --prerelease if-necessary-or-explicit

PROTOS = $(shell find protos -name '*.proto' | sort)
VENDORED := third_party/protos/buf/validate/validate.proto \
	third_party/protos/xds/data/orca/v3/orca_load_report.proto
STUBS := buf/validate catenary/config/v1 catenary/v1 xds/data/orca/v3

.DEFAULT_GOAL := help
.PHONY: help up test bench soak check format lint types protos fresh fix gen lock
.DELETE_ON_ERROR:

help: ## List the commands
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 8

up: $(BIN)/.run ## Start the mesh; `make up ARGS="--placement split"` passes options on
	@exec $(BIN)/catenary up $(ARGS)

test: check $(BIN)/.stock ## Run every check and every test; ARGS go to pytest
	$(BIN)/pytest $(ARGS)

bench: $(BIN)/.dev ## Measure what the chain costs, in one run
	$(BIN)/python -m bench $(ARGS)

soak: $(BIN)/.dev ## Send 20,000 requests, and see that nothing grows
	$(BIN)/python -m bench.soak $(ARGS)

check: format lint types protos fresh ## Run every check, but no test

format: $(BIN)/.dev
	$(BIN)/ruff format --check .

lint: $(BIN)/.dev
	$(BIN)/ruff check .

types: $(BIN)/.dev
	$(BIN)/mypy

protos: $(BIN)/.dev
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@# Published first: in a clone, the local `main` may lag behind.
	@main=$$(git rev-parse --verify --quiet origin/main 2>/dev/null \
		|| git rev-parse --verify --quiet main 2>/dev/null); \
	if [ -z "$$main" ]; then \
		echo "there is no main to compare with: the check for breaking changes is left out"; \
	else \
		rm -rf .venv/main && mkdir .venv/main && \
		git archive "$$main" buf.yaml protos third_party | tar -x -C .venv/main && \
		echo "$(BIN)/buf breaking --against main" && \
		$(BIN)/buf breaking --against .venv/main; \
	fi

fresh: $(BIN)/.dev
	@rm -rf .venv/stubs && mkdir .venv/stubs
	@$(MAKE) --no-print-directory gen OUT=.venv/stubs
	@for folder in $(STUBS); do \
		diff --recursive --brief --exclude=__pycache__ .venv/stubs/$$folder $$folder \
			|| { echo "the stubs are not those of protos/: run 'make gen'" >&2; exit 1; }; \
	done

fix: $(BIN)/.dev ## Format everything, and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write

gen: OUT = .
gen: $(BIN)/.dev ## Generate the Python stubs from protos/
	@PATH=$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iprotos -Ithird_party/protos \
		--python_out=$(OUT) --mypy_out=quiet:$(OUT) $(PROTOS) $(VENDORED)
	@PATH=$(BIN):$$PATH $(BIN)/python -m grpc_tools.protoc -Iprotos -Ithird_party/protos \
		--grpc_python_out=$(OUT) --mypy_grpc_out=quiet:$(OUT) $(shell grep -l '^service' $(PROTOS))

lock: $(BIN)/.dev ## Choose the newest versions that fit, and lock them with their hashes
	$(LOCK) --upgrade --output-file requirements.lock
	$(LOCK) --upgrade --group dev --constraints requirements.lock \
		--output-file requirements-dev.lock
	echo "numpy~=1.26 ; python_version < '3.13'" | $(BIN)/uv pip compile - --no-config --quiet \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--upgrade --output-file requirements-stock.lock

# What is installed, as files: pip runs again only when what they depend on has changed.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit( \
		f"Python 3.11 or newer is needed, and {sys.executable} is older: make up PYTHON=python3.x")'
	$(PYTHON) -m venv .venv

$(BIN)/.run: requirements.lock pyproject.toml | $(BIN)/pip
	@echo "installing into .venv: a minute or so, once"
	$(PIP) install --no-deps --require-hashes --requirement requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/.dev: requirements-dev.lock $(BIN)/.run
	@echo "installing what the checks and tests need"
	$(PIP) install --no-deps --require-hashes --requirement requirements-dev.lock
	@touch $@

# NVIDIA's own models, as the tests play them, take texts as BYTES tensors. The Python backend of
# nvidia-pytriton was built against numpy 1, and cannot read them under numpy 2.
$(BIN)/.stock: requirements-stock.lock | $(BIN)/pip
	$(BIN)/python -m venv --without-pip .venv/numpy1
	$(PIP) --python .venv/numpy1/bin/python install --no-deps --require-hashes \
		--only-binary :all: --requirement requirements-stock.lock
	@touch $@

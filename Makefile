# Every target sets up what it needs: on a new machine Python, git and make are enough.
PYTHON ?= python3
UV := .uv/bin/uv
RUN := $(UV) run --frozen --all-extras

.DEFAULT_GOAL := help
.PHONY: help setup check test tables demo bench clean

help:  ## say what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'

.venv/.complete: $(UV) uv.lock pyproject.toml
	$(UV) sync --frozen --all-extras --compile-bytecode --quiet
	@touch $@

setup: .venv/.complete  ## install everything into .venv, with a uv of the project's own in .uv

check: setup  ## format, lint, types, layers, container and workflow files
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/scorelake.yml
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	if [ "$$(uname -sm)" = "Linux x86_64" ]; then $(RUN) hadolint Dockerfile; fi

test: setup  ## run the tests
	$(RUN) pytest -n auto --dist worksteal

tables: setup  ## write docs/tables.md from the declarations
	$(RUN) python -m flows.dictionary > docs/tables.md

demo: setup  ## the whole road on generated comments, into .scorelake
	$(RUN) scorelake demo

bench: setup  ## measure commands, features beside Feast's own store, scoring beside the usual way
	$(RUN) python -m tests.benchmarks.commands
	$(RUN) python -m tests.benchmarks.retrieval
	$(RUN) python -m tests.benchmarks.materialize
	$(RUN) python -m tests.benchmarks.scoring

clean:  ## remove what setup and the tools made; the lake stays
	rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

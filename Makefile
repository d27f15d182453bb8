# `make demo` and `make test` need Python 3.11 or newer and make, and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo test check prove services bench lock clean

help: ## this page
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: .venv/installed ## everything that is needed, into .venv

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## two synthetic hospitals, two days, their KPIs
	$(BIN)/carelake demo

test: install ## every test that this machine can run; what it lacks is listed at the end
	$(BIN)/pytest

check: install ## exactly what CI runs, besides the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

services: install ## PostgreSQL, MariaDB, a JVM and Spark with Delta, from Debian, PyPI and Maven Central
	tools/services

prove: install ## the slow proofs: kills at random instants, concurrent writers, many more generated cases
	$(BIN)/pytest -m prove

bench: install ## speeds, each against a named alternative in the same run
	$(BIN)/python -m bench

lock: ## pin every dependency anew, with hashes; needs uv
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate -o requirements.lock
	printf 'pandas>=2.2,<3\npyspark[sql]>=4.2,<4.3\n' | uv pip compile - -c requirements.lock --python-version 3.11 --universal --generate-hashes --no-header --no-annotate -o requirements-spark.lock

clean: ## away with what was installed and made
	rm -rf .venv carelake-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

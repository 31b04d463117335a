# Everything runs in environments that hatch makes; hatch itself comes into .hatch/. All that has to be
# there is make and a Python (3.11 or newer). `make help` lists the targets.

# The first Python on PATH that is new enough.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
HATCH ?= .hatch/bin/hatch
SECONDS ?= 20
VERSIONS = 3.11 3.12 3.13
SEEDS ?= 20000
FIRST ?= 1

.DEFAULT_GOAL := help
.PHONY: help test exhaustive crash simulate fuzz adapters recipes browser check lint types fix matrix lowest dist docs demo bench audit lock clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: $(HATCH) ## Run the tests; `make test ARGS="-k plan"` hands arguments to pytest.
	$(HATCH) run test $(ARGS)

exhaustive: $(HATCH) ## Run the tests that `make test` leaves out: all providers, each fault, each kill.
	$(HATCH) run exhaustive $(ARGS)

crash: $(HATCH) ## Kill real processes: at every step, in company, and 200 times at moments drawn by chance.
	AI_BATCH_KILLS=50 $(HATCH) run test -m crash $(ARGS)

simulate: $(HATCH) ## Live through random histories of all providers; `make simulate SEEDS=20000 [FIRST=1] [PROVIDER=openai]`.
	$(HATCH) run simulate --seeds $(SEEDS) --first $(FIRST) $(if $(PROVIDER),--provider $(PROVIDER))

adapters: $(HATCH) ## Run the tests with models of LangChain and Pydantic AI, which need both.
	$(HATCH) run adapters:test $(ARGS)

recipes: $(HATCH) ## Run the recipes for Airflow, Dask, Prefect, Spark and Temporal, which need all of them, and Java.
	$(HATCH) run recipes:test $(ARGS)

browser: $(HATCH) ## Run the tests of the command line's pages, which need Chromium.
	$(HATCH) run browser:test $(ARGS)

check: $(HATCH) ## Run what a change must pass: lint, types, and the tests with their coverage.
	$(HATCH) run check

fuzz: $(HATCH) ## Fuzz what reads others' data, a target SECONDS (20) long; ARGS names targets.
	$(HATCH) run fuzz:run $(SECONDS) $(ARGS)

lint: $(HATCH) ## Look for bad style and misformatted files.
	$(HATCH) run lint

types: $(HATCH) ## Check the types with mypy and with pyright, both strict.
	$(HATCH) run types

fix: $(HATCH) ## Repair what the linter can repair, and format.
	$(HATCH) run fix

# pyenv's python3.12 answers only if PYENV_VERSION names it; where there is no pyenv this changes nothing.
matrix: export PYENV_VERSION = $(shell pyenv versions --bare 2>/dev/null | grep -E '^3\.1[1-9]' | paste -sd: -)
matrix: $(HATCH) ## Run the tests on every supported Python that this machine has.
	@for version in $(VERSIONS); do \
		if python$$version -c '' 2>/dev/null; then \
			echo "Python $$version:"; $(HATCH) test --python $$version $(ARGS) || exit 1; \
		else echo "Python $$version: not on this machine, skipped."; fi; \
	done

lowest: $(HATCH) ## Run the tests with the oldest versions that the packages allow.
	$(HATCH) run lowest:test $(ARGS)

dist: $(HATCH) ## Build every distribution into dist/ and try each wheel alone.
	rm -rf dist
	$(HATCH) build --all
	$(HATCH) run python tools/set_version.py --check
	$(HATCH) run python tools/check_dist.py dist

docs: $(HATCH) ## Build the documentation into site/; a broken link is an error.
	$(HATCH) run docs:build

demo: $(HATCH) ## Run the example that needs no key: a batch job against the emulator.
	$(HATCH) run python examples/stdlib_docstrings.py $(ARGS)

bench: $(HATCH) ## Measure speed and memory.
	$(HATCH) run python benchmarks/run.py $(ARGS)

# Asks PyPI's own JSON API: behind a mirror that has none nothing can be known, and --strict says so.
audit: $(HATCH) ## Look for known vulnerabilities in what constraints.txt names.
	$(HATCH) run uv tool run --isolated pip-audit --strict --no-deps --disable-pip -r constraints.txt

lock: $(HATCH) ## Bring constraints.txt up to date with what is published.
	$(HATCH) run python tools/lock.py

clean: ## Remove everything that these commands made.
	-test ! -x $(HATCH) || $(HATCH) env prune
	rm -rf .hatch .venv dist site .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

.hatch/bin/hatch: constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer on PATH." >&2; exit 1; }
	@# --clear: what a broken install left behind must not stay.
	$(PYTHON) -m venv --clear .hatch
	.hatch/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt hatch
	@touch $@

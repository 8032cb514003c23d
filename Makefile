# `make book` and `make test` are all that a reader needs. Both make the environment first, from requirements.lock, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= cpu
SOLUTIONS ?=
CHROMIUM := $(shell command -v chromium chromium-browser google-chrome google-chrome-stable 2>/dev/null | head -n 1)

export OMP_NUM_THREADS := 1

.PHONY: help env book pdf epub slides address check lint test bench links serve lock clean chromium
.DEFAULT_GOAL := help

help:  ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 18

book: env  ## Run what changed, judge the claims, render the pages (PROFILE=smoke for a quick look; SOLUTIONS=no for a class)
	@$(if $(filter-out yes no,$(SOLUTIONS)),$(error SOLUTIONS: expected yes or no, got $(SOLUTIONS)))
	@$(BIN)/maxmin build --profile $(PROFILE) $(if $(filter no,$(SOLUTIONS)),--without-solutions)

# Made of the pages that `make book` has rendered; without solutions unless SOLUTIONS=yes is asked for here.
pdf epub slides: env chromium
	@$(BIN)/maxmin print $@ --profile $(PROFILE) $(if $(filter yes,$(SOLUTIONS)),--solutions)
pdf:  ## Print the rendered pages into one PDF (SOLUTIONS=yes with solutions)
epub:  ## Pack them into an ePub (SOLUTIONS=yes with solutions)
slides:  ## Make slides of every chapter from its figures

address: env  ## Write the repository's address, from _config.yml, into the cells that install on Colab and hubs
	@$(BIN)/python -m maxmin_core.book.launching

# What needs no language model, no notebook and no browser.
FAST := --ignore=tests/lm --ignore=tests/benchmarks --ignore=maxmin_core/lm
# Two processes; the tests of one file stay together, and share what the file has made.
TWO := -n 2 --dist loadfile

check: env lint  ## Look at a change before it is committed: style, imports, types, the fast tests (under 90 s)
	@$(BIN)/python -m pytest $(TWO) $(FAST) -m "not slow"

# Coverage makes Python code slower by four tenths: it is measured where that costs seconds.
test: env lint chromium  ## Pass every test, the rendered pages in a browser included
	@$(BIN)/python -m pytest $(TWO) $(FAST) -m "not slow or measured" --cov --cov-report=term
	@$(BIN)/python -m pytest $(TWO) -m "slow and not measured"

lint: env
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/lint-imports --no-cache --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@$(BIN)/mypy --no-error-summary

bench: env  ## Time what has a speed promised, and print both
	@$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-quiet

links:  ## Ask every link of the book whether it still leads somewhere (needs the network)
	@$(PYTHON) tests/links.py

serve: env  ## Show the rendered pages at http://localhost:8000
	@test -d _build/$(PROFILE)/html || { echo "make serve: no pages yet; call make book first" >&2; exit 1; }
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/$(PROFILE)/html

env: $(VENV)/.installed

# The stamp is the last thing that an installation writes: without it, a half-made environment is made again.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "make: expected Python 3.11, 3.12 or 3.13, got %d.%d; call make PYTHON=python3.12, say" % v)'
	@echo "[env] installing requirements.lock into $(VENV) (some minutes)"
	@test -e $@ || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $@
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "[env] done"

# A missing lock is an error with a name, not a make riddle.
requirements.lock:
	@echo "make: requirements.lock: expected the lock file, got none; restore it (git checkout requirements.lock) or call make lock" >&2; exit 1

lock:  ## Resolve pyproject.toml anew into requirements.lock (needs the network)
	@$(PYTHON) tests/lock.py

# The tests of the pages need a Chromium. Debian's is installed where there is none, apt-get is, and we are root; this adds the package
# `chromium` and what it depends on. Elsewhere the tests of the pages are skipped and say so; with CI set, they fail instead.
chromium:  ## Install Debian's chromium for the tests of the pages, where none is found (root only)
ifeq ($(CHROMIUM),)
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "[chromium] installing Debian's chromium"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 \
	    || echo "[chromium] could not be installed; the tests of the pages will be skipped"; \
	else echo "[chromium] none found; the tests of the pages will be skipped (install chromium to run them)"; fi
endif

clean:  ## Remove what the pipeline made (_build, .snakemake); keeps .venv
	@rm -rf _build .snakemake

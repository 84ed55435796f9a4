# Everything starts here: `make demo`, `make test`, `make check`.  Needs a POSIX shell and Python 3.11 or newer, nothing else.
#
# .venv is reused while it is current: its stamp is newer than pyproject.toml and constraints.txt, names this folder, and its
# Python still runs.  When only the two files changed, or a set-up was interrupted, pip brings it up to date in place; when the
# tree was moved or copied (its scripts point at the old place) or its Python is gone or too old, it is made anew.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test kill mutants clients bench check format clean FORCE

# Choose an interpreter with `make setup PYTHON=python3.13`; otherwise the first of these that is new enough and has venv.
PYTHON ?=
CANDIDATES := python3.11 python3.12 python3.13 python3.14 python3 python
# Arguments for the program behind demo and test: `make demo ARGS="--seed 7"`, `make test ARGS="tests/simulator -x"`.
ARGS ?=
# How many kills `make kill` makes.
KILLS ?= 200
# Whether `make test` installs the real clients that it has not yet: yes or no.
CLIENTS ?= $(if $(ARGS),no,yes)

# Many container images say so: but the tests start some two hundred processes of this project, each of which would compile all of it anew.
export PYTHONDONTWRITEBYTECODE :=

STAMP := .venv/.byte-bot-stamp
BIN := .venv/bin
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
CURRENT := $(shell [ "$$(cat $(STAMP) 2>/dev/null)" = "$$(pwd -P)" ] && $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null && echo yes)

help: ## this list
	@echo "Byte Bot: a Twitch chat bot that keeps chatting while its database is down."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv with every pinned package (the other targets do this by themselves)
	@echo ".venv is current"

demo: $(STAMP) ## watch the bot answer while its database goes down and comes back (ARGS="--headless --seconds 20")
	@$(BIN)/byte-sim demo $(ARGS)

# A worker more than there are cores (some tests wait for real processes), at most four: each imports everything anew, and beyond
# that the longest single tests decide.
# worksteal: a worker starts with one contiguous part, so that what its tests share is set up once, and an idle one takes over.
# What ARGS says comes last and wins: -n0 runs everything in this one process, as a debugger and -s need it.
# The house rules are `make check`'s (ARGS=tests/tidy runs them here): reading the whole tree costs half a minute, and says nothing about
# what the code does.
WORKERS = $$($(BIN)/python -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')
# Real clients are among the tests; the first time they are installed before (pip and npm, about a minute; or it says why not and they are
# skipped).  Who names some tests does not wait for that, unless CLIENTS=yes; CLIENTS=no leaves it out.
# The first time nobody has compiled the tests yet, and each worker would do it for all of them, a quarter of a minute long.  So that is done while
# the network is waited for, and ends with that, whole or not: a worker compiles what it misses.  Ctrl-C does not reach what a shell has
# started with "&", so the shell itself ends it.
REWRITTEN = tests/byte_bot/__pycache__/*-pytest-*.pyc
COMPILE = nice $(BIN)/python -m pytest -q --collect-only -p no:cacheprovider --ignore=tests/tidy
test: $(STAMP) ## all tests, real clients included (ARGS="tests/simulator -x"; with ARGS=-n0 in one process; CLIENTS=no)
	@[ "$(CLIENTS)" = no ] || { \
	    compiler=""; \
	    trap '[ -z "$$compiler" ] || { kill $$compiler; wait $$compiler; } 2>/dev/null' EXIT; \
	    trap 'exit 130' INT TERM HUP; \
	    ls $(REWRITTEN) >/dev/null 2>&1 || { $(COMPILE) </dev/null >/dev/null 2>&1 & compiler=$$!; }; \
	    $(BIN)/python -m tests.clients --install; \
	}
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal --ignore=tests/tidy $(ARGS)

# The bot as its users start it, killed with SIGKILL while people give commands; two kills at a time, each a few seconds.
kill: $(STAMP) ## kill the bot again and again: is anything lost? (KILLS=200, about ten minutes; ARGS="--seed 7 --json FILE")
	@$(BIN)/python -m tests.kill --kills $(KILLS) $(ARGS)

# Each bug is hunted from seed 1 on; most are found within a few dozen nights, and the canary must not be.
mutants: $(STAMP) ## plant bugs into the bot: does the search notice each? (some ten minutes; ARGS="--only late_load_wins --seeds 100")
	@$(BIN)/python -m tests.mutants $(ARGS)

# Installs them into .peers/clients the first time (pip, npm).  Where Node is missing, those for JavaScript are skipped and counted.
clients: $(STAMP) ## other people's Twitch clients, unmodified, against the fake Twitch (two minutes; ARGS="--only tmijs --json FILE")
	@$(BIN)/python -m tests.clients $(ARGS)

bench: $(STAMP) ## every benchmark, and where each promise stands (some two hours; ARGS="--quick" is ten minutes)
	@$(BIN)/python -m benchmarks all $(ARGS)

# Every step runs, so that one round shows all there is to do.
check: $(STAMP) ## formatting, lint, types, house rules
	@failed=""; \
	$(BIN)/ruff format --check --quiet --output-format concise . || failed="$$failed format (make format rewrites),"; \
	$(BIN)/ruff check --quiet --output-format concise . || failed="$$failed lint,"; \
	$(BIN)/mypy --strict byte_bot simulator byte_sim_pytest.py benchmarks || failed="$$failed types,"; \
	$(BIN)/python -m pytest -q tests/tidy || failed="$$failed house rules,"; \
	if [ -n "$$failed" ]; then echo "make check: failed:$${failed%,}" >&2; exit 1; fi

format: $(STAMP) ## rewrite the code in the house format
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

clean: ## remove .venv, other bots, caches and builds
	@rm -rf .venv .peers build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

ifneq ($(CURRENT),yes)
$(STAMP): FORCE
endif

# The constraints hold for the isolated build too: older pips take them from PIP_CONSTRAINT, newer ones from PIP_BUILD_CONSTRAINT.
# pip's output goes to a log and one dot a package to the screen; the log's end is shown only when pip fails, which is told
# by the missing .installed file because a pipe's exit status is that of its last command.
$(STAMP): pyproject.toml constraints.txt
	@set -eu; \
	if [ "$$(cat $(STAMP) 2>/dev/null || pwd -P)" != "$$(pwd -P)" ] || ! $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null; then \
	    old=""; bare=""; found=""; \
	    for python in $(or $(PYTHON),$(CANDIDATES)); do \
	        version=$$("$$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
	        if ! "$$python" -c '$(NEW_ENOUGH)'; then old="$$old $$python is $$version"; continue; fi; \
	        if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then bare="$$bare $$python is $$version"; continue; fi; \
	        found=$$python; break; \
	    done; \
	    if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	        echo "make: Python is here ($${bare# }) but without its venv module." >&2; \
	        echo "      On Debian and Ubuntu: apt-get install python3-venv.  Then run make again." >&2; exit 1; \
	    fi; \
	    if [ -z "$$found" ]; then \
	        echo "make: Byte Bot needs Python 3.11 or newer; found: $$([ -n "$$old" ] && echo "$${old# }" || echo none)." >&2; \
	        echo "      Install one, or name one that is elsewhere: make setup PYTHON=/path/to/python3.11" >&2; exit 1; \
	    fi; \
	    echo "Setting up .venv with Python $$version"; \
	    rm -rf .venv; \
	    "$$found" -m venv .venv; \
	fi; \
	printf '%s' "Installing $$(grep -c == constraints.txt) packages (once; about a minute) "; \
	rm -f .venv/.installed .venv/setup.log; \
	export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt; \
	{ $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt -e '.[sim,bench,tests]' 2>&1 \
	    && : > .venv/.installed; } | while IFS= read -r line; do \
	        printf '%s\n' "$$line" >> .venv/setup.log; \
	        case "$$line" in Collecting*) printf . ;; Installing\ collected*) printf ' unpacking' ;; esac; \
	    done; \
	echo; \
	if [ ! -f .venv/.installed ]; then \
	    tail -n 25 .venv/setup.log >&2; \
	    echo "make: the packages could not be installed (above: the end of .venv/setup.log); run make again to retry." >&2; exit 1; \
	fi; \
	pwd -P > $(STAMP)

FORCE:

# Everything a person or a CI server does with this repository. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
# Most tests wait for servers and processes: more of them than cores may run at once.
JOBS ?= 4
export PYTHON MAKECMDGOALS
# Tests start hundreds of processes, which would compile the whole library each.
unexport PYTHONDONTWRITEBYTECODE

# Stamps: made once, made again when what they depend on changes. The second run costs nothing.
RUN := .venv/.ready-to-run
DEV := .venv/.ready-to-develop

.PHONY: help venv demo demo-live test check lint types layers compile fix docs docs-check bench clean

help:  ## this list
	@printf '\nselfheal: incidents found, fixed, proven fixed and closed\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST) | \
	    if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi
	@printf '\n'

$(RUN): standalone/requirements.txt .ci/environment
	@.ci/environment run
	@touch $@

$(DEV): requirements.txt requirements-tests.txt requirements-dev.txt standalone/requirements.txt .ci/environment
	@.ci/environment dev
	@touch $(RUN) $@

venv: $(DEV)  ## the environment for all of the below, in .venv (PYTHON=... chooses the interpreter)
	@:

demo: $(RUN)  ## break a small service and watch the pack heal it (SCENARIO=unfixable, approve or elk)
	@$(PY) -m standalone demo $(if $(SCENARIO),--scenario $(SCENARIO))

demo-live: $(RUN)  ## the same with a real Prometheus and a real Alertmanager
	@.ci/debian-packages prometheus prometheus-alertmanager
	@$(PY) -m standalone demo --live $(if $(SCENARIO),--scenario $(SCENARIO))

test: $(DEV)  ## all tests; sets up the servers they need (ARGS='-k alert' to choose, JOBS=0 for one by one)
	@.ci/debian-packages procps prometheus prometheus-alertmanager
	@.ci/kubernetes
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: lint types layers compile docs-check  ## lint, types, layers, syntax on Python 3.8-3.12, generated docs

lint: $(DEV)
	@echo '> ruff' && $(PY) -m ruff check .
	@echo '> flake8 (the Exchange'"'"'s settings)' && $(PY) -m flake8
	@echo '> yamllint' && $(PY) -m yamllint --strict .

types: $(DEV)
	@echo '> mypy --strict actions/lib/selfheal' && $(PY) -m mypy

layers: $(DEV)
	@echo '> lint-imports' && PYTHONPATH=actions/lib .venv/bin/lint-imports --no-cache $$(.venv/bin/lint-imports --help | grep -o -- --no-logo)

compile: $(DEV)
	@echo '> byte-compile' && $(PY) .ci/byte_compile.py

fix: $(DEV)  ## what ruff can mend by itself: import order, old syntax
	@$(PY) -m ruff check --fix .

docs: $(DEV)  ## write the tables of docs/ and README.md again from the YAML
	@$(PY) docs/generate.py

docs-check: $(DEV)
	@echo '> docs/generate.py --check' && $(PY) docs/generate.py --check

bench: $(DEV)  ## the measurements of bench/, one JSON line each
	@set -e; for bench in bench/*.py; do echo "> $$bench" >&2; $(PY) $$bench; done

clean:  ## remove the environment and every cache
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# make          install everything of requirements.lock into .venv (needs Python 3.11+ and nothing else)
# make demo     the whole night on real data
# make up       the servers and the schedule, until Ctrl-C       make down   stop them from elsewhere
# make test     all tests                                        make check  style, types, contracts
# make schema   conf/schema.json from the settings
# make lock     pin anew what pyproject.toml asks for            make clean  forget .venv
# Another Python: make PYTHON=/path/to/python3.12

SHELL := /bin/sh
.DEFAULT_GOAL := install
.PHONY: install demo up down test check schema lock clean python

VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)/tools/bin/uv
STAMP := $(VENV)/.installed
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3 python3.13 python3.12 python3.11

# As pip does: trust what the system trusts, so that a company's own proxy is one of them.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= 1
endif

ifndef PYTHON
PYTHON := $(shell for p in $(CANDIDATES); do $$p -c '$(IS_NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done)
endif

install: $(STAMP)

python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(IS_NEW_ENOUGH)' 2>/dev/null; then \
		echo "Holdfast needs Python 3.11 or newer. Looked for: $(or $(PYTHON),$(CANDIDATES))." >&2; \
		echo "  Found: $$($(or $(PYTHON),python3) --version 2>&1)" >&2; \
		echo "  Next: install one, or make PYTHON=/path/to/python3.12" >&2; exit 1; fi

# uv comes by pip with its hash pinned, into a folder of its own, where a sync does not remove it.
$(UV): .ci/uv.txt | python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "  Next: install the module venv (Debian: apt-get install python3-venv), then make" >&2; \
		rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	@rm -rf $(VENV)/tools
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes \
		--target $(VENV)/tools -r .ci/uv.txt
	@touch $@

$(STAMP): requirements.lock pyproject.toml $(UV)
	$(UV) pip sync -q --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install -q --python $(BIN)/python --no-build-isolation --no-deps -e .
	@touch $@
	@echo "Installed. Next: make demo   (holdfast itself: . $(BIN)/activate)"

demo: install
	$(BIN)/holdfast -d completejourney demo

up: install
	@$(BIN)/holdfast up

down: install
	@$(BIN)/holdfast down

test: install
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=40 --durations-min=5

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# What editors know of conf/*.yaml; a test says when it is stale.
schema: install
	$(BIN)/python -m tasks.reference

# Universal: one lock for all systems and Pythons from 3.11 on. It names no address.
lock: $(UV)
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --group dev --upgrade -o requirements.lock pyproject.toml
	{ head -n 1 .ci/uv.txt; echo uv | $(UV) pip compile -q --universal --generate-hashes \
		--no-header --no-annotate - ; } > .ci/uv.new && mv .ci/uv.new .ci/uv.txt

clean:
	rm -rf $(VENV)

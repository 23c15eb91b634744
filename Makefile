# Every target sets up what it needs first; see scripts/setup.sh.
BIN := .venv/bin
DEMO_HOME ?= demo
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-qemu test-windows test-wayland test-psx lint docs bench

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

setup: ## System libraries, uv, Python and .venv
	@scripts/setup.sh

demo: setup ## Record, train and race on CarRacing, and film it (into ./demo)
	@$(BIN)/autopilot demo --home $(DEMO_HOME)

test: lint ## Lint, then all tests; PYTEST_ARGS="-k name" chooses some
	@scripts/setup.sh tests
	@$(BIN)/pytest -n 3 --dist worksteal $(PYTEST_ARGS)

test-qemu: setup ## Keyboards and pads on a real kernel's uinput, inside QEMU
	@$(BIN)/python tests/qemu/boot.py

test-windows: setup ## Windows' own Python and wheels under Wine: keys, windows, files, and core's tests
	@scripts/setup.sh windows
	@$(BIN)/python tests/windows/boot.py

test-wayland: setup ## Recording and driving, keys, the screen, and breaking windows, inside sway, a Wayland desktop
	@scripts/setup.sh tests
	@AUTOPILOT_DESKTOP=sway $(BIN)/pytest -n 2 -m "not plain_x11" tests/wayland tests/input_keyboard tests/screen \
		$(PYTEST_ARGS)

test-ray: setup ## Races on two nodes of Ray, which it installs into .venv (200 MB)
	@$$(command -v uv || echo .venv-tools/bin/uv) pip install --quiet --python $(BIN)/python -c constraints.txt -e 'core[ray]'
	@AUTOPILOT_RAY=1 $(BIN)/pytest tests/e2e/test_e2e_ray.py $(PYTEST_ARGS)

test-psx: setup ## A PlayStation's emulator with a game of our own: labels, lap times, breaking it
	@scripts/setup.sh tests
	@AUTOPILOT_PSX=whole $(BIN)/pytest tests/psx $(PYTEST_ARGS)

lint: setup ## ruff, mypy, the import contracts, and the links of the documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/site.py

docs: setup ## Regenerate the generated pages of docs/, and build the site into site/
	@$(BIN)/python scripts/gen_docs.py
	@$(BIN)/python scripts/site.py
	@echo 'to read it: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site'

bench: setup ## Run benchmarks/*.py; each prints JSON
	@set -e; for script in $(filter-out %/torch_networks.py %/windows_floors.py,$(wildcard benchmarks/*.py)); do echo "$$script" >&2; $(BIN)/python "$$script"; done

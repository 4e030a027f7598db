# Two commands on a bare machine with Python 3.11 and make: `make run` opens the terminal, `make test` runs the tests.
# Works with the make of Debian 12 and of macOS (GNU Make 3.81). All paths are relative, so the checkout may have spaces in its path.
#
# Debian 12, what setup installs when it runs as root and prints when it does not:
#   apt-get install -y --no-install-recommends python3-venv libglib2.0-0 libgl1 libegl1 libxkbcommon0 libdbus-1-3 \
#     libfontconfig1 libxcb-cursor0 libxkbcommon-x11-0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 xvfb xauth xdotool

PY = .venv/bin/python
RUN = .venv/requirements.lock
DEV = .venv/requirements-dev.lock

# The pure core: every branch of it is tested.
CORE = engine/domain/*,engine/decision/*,engine/pricing/*,engine/risk/rules*,engine/exits/rules*,engine/portfolio/*,engine/contracts.py,engine/contracts/*,engine/sessions.py
TESTS ?= tests
PYTEST = QT_QPA_PLATFORM=offscreen $(PY) -m pytest

.PHONY: help run engine setup test check soak format coverage lock app clean
.DEFAULT_GOAL := help

help:
	@echo "make run       open the terminal (sets everything up the first time)"
	@echo "make engine    the same without a screen"
	@echo "make test      run the tests"
	@echo "make check     format, lint, types, architecture, tests"
	@echo "make soak      play SEEDS seeds of the simulation (10000) and hunt the planted faults"
	@echo "make coverage  branch coverage of the pure core; under 100 % fails"
	@echo "make setup     .venv with everything that running and testing need"
	@echo "make lock      resolve the dependencies of pyproject.toml anew, with hashes"
	@echo "make app       build the application into dist/ and try it"
	@echo "make clean     remove what was built (.venv stays)"

$(RUN): requirements.lock
	@sh packaging/setup.sh requirements.lock

$(DEV): requirements-dev.lock
	@sh packaging/setup.sh requirements-dev.lock

setup: $(DEV)
	@cmp -s requirements.lock $(RUN) || cp requirements.lock $(RUN)  # the development lock holds all of the other

run: $(RUN)
	@exec $(PY) main.py

engine: $(RUN)
	@exec $(PY) main.py engine

test: setup
	$(PYTEST) $(TESTS)

check: setup
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PYTEST) $(TESTS)

SEEDS ?= 10000
soak: setup
	$(PY) -m tests.simulation.run --seeds $(SEEDS)
	$(PY) -m tests.simulation.run --planted all --seeds 2000

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

coverage: setup
	QT_QPA_PLATFORM=offscreen $(PY) -m coverage run --source=engine -m pytest $(TESTS)
	$(PY) -m coverage report --include='$(CORE)' --show-missing --skip-covered --fail-under=100

# CUSTOM_COMPILE_COMMAND is what the locks' first lines name. No index and no folder of this machine may stand in them.
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(PY) -m piptools compile --quiet --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-find-links
lock: setup
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --extra bench --constraint requirements-dev.lock --output-file requirements-bench.lock pyproject.toml

app: setup
	$(PY) packaging/build.py

clean:
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

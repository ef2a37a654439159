# Two commands matter: `make demo` and `make test`. Both install what they lack.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= demo-home
PIP_ARGS ?=
# Two workers, a file at a time, one thread each: half the time of one worker on two cores.
# tests/conftest.py orders the files.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder
# Without bytecode, each of the hundreds of processes that tests start compiles our sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long test-kernels check lint fast install fix results

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing keyreel into $(VENV) (a few minutes the first time) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e ".[dev]"
	@touch $@

demo: install
	@$(BIN)/keyreel init $(DEMO) --demo
	@$(BIN)/keyreel --home $(DEMO) run demo

check: install
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint fast

lint: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/typos
	@$(BIN)/mypy

fast: install
	@$(PYTEST) -m "not slow and not long and not prefect and not browser and not gpu"

test: install
	@$(PYTEST) -m "not long and not gpu" --cov --cov-report=term:skip-covered

# One by one: most start servers and browsers of their own, which two at once starve.
test-long: install
	@$(PYTEST) -n 0 -m "long and not gpu"

# The Triton kernels on the CPU, by Triton's interpreter: 1 GB to install, so beside the rest.
KERNELS := build/triton
test-kernels: install $(KERNELS)/.installed
	@PYTHONPATH=$(KERNELS) TRITON_INTERPRET=1 $(BIN)/pytest -q -k interpreted tests/test_turbo_*.py

$(KERNELS)/.installed: Makefile
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target $(KERNELS) triton==3.9.0
	@touch $@

fix: install
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

results: install
	@$(BIN)/python -m benchmarks.report

# make run      open the page (make run ARGS="--port 8000" hands options on)
# make test     lint, types and all tests
# make bench    print the figures, beside a plain LangChain pipeline (make bench ARGS="--data DIR")
# make kill     kill the indexing process a hundred times and look what it left
# make kill-train   kill the training process, the page or both, fifty times, and see the run through
# make fuzz     feed the readers some ten thousands of broken files
# make clean    remove caches; your documents, the index and your models stay
# Another Python: make run PYTHON=python3.12

WORKING := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	$$name -c '$(WORKING)' 2>/dev/null && echo $$name && break; done)
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PIP := $(BIN)/python -m pip install --disable-pip-version-check

FUZZ_EXAMPLES ?= 3000
# Files of tests at a time. Each file stays in one process, and those with a browser come last.
WORKERS ?= 2

.PHONY: run test lint bench kill kill-train fuzz clean
.DEFAULT_GOAL := run

run: .venv/.installed
	$(BIN)/python app.py $(ARGS)

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: .venv/.installed-tests
	$(BIN)/python -m ruff check
	$(BIN)/python -m mypy

bench: .venv/.installed-tests
	$(BIN)/python -m tests.benchmarks.compare $(ARGS)
	$(BIN)/python -m tests.benchmarks.embedding $(ARGS)
	$(BIN)/python -m tests.benchmarks.backends $(ARGS)
	$(BIN)/python -m tests.benchmarks.scale $(ARGS)
	$(BIN)/python -m tests.benchmarks.sync
	$(BIN)/python -m tests.benchmarks.first_token $(ARGS)

kill: .venv/.installed-tests
	KILLS=100 $(BIN)/python -m pytest tests/core/documents/test_kill.py $(ARGS)

kill-train: .venv/.installed-tests
	KILLS=50 $(BIN)/python -m pytest tests/core/finetune/test_kill_train.py $(ARGS)

fuzz: .venv/.installed-tests
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -X faulthandler -m pytest -s tests/fuzz $(ARGS)

clean:
	find core ui tests -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf __pycache__ .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamps are newer than the requirements once these are installed.
.venv/.installed: requirements.txt | $(BIN)/python
	@echo "Installing the libraries Taller needs. The first time this downloads over 1 GB."
	$(PIP) -r requirements.txt
	@touch $@

.venv/.installed-tests: tests/requirements.txt .venv/.installed
	$(PIP) -r tests/requirements.txt
	@touch $@

$(BIN)/python:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Taller needs Python 3.11, 3.12 or 3.13, and none was found."; \
		echo "Install one from https://www.python.org/downloads/ and run make again,"; \
		echo "or name yours: make run PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python could not make its environment. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }

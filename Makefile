# make book: the rendered book in _build/html; PROFILE=full: with all ablations and more seeds (many hours)
# make pdf: the book as one PDF    make lab: JupyterLab    make clean: remove builds
# make check: lint and what runs without a notebook   make test: all but what is slow   make test-slow: that too
# Each makes .venv when it is missing or older than the dependencies. Another interpreter: make book PYTHON=python3.12

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.10 python3 python 2>/dev/null))
PROFILE ?= quick
CORES ?= $(shell $(PYTHON) -c "import os; print(os.cpu_count())")
BIN := .venv/bin
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: book pdf check test test-slow lab clean distclean
.DELETE_ON_ERROR:

book: .venv/.ready
	$(BIN)/snakemake --cores $(CORES) --rerun-incomplete --quiet rules --config profile=$(PROFILE) -- book
	@echo "Open _build/html/index.html"

pdf: book
	@mkdir -p logs
	$(BIN)/jupyter-book build . -W -n --keep-going --builder singlehtml > logs/pdf.txt 2>&1 || { grep -E "WARNING|ERROR|Error" logs/pdf.txt; exit 1; }
	$(BIN)/python -m depnb.book.pdf _build/singlehtml _build/book.pdf
	@echo "Open _build/book.pdf"

# Processes share the tests, each with one thread and none of its own; what takes longest begins first.
PYTEST := OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(BIN)/pytest -n logical --dist loadgroup --no-loadscope-reorder

test: .venv/.ready
	$(BIN)/ruff check .
	$(PYTEST)

check: .venv/.ready
	$(BIN)/ruff check .
	$(PYTEST) -m "not notebook and not book and not slow"

test-slow: .venv/.lab
	$(BIN)/ruff check .
	$(PYTEST) -m "slow or not slow"

lab: .venv/.lab
	$(BIN)/jupyter lab notebooks --LabApp.default_url=/lab/tree/START.ipynb

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e ".[book,test]"
	@$(BIN)/python -c "import cv2" || { echo "OpenCV needs the system libraries libGL and glib: apt-get install libgl1 libglib2.0-0"; exit 1; }
	touch $@

.venv/.lab: .venv/.ready
	$(BIN)/pip install --quiet -c constraints.txt -e ".[lab]"
	touch $@

clean:
	rm -rf _build book/_executed logs .snakemake .pytest_cache .ruff_cache

distclean: clean
	rm -rf .venv data cache runs

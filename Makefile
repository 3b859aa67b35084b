# Every target sets the environment up first; later runs find it and need no network.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# One thread per core, and no more: the suite runs on small machines
export OMP_NUM_THREADS ?= 2

.PHONY: test lint demo clean

test: $(INSTALLED)
	$(BIN)/python -m pytest

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

demo: $(INSTALLED)
	$(BIN)/python -m planar3d.simulate output_dir=outputs/demo/measurement

clean:
	rm -rf .venv dist outputs multirun

# torch alone first, as pinned: otherwise another package may ask for a build with several GB of CUDA
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

# Every target sets the environment up first; later runs find it and need no network.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: test lint demo clean

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# A digital patient is imaged, a network is trained for that patient, the activity is reconstructed with it, and samples are drawn
DEMO := outputs/demo
SCAN := $(DEMO)/acquisition
PATIENT := patient.ct=$(SCAN)/ct.nii.gz patient.labels=$(SCAN)/labels.nii.gz
demo: $(INSTALLED)
	$(BIN)/python -m planar3d.simulate patient.seed=3 output_dir=$(SCAN)
	$(BIN)/python -m planar3d.train +experiment=unet_ps $(PATIENT) trainer.max_epochs=2 output_dir=$(DEMO)/training
	$(BIN)/python -m planar3d.reconstruct method=unet planar=$(SCAN)/planar.nii.gz $(PATIENT) \
		checkpoint=$(DEMO)/training/weights.safetensors output_dir=$(DEMO)/reconstruction
	$(BIN)/python -m planar3d.reconstruct method=diffusion planar=$(SCAN)/planar.nii.gz $(PATIENT) output_dir=$(DEMO)/posterior

clean:
	rm -rf .venv dist outputs multirun

# torch alone first, as pinned: otherwise another package may ask for a build with several GB of CUDA
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

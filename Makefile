# Two commands on a fresh machine: `make run` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: run studies benchmark benchmark-gpu test test-cpu test-faults test-gpu lint lock upgrade audit clean help

PYTHON ?= python3
# DVC starts its stages as `python`. make 3.81, which Apple ships, looks up a command in its own PATH
# unless a shell starts it, and it always takes a shell that is not the default one.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SHELL := /bin/bash
# The environment is set up when it has the packages of the lock, and then this project.
SETUP := .venv/pyproject.toml
# Each worker takes a whole file, since the tests of a file share a finished pipeline.
PARALLEL := --numprocesses auto --dist loadfile
STUDIES := studies/dvc.yaml
# The modules of src/mri_stages/models that ruff and mypy check. Files that you add there may have
# any style; add their names here to have them checked.
ARCHITECTURES := conv_nn1 conv_nn2 layers resnet simple_nn1 simple_nn2 small_cnn torchvision_model
CHECKED := $(ARCHITECTURES:%=src/mri_stages/models/%.py)

run: $(SETUP) ## set up, run the pipeline, show the metrics
	mri-stages repro
	@mri-stages results
	@echo
	@echo "Next: open plots/report.html; change a number in params.yaml, 'dvc repro', 'dvc metrics diff'."
	@echo "      In a new terminal, first: . .venv/bin/activate"

studies: $(SETUP) ## measure what seeds, learning rates and batch sizes do: studies/
	mri-stages repro $(addprefix $(STUDIES):,leakage leakage_permuted seed learning_rate batch_size)
	dvc repro $(STUDIES)

benchmark: run ## compare with the notebook's recipe on the CPU, nine to fifteen minutes
	python -m benchmarks.cpu

benchmark-gpu: $(SETUP) ## compare with the notebook's loop on a GPU
	python -m benchmarks.gpu

test: $(SETUP) lint ## set up, then ruff, mypy and pytest
	python -m pytest $(PARALLEL)

# On a processor with AMX or AVX512 this takes other code of PyTorch, oneDNN and MKL.
test-cpu: $(SETUP) ## the tests of src again, with the instructions of an older processor
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
		python -m pytest $(PARALLEL) $(addprefix tests/,training preprocessing baselines models)

test-faults: $(SETUP) ## the slow tests: pipeline runs, kills, full disks (see docs/reliability.md)
	python -m pytest $(PARALLEL) -m slow

test-gpu: $(SETUP) ## the tests that need a GPU
	CUDA_VISIBLE_DEVICES=$${CUDA_VISIBLE_DEVICES:-0} python -m pytest -m gpu tests/training

lint: $(SETUP) ## ruff and mypy
	ruff check . $(CHECKED)
	ruff format --check . $(CHECKED)
	mypy install.py src stages tests benchmarks $(CHECKED)

LOCK := uv pip compile --quiet --group dev --custom-compile-command "make lock" \
	--output-file requirements.lock pyproject.toml

lock: $(SETUP) ## add to requirements.lock what pyproject.toml adds, remove the rest, upgrade nothing
	$(LOCK)

upgrade: $(SETUP) ## upgrade requirements.lock within the ranges in pyproject.toml
	$(LOCK) --upgrade

audit: $(SETUP) ## list known vulnerabilities of the packages in requirements.lock (asks PyPI)
	uv tool run pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

clean: ## remove the environment and the tools' caches; results and the DVC cache stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache dvc_plots
	find src stages tests -name __pycache__ -prune -exec rm -rf {} +

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A copy of the lock is the stamp: as long as the two are equal, nothing is installed again.
.venv/requirements.lock: requirements.lock
	@if [ -f $@ ] && cmp -s $< $@; then touch $@; else set -e; \
		$(PYTHON) install.py $< .venv; \
		cp $< $@; fi

# The project itself: the package mri_stages where it lies, and the command mri-stages. pyproject.toml
# says what is installed. The lock has the build backend, so that nothing is downloaded here.
.venv/pyproject.toml: pyproject.toml .venv/requirements.lock
	@if [ -f $@ ] && cmp -s $< $@; then touch $@; else set -e; \
		.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
		cp $< $@; fi

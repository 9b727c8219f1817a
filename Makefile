# Two commands on a fresh machine: `make run` and `make test`. `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: run train studies benchmark benchmark-gpu test test-faults lint lock audit verify clean help

PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SETUP := .venv/requirements.lock
# A file a worker, in the order of testpaths: the longest first.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder

run: train ## set up, run the pipeline, show the metrics
	dvc repro
	@echo
	dvc metrics show
	@echo
	@echo "low, high: 95 % interval of the accuracy;" \
		"$$(test -f data/flat/subjects_test.npy && echo 'bootstrap over subjects' || echo Wilson)"
	@python -c 'import json; print(json.load(open("plots/leakage.json"))["sentence"])'
	@echo "Next: open plots/accuracy.png; change a number in params.yaml, 'dvc repro', 'dvc metrics diff'."
	@echo "      In a new terminal, first: . .venv/bin/activate"

train: $(SETUP) ## set up, train all models, several at a time
	python train_all.py

studies: $(SETUP) ## what seeds, learning rates and batch sizes do, measured: studies/
	python study_all.py

benchmark: run ## ours against the notebook's recipe on the CPU, six to twelve minutes
	python -m benchmarks.cpu

benchmark-gpu: $(SETUP) ## ours against the notebook's loop on a GPU
	python -m benchmarks.gpu

test: $(SETUP) lint ## set up, then ruff, mypy and pytest
	python -m pytest $(PARALLEL)

test-faults: $(SETUP) ## the slow tests: kills, full disks, damaged caches (see docs/reliability.md)
	python -m pytest $(PARALLEL) -m slow

lint: $(SETUP) ## ruff and mypy
	ruff check .
	ruff format --check .
	mypy

lock: $(SETUP) ## remake requirements.lock from the ranges in pyproject.toml
	uv pip compile --quiet --upgrade --group dev --custom-compile-command "make lock" \
		--output-file requirements.lock pyproject.toml

audit: $(SETUP) ## known vulnerabilities of what requirements.lock names (asks PyPI)
	uv tool run pip-audit --strict --no-deps --disable-pip --requirement requirements.lock

verify: $(SETUP) ## hash every object of DVC's cache, which DVC itself trusts
	python verify_cache.py

clean: ## remove the environment and the tools' caches; results and the DVC cache stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dvc_plots
	find src stages tests -name __pycache__ -prune -exec rm -rf {} +

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The copied lock is the stamp: as long as the two are equal, nothing is installed again.
$(SETUP): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit( \
		f"error: $(PYTHON) is Python {v[0]}.{v[1]}, expected 3.11 to 3.13; name one: make PYTHON=python3.12")'
	@if [ -f $@ ] && cmp -s requirements.lock $@; then touch $@; else set -e; \
		$(PYTHON) -m venv .venv; \
		.venv/bin/python -m pip install --requirement requirements.lock; \
		cp requirements.lock $@; fi

"""Fixtures for all tests: a workspace, and stages that run in it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

# Every stage of a test would take a part of the GPU for itself. `make test-gpu` names one.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
from tests.helpers.project import REPO as REPO
from tests.helpers.project import SHARED_SLICES
from tests.helpers.raw_folders import write_raw as write_raw
from tests.helpers.reference import require_reference
from tests.helpers.stages import Completed, copy_environment, list_files, run_stage_in
from tests.helpers.stages import RunStage as RunStage
from tests.helpers.stages import call_stage as call_stage
from tests.helpers.stages import load_npy as load_npy

# The old names of tests.helpers.params.default_params and ONE_MODEL, as text.
PARAMS = """\
data:
  raw: data/raw
  title: Made-up images
sample:
  subjects: 8
  slices: 5
  height: 36
  width: 40
  seed: 0
train:
  epochs: 2
  seed: 3
  shuffle: false
  threads: 1
  precision: float32
  optimizer: sgd
  momentum: 0
  weight_decay: 0
  schedule: constant
  class_weights: null
  augment: null
  validation: 0
  patience: null
models:
  small:
    arch: simple_nn2
    lr: 0.01
    batch_size: 5
  conv:
    arch: conv_nn2
    lr: 0.01
    batch_size: 4
  conv_again:
    arch: conv_nn2
    lr: 0.01
    batch_size: 4
  conv_hot:
    arch: conv_nn2
    lr: 1e30
    batch_size: 4
evaluation:
  negative_class: null
cross_validation:
  folds: 2
  seed: 0
  models:
    small: simple_nn2
export:
  model: small
studies:
  seed:
    models: [conv]
    seeds: [0, 1]
  learning_rate:
    model: small
    values: [0.01, 1e30]
    seeds: [0, 1]
  batch_size:
    model: small
    values: [4, all]
    seeds: [0, 1]
  leakage:
    model: small
    shares: [0, 100]
    seeds: [0, 1]
"""

# The same with one small model.
ONE_MODEL = re.sub(r"  conv:.*(?=evaluation:)", "", PARAMS, flags=re.DOTALL).replace(
    "[conv]", "[small]"
)

torch.set_num_threads(1)  # small tensors: more threads only wait for each other


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def reference() -> None:
    """Skip tests of what README and docs say where this checkout has other params or results."""
    require_reference()


@pytest.fixture(scope="session")
def shared_slices() -> Path:
    if not SHARED_SLICES.exists():
        pytest.skip(f"{SHARED_SLICES} is not here")
    return SHARED_SLICES


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, new and empty except for params.yaml and environment.yaml."""
    monkeypatch.chdir(tmp_path)
    copy_environment(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


@pytest.fixture
def run_stage(workspace: Path) -> RunStage:
    """Run `python -m stages.STAGE ...` in the workspace; it must succeed."""

    def run(stage: str, *arguments: str) -> Completed:
        process = run_stage_in(workspace, stage, *arguments)
        assert process.returncode == 0, process.stderr
        return process

    return run


@pytest.fixture
def stage_error(workspace: Path) -> Callable[..., str]:
    """Run a stage that must fail with one line and write nothing; return the line."""

    def run(stage: str, *arguments: str, status: int = 1) -> str:
        files_before = list_files(workspace)
        process = run_stage_in(workspace, stage, *arguments)
        assert process.returncode == status, process
        assert process.stderr.startswith("error: "), process.stderr
        assert process.stderr.count("\n") == 1, process.stderr
        assert list_files(workspace) == files_before
        return process.stderr

    return run


@pytest.fixture
def raw(workspace: Path) -> Path:
    """Return a good raw folder in the workspace, to run on or to damage."""
    write_raw(workspace / "data/raw")
    return workspace / "data/raw"

"""What the tests share: running a stage as its real command, and tiny raw folders."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Every stage of a test would take a part of the GPU for itself. `make test-gpu` names one.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch

REPO = Path(__file__).resolve().parents[1]
SHARED_SLICES = REPO.parent / "shared/data/mri-slices.zip"

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

RunStage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def shared_slices() -> Path:
    if not SHARED_SLICES.exists():
        pytest.skip(f"{SHARED_SLICES} is not here")
    return SHARED_SLICES


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, new and empty except for a params.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def run_stage_in(folder: Path, stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def run_stage(workspace: Path) -> RunStage:
    """Run `python -m stages.STAGE ...` in the workspace; it must succeed."""

    def run(stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = run_stage_in(workspace, stage, *arguments)
        assert done.returncode == 0, done.stderr
        return done

    return run


def call_stage(folder: Path, stage: str, *arguments: str) -> None:
    """Run a stage in this process, which saves the seconds of the imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [stage, *arguments])
        importlib.import_module(f"stages.{stage}").main()


@pytest.fixture
def stage_error(workspace: Path) -> Callable[..., str]:
    """Run a stage that must fail with status 1 and one line, and write nothing; return the line."""

    def run(stage: str, *arguments: str) -> str:
        before = {path for path in workspace.rglob("*") if path.is_file()}
        done = run_stage_in(workspace, stage, *arguments)
        assert done.returncode == 1, done
        assert done.stderr.startswith("error: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert {path for path in workspace.rglob("*") if path.is_file()} == before
        return done.stderr

    return run


def write_raw(
    folder: Path,
    n_train: int = 23,
    n_test: int = 14,
    shape: tuple[int, ...] = (3, 36, 40),
    classes: tuple[str, ...] = ("Ill", "Sane", "Unsure"),
    subjects: bool = True,
) -> None:
    """Write a raw folder of random grey slices (equal channels, k/255), labels of every class."""
    generator = torch.Generator().manual_seed(1)
    folder.mkdir(parents=True)
    for split, n_rows in (("train", n_train), ("test", n_test)):
        grey = torch.randint(0, 256, (n_rows, 1, *shape[1:]), generator=generator).float() / 255
        grey[:, :, :4] = 0  # a background that is constant
        torch.save(grey.repeat(1, shape[0], 1, 1), folder / f"{split}_data.pt")
        torch.save(torch.arange(n_rows) % len(classes), folder / f"{split}_labels.pt")
        if subjects:
            torch.save(torch.arange(n_rows) // 3, folder / f"{split}_subjects.pt")
    (folder / "classes.json").write_text(json.dumps(classes))


@pytest.fixture
def raw(workspace: Path) -> Path:
    """Return a good raw folder in the workspace, to run on or to damage."""
    write_raw(workspace / "data/raw")
    return workspace / "data/raw"


def load_npy(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, allow_pickle=False)
    return array

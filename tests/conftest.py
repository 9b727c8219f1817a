"""Fixtures for all tests: a workspace, and stages that run in it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

# Every stage of a test would take a part of the GPU for itself. `make test-gpu` names one.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch

from tests.helpers.params import write_params
from tests.helpers.preloaded import Completed
from tests.helpers.project import SHARED_SLICES
from tests.helpers.raw_folders import write_raw
from tests.helpers.reference import require_reference
from tests.helpers.stages import RunStage, copy_environment, list_files, run_stage_in
from tests.helpers.trained_project import write_trained_project

torch.set_num_threads(1)  # small tensors: more threads only wait for each other
# SIGINT is ignored in a background job, and would be in all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
    write_params(tmp_path)
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


@pytest.fixture(scope="session")
def trained_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained and exported model; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("trained")
    write_trained_project(folder)
    return folder

"""Stages, run as their real commands or in this process, and what they wrote."""

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.preloaded import Completed, run_module
from tests.helpers.project import REPO

RunStage = Callable[..., Completed]


def make_environment() -> dict[str, str]:
    """Return the environment in which a child process imports the code of this checkout."""
    return {**os.environ, "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}"}


def copy_environment(folder: Path) -> None:
    """Copy environment.yaml, with which every stage compares the installed packages."""
    shutil.copy(REPO / "environment.yaml", folder)


def run_stage_in(folder: Path, stage: str, *arguments: str) -> Completed:
    """Run `python -m stages.STAGE ...` of this checkout in the folder."""
    return run_module(folder, [f"stages.{stage}", *arguments], make_environment())


def call_stage(folder: Path, stage: str, *arguments: str) -> None:
    """Run a stage in this process, which saves the seconds of the imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [stage, *arguments])
        importlib.import_module(f"stages.{stage}").main()


def list_files(folder: Path) -> set[Path]:
    """Return all files in the folder and its folders."""
    return {path for path in folder.rglob("*") if path.is_file()}


def load_npy(path: Path) -> np.ndarray:
    array: np.ndarray = np.load(path, allow_pickle=False)
    return array

"""Several DVC processes at once in one workspace: right results or DVC's own message."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO, load_npy, write_raw
from tests.faults.conftest import MODELS, damaged_objects, two_models
from tests.pipeline.conftest import Clone

pytestmark = pytest.mark.slow


def test_repro_beside_itself(repo: Path, finished: Clone, tmp_path: Path) -> None:
    clone = two_models(repo, tmp_path / "clone")
    commands = [["repro"], ["repro"], *(["repro", "-s", f"train@{m}"] for m in MODELS)]
    running = [clone.start("dvc", *command) for command in commands]
    for process in running:
        output, _ = process.communicate()
        # -s on a stage whose dependencies another one is making: DVC says which file is missing.
        assert process.returncode == 0 or re.search("^ERROR: ", output, re.MULTILINE), output
        assert "Traceback" not in output
    clone.repro()
    assert clone.outs() == finished.outs()
    assert damaged_objects(clone) == []
    assert clone.repro() == []


def test_load_beside_itself_leaves_no_half_of_an_out(workspace: Path) -> None:
    """A stage can outlive a DVC that was killed, and the next DVC starts it again."""
    write_raw(workspace / "data/raw", n_train=3000, shape=(3, 64, 64))
    flat = workspace / "data/flat"
    command, env = [sys.executable, "-m", "stages.load"], {**os.environ, "PYTHONPATH": str(REPO)}
    for _ in range(3):  # the first time there is no out yet
        running = [subprocess.Popen(command, cwd=workspace, env=env) for _ in range(2)]
        assert 0 in [process.wait() for process in running]
        assert {"x_train.npy", "y_test.npy", "info.json"} < {path.name for path in flat.iterdir()}
        assert len(load_npy(flat / "x_train.npy")) == 3000
    assert not list(workspace.rglob("*.partial"))

"""Several DVC processes at once in one workspace: right results or DVC's own message."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import load_npy, write_raw
from tests.faults.conftest import MODELS, damaged_objects, outs, two_models
from tests.pipeline.conftest import Clone
from train_all import BUSY

pytestmark = pytest.mark.slow


def test_dvc_repro_beside_itself(repo: Path, finished: Clone, tmp_path: Path) -> None:
    clone = two_models(repo, tmp_path / "clone")
    commands = [["repro"], ["repro"], *(["repro", "-s", f"train@{m}"] for m in MODELS)]
    running = [clone.start("dvc", *command) for command in commands]
    for process in running:
        said, _ = process.communicate()
        # -s on a stage whose dependencies another one is making: DVC says which file is missing.
        assert process.returncode == 0 or re.search("^ERROR: ", said, re.MULTILINE), said
        assert "Traceback" not in said
    clone.repro()
    assert outs(clone) == outs(finished)
    assert damaged_objects(clone) == []
    assert clone.repro() == []


def test_a_stage_beside_itself_leaves_no_half_of_an_out(workspace: Path, repo: Path) -> None:
    """A stage can outlive a DVC that was killed, and the next DVC starts it again."""
    write_raw(workspace / "data/raw", n_train=3000, shape=(3, 64, 64))
    flat = workspace / "data/flat"
    files = {"x_train.npy", "x_test.npy", "y_train.npy", "y_test.npy", "meta.json"}
    for _ in range(3):  # the first time there is no out yet
        running = [start_load(workspace, repo) for _ in range(2)]
        said = [process.communicate()[1] for process in running]
        assert 0 in [process.returncode for process in running], said
        assert files < {path.name for path in flat.iterdir()}
        assert len(load_npy(flat / "x_train.npy")) == 3000
    assert not list(workspace.rglob("*.partial"))


def start_load(folder: Path, repo: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "stages.load"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repo)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_temporary_experiment_beside_dvc_repro(finished: Clone, clone: Clone) -> None:
    experiment = clone.start(
        "dvc", "exp", "run", "--temp", "-n", "aside", "-S", "models.conv_nn2.lr=0.1"
    )
    again = clone.start("dvc", "repro", "--force")
    for process in (experiment, again):
        said, _ = process.communicate()
        assert process.returncode == 0 or any(message in said for message in BUSY), said
    clone.repro()
    assert outs(clone) == outs(finished)
    assert damaged_objects(clone) == []
    if experiment.returncode == 0:
        said = clone.run("dvc", "exp", "show", "--csv")
        assert [line for line in said.splitlines() if line.startswith("aside,")]

"""Several DVC processes at once in one workspace: right results or DVC's own message."""

import re
from pathlib import Path

import pytest

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

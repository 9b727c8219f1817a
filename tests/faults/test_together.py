"""Several DVC processes at once in one workspace: right results or DVC's own message."""

import re
from pathlib import Path

import pytest
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

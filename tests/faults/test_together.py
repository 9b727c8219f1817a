"""Several DVC processes at once in one workspace: right results or DVC's own message."""

import re

import pytest

from tests.helpers.clones import Clone, list_damaged_objects
from tests.helpers.pipeline_params import TWO_MODELS

pytestmark = pytest.mark.slow


def test_repro_beside_itself_ends_in_same_bytes(finished: Clone, new: Clone) -> None:
    commands = [["repro"], ["repro"]]
    commands += [["repro", "--single-item", f"train@{model}"] for model in TWO_MODELS]
    processes = [new.start("dvc", *command) for command in commands]

    for process in processes:
        output, _ = process.communicate()
        # A single stage, of which another process is making a dep: DVC names the missing file.
        has_message = re.search("^ERROR: ", output, re.MULTILINE) is not None
        assert process.returncode == 0 or has_message, output
        assert "Traceback" not in output

    new.repro()
    assert new.read_outs() == finished.read_outs()
    assert list_damaged_objects(new) == []
    assert new.repro() == []

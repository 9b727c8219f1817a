"""Several DVC processes at once in one workspace: right results or DVC's own message."""

import re

import pytest

from tests.helpers.clones import Clone, list_damaged_objects
from tests.helpers.pipeline_params import TWO_MODELS

pytestmark = pytest.mark.slow
LAST_STAGE = "evaluate@conv_nn2"  # one behind every stage that takes long


def test_repro_beside_itself_ends_in_same_bytes(finished: Clone, new: Clone) -> None:
    commands = [["repro", LAST_STAGE], ["repro", LAST_STAGE]]
    commands += [["repro", "--single-item", f"train@{model}"] for model in TWO_MODELS]
    processes = [new.start("dvc", *command) for command in commands]

    for process in processes:
        output, _ = process.communicate()
        # A single stage, of which another process is making a dep: DVC names the missing file.
        has_message = re.search("^ERROR: ", output, re.MULTILINE) is not None
        assert process.returncode == 0 or has_message, output
        assert "Traceback" not in output

    new.repro(LAST_STAGE, "train@simple_nn2")
    outs = finished.read_outs()
    new_outs = new.read_outs()
    assert {"models/simple_nn2.safetensors", "metrics/conv_nn2.json"} <= new_outs.keys()
    assert {name: outs[name] for name in new_outs} == new_outs
    assert list_damaged_objects(new) == []
    assert new.repro(LAST_STAGE) == []

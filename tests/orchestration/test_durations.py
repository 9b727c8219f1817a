"""The last duration of each stage."""

from pathlib import Path

import pytest

from mri_stages.config.run_history import RunResult, append_run
from mri_stages.orchestration.durations import Duration, read_last_durations
from tests.helpers.stage_runs import make_run


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_last_duration_of_each_stage() -> None:
    for stage, seconds in (("a", 1), ("b", 2), ("a", 3)):
        append_run(make_run(stage, seconds))
    assert read_last_durations() == {"a": Duration(3, "here"), "b": Duration(2, "here")}


def test_last_duration_not_of_a_failure() -> None:
    append_run(make_run("a", 1))
    append_run(make_run("a", 3, RunResult.FAILED))
    assert read_last_durations()["a"].seconds == 1


def test_last_durations_without_a_history() -> None:
    assert read_last_durations() == {}

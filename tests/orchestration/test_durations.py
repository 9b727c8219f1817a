"""The last duration of each stage."""

from pathlib import Path

import pytest

from mri_stages.config.run_history import RunResult, append_run
from mri_stages.errors import ArgumentError
from mri_stages.orchestration.durations import (
    Duration,
    parse_duration,
    read_last_durations,
    skip_slow_stages,
)
from mri_stages.orchestration.outcome import Status
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


def test_skip_slow_stages_that_took_longer_last_time() -> None:
    for stage, seconds in (("slow", 1), ("slow", 61), ("quick", 90), ("quick", 60)):
        append_run(make_run(stage, seconds))
    outcomes = skip_slow_stages(60)
    assert {stage: outcome.status for stage, outcome in outcomes.items()} == {
        "slow": Status.SKIPPED
    }
    assert "61 s" in outcomes["slow"].text


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("5m", 300), ("2h", 7200), ("0.5h", 1800), ("0s", 0)]
)
def test_parse_duration_by_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "5 m", "-1s", "2d", "s", "1m30s", "nans", "60s\n"])
def test_parse_duration_refuses(text: str) -> None:
    with pytest.raises(ArgumentError, match="60s, 5m or 2h"):
        parse_duration(text)

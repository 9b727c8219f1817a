"""`mri-stages history`."""

from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.commands import history
from mri_stages.config.param_changes import ChangedParam
from mri_stages.config.run_history import append_run
from mri_stages.errors import ArgumentError, InputError
from tests.helpers.stage_runs import make_run

MAX_WIDTH = 160


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def list_rows(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()[1:]]


def test_history_shows_the_newest_run_last(capsys: pytest.CaptureFixture[str]) -> None:
    append_run(make_run("load", 12.34))
    append_run(make_run("train@net", 56.78))
    history.main([])
    rows = list_rows(capsys)
    assert [row[2] for row in rows] == ["load", "train@net"]
    assert [row[4] for row in rows] == ["12.3", "56.8"]


@pytest.mark.parametrize("name", ["net", "train", "train@net"])
def test_history_of_a_name_shows_its_stages(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("load", "train@net", "evaluate@other"):
        append_run(make_run(stage))
    history.main([name])
    assert [row[2] for row in list_rows(capsys)] == ["train@net"]


@pytest.mark.parametrize(
    ("name", "named"), [("resnett", "resnet"), ("trian@small", "train@small"), ("xyz", "evaluate")]
)
def test_history_of_an_unknown_name_is_one_short_line(name: str, named: str) -> None:
    for stage in ("train", "evaluate", "cross_validate", "summarise", "probe"):
        for model in ("small", "resnet", *(f"conv{number}" for number in range(10))):
            append_run(make_run(f"{stage}@{model}"))
    with pytest.raises(InputError, match=rf"\b{named}\b") as caught:
        history.main([name])
    assert len(str(caught.value)) <= MAX_WIDTH


def test_history_shows_the_changed_params(capsys: pytest.CaptureFixture[str]) -> None:
    change = ChangedParam(name="models.net.lr", old=0.1, new=0.25)
    append_run(make_run(changed_params=(change,)))
    history.main([])
    output = capsys.readouterr().out
    assert "models.net.lr" in output
    assert "0.25" in output


def test_history_cuts_a_long_list_of_changes(capsys: pytest.CaptureFixture[str]) -> None:
    changes = tuple(ChangedParam(name=f"models.net.key{n}", old=0, new=1) for n in range(20))
    append_run(make_run(changed_params=changes))
    history.main([])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= MAX_WIDTH


def test_history_shows_as_many_runs_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("load", "scale", "report"):
        append_run(make_run(stage))
    history.main(["--runs", "2"])
    rows = list_rows(capsys)
    assert [row[2] for row in rows[:2]] == ["scale", "report"]
    assert rows[2][0] == "1"  # older run

    history.main(["--runs", "3"])
    assert len(list_rows(capsys)) == 3


def test_history_of_no_runs_is_refused() -> None:
    with pytest.raises(ArgumentError, match="0"):
        history.main(["--runs", "0"])


def test_history_before_the_first_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    paths.PARAMS.touch()
    history.main([])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_history_outside_a_project_is_refused() -> None:
    with pytest.raises(InputError, match=paths.PARAMS.name):
        history.main([])

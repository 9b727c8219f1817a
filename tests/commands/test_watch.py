"""`mri-stages watch`: one look at the trainings that run."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.commands.watch import describe_trainings, format_seconds, main
from mri_stages.config.live import find_live_file, read_live_lines, write_live
from mri_stages.config.run_history import STAGE_VARIABLE
from mri_stages.console import announce_progress, enter_part
from mri_stages.errors import InputError

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def stage_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STAGE_VARIABLE, "cross_validate@net")


def test_watch_shows_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    with write_live(), enter_part("fold", 2, 4):
        announce_progress(0, 10)
        announce_progress(5, 10, train=0.25)
        main([])  # the output of a test is no terminal
    header, row = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ["cross_validate@net", "running", "38%"]
    assert row.endswith("fold 2/4 epoch 5/10")
    assert row[: header.index("loss") + len("loss")].endswith("0.25")


def test_watch_without_trainings(capsys: pytest.CaptureFixture[str]) -> None:
    paths.PARAMS.touch()
    main(["--once"])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_watch_of_an_impossible_number_of_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with write_live(), enter_part("fold", 1, 4):
        announce_progress(1, 10)
        path = find_live_file("cross_validate@net")
        path.write_text(path.read_text().replace('["fold",1,4]', '["fold",1,0]'))
        paths.PARAMS.touch()
        main(["--once"])
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_watch_outside_a_project_is_refused() -> None:
    with pytest.raises(InputError, match=paths.PARAMS.name):
        main(["--once"])


def test_describe_trainings_of_a_stopped_one() -> None:
    with write_live():
        announce_progress(0, 4)
        announce_progress(1, 4, train=1.0)
        path = find_live_file("cross_validate@net")
        lines = read_live_lines(path)

    # A process that started later has its number.
    lines = [line.model_copy(update={"time": LONG_AGO}) for line in lines]
    path.write_text("".join(line.model_dump_json() + "\n" for line in lines))
    row = describe_trainings(datetime.now(UTC)).splitlines()[1]
    assert row.split()[1:4] == ["stopped", "25%", "-"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (59, "59 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_format_seconds(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text

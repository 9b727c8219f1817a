"""The files of running stages: who writes and removes them, and what they tell of the rest."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from mri_stages import paths
from mri_stages.config.live import (
    LiveLine,
    LiveState,
    LiveWriter,
    compute_share,
    estimate_seconds,
    find_live_file,
    judge_state,
    read_live_lines,
    write_live,
)
from mri_stages.config.run_history import STAGE_VARIABLE
from mri_stages.console import Part, announce_progress, enter_part
from tests.helpers.project import REPO

STAGE = "studies/dvc.yaml:seed@net"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_line(epoch: int, seconds: float, *parts: Part) -> LiveLine:
    time = NOW + timedelta(seconds=seconds)
    return LiveLine(
        time=time, stage=STAGE, pid=1, host="there", parts=list(parts), epoch=epoch, epochs=4
    )


@contextmanager
def run_as_stage() -> Iterator[Path]:
    """Yield the file of this process, which stands for that of a stage."""
    with write_live():
        yield find_live_file(STAGE)


@pytest.fixture(autouse=True)
def stage_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(STAGE_VARIABLE, STAGE)


def test_write_live_has_a_line_per_epoch() -> None:
    with run_as_stage() as path, enter_part("fold", 2, 5):
        announce_progress(0, 4)
        announce_progress(1, 4, train=0.5, validation=float("nan"))
        lines = read_live_lines(path)
    assert [line.epoch for line in lines] == [0, 1]
    assert lines[1].parts == [Part("fold", 2, 5)]
    assert lines[1].losses == {"train": 0.5, "validation": None}
    assert lines[1].stage == STAGE


def test_write_live_file_is_in_the_folder() -> None:
    with run_as_stage():
        announce_progress(0, 4)
        assert len(list(paths.LIVE.glob("*.jsonl"))) == 1


def test_write_live_removes_its_file() -> None:
    with run_as_stage() as path:
        announce_progress(0, 4)
    assert not path.exists()


def test_write_live_removes_it_after_an_error() -> None:
    with suppress(ValueError), run_as_stage() as path:
        announce_progress(0, 4)
        assert path.exists()
        raise ValueError("the stage has failed")
    assert not path.exists()


def test_write_live_only_for_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STAGE_VARIABLE)
    with write_live():
        announce_progress(0, 4)
        assert not paths.LIVE.exists()


def test_write_live_replaces_a_killed_run() -> None:
    with run_as_stage() as path:
        path.parent.mkdir(parents=True)
        path.write_text(make_line(3, 0).model_dump_json() + "\n")
        announce_progress(0, 4)
        assert len(path.read_text().splitlines()) == 1


def test_write_live_of_a_killed_process_is_stopped() -> None:
    code = (
        "from itertools import count\n"
        "from mri_stages.config.live import write_live\n"
        "from mri_stages.console import announce_progress\n"
        "with write_live():\n"
        "    for epoch in count():\n"
        "        announce_progress(epoch, 10**9)\n"
        "        if epoch == 1: print(flush=True)\n"
    )
    environment = {"PYTHONPATH": f"{REPO}/src", "PATH": "/usr/bin:/bin", STAGE_VARIABLE: STAGE}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    lines = read_live_lines(find_live_file(STAGE))
    assert [line.epoch for line in lines] == list(range(len(lines)))
    assert judge_state(lines[0]) is LiveState.STOPPED


def test_live_writer_beside_another_of_its_stage() -> None:
    """Two commands run a stage at once: the one that ends first removes the file of both."""
    path = Path("a.jsonl")
    first_writer = LiveWriter(STAGE, path)
    second_writer = LiveWriter(STAGE, path)
    first_writer.write([make_line(0, 0).model_dump_json()])
    second_line = make_line(0, 1).model_copy(update={"pid": 2})
    second_writer.write([second_line.model_dump_json()])
    first_writer.write([make_line(1, 2).model_dump_json()])
    first_writer.remove()
    second_writer.write([second_line.model_dump_json()])
    assert read_live_lines(path) == [second_line]
    second_writer.remove()
    assert not path.exists()


def test_live_writer_writes_nothing_after_its_end() -> None:
    path = Path("a.jsonl")
    writer = LiveWriter(STAGE, path)
    writer.write(["{}"])
    writer.remove()
    writer.write(["{}"])
    assert not path.exists()


def test_write_live_warns_once(capsys: pytest.CaptureFixture[str]) -> None:
    paths.LIVE.parent.write_text("a file in place of the folder")
    with run_as_stage():
        announce_progress(0, 4)
        announce_progress(1, 4)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_write_live_on_a_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    with run_as_stage() as path:
        path.parent.mkdir(parents=True)
        path.symlink_to("/dev/full")
        announce_progress(0, 4)
        announce_progress(1, 4)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not path.is_symlink()


def test_read_live_lines_skips_a_half_line() -> None:
    path = Path("a.jsonl")
    line = make_line(1, 0)
    path.write_text(line.model_dump_json() + "\n" + line.model_dump_json()[:20])
    assert read_live_lines(path) == [line]


@pytest.mark.parametrize(
    "damage",
    [
        {"parts": [["fold", 1, 0]]},
        {"parts": [["fold", 1, -2]]},
        {"parts": [["fold", 1, "all"]]},
        {"parts": [["fold", 3, 2]]},
        {"parts": [["fold", 0, 2]]},
        {"epochs": 0},
        {"epoch": 5},
        {"epoch": -1},
        {"time": "2026-01-02T03:04:05"},  # without a zone it cannot be compared
    ],
)
def test_read_live_lines_skips_impossible_numbers(damage: dict[str, Any]) -> None:
    path = Path("a.jsonl")
    line = make_line(1, 0)
    damaged_line = {**line.model_dump(mode="json"), **damage}
    path.write_text(f"{line.model_dump_json()}\n{json.dumps(damaged_line)}\n")
    assert read_live_lines(path) == [line]


def test_read_live_lines_of_the_last_process() -> None:
    path = Path("a.jsonl")
    lines = [make_line(3, 0), make_line(0, 9).model_copy(update={"pid": 2})]
    path.write_text("".join(line.model_dump_json() + "\n" for line in lines))
    assert read_live_lines(path) == lines[1:]


def test_judge_state_running() -> None:
    with run_as_stage() as path:
        announce_progress(0, 4)
        assert judge_state(read_live_lines(path)[0]) is LiveState.RUNNING


def test_judge_state_of_a_dead_process() -> None:
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    with run_as_stage() as path:
        announce_progress(0, 4)
        line = read_live_lines(path)[0].model_copy(update={"pid": int(process.stdout)})
    assert judge_state(line) is LiveState.STOPPED


def test_judge_state_of_a_zombie() -> None:
    """A process that has ended, and whose parent has not asked for its status."""
    with run_as_stage() as path:
        announce_progress(0, 4)
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            # A later line: the state alone tells, and not the start of the process.
            changes = {"pid": process.pid, "time": datetime.now(UTC)}
            line = read_live_lines(path)[0].model_copy(update=changes)
            assert judge_state(line) is LiveState.STOPPED


def test_judge_state_of_a_used_number() -> None:
    with run_as_stage() as path:
        announce_progress(0, 4)
        start = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
        line = read_live_lines(path)[0].model_copy(update={"time": start - timedelta(seconds=10)})
    assert line.pid == os.getpid()
    assert judge_state(line) is LiveState.STOPPED


def test_judge_state_elsewhere() -> None:
    assert judge_state(make_line(0, 0)) is LiveState.ELSEWHERE


def test_compute_share_of_nested_parts() -> None:
    line = make_line(2, 0, Part("repeat", 2, 2), Part("fold", 1, 5))
    assert compute_share(line) == pytest.approx(0.5 + 0.1 * 0.5)


def test_estimate_seconds_over_all_parts() -> None:
    lines = [make_line(0, 0, Part("fold", 1, 2)), make_line(2, 10, Part("fold", 1, 2))]
    assert estimate_seconds(lines, NOW + timedelta(seconds=14)) == pytest.approx(30 - 4)


def test_estimate_seconds_of_a_resumed_training() -> None:
    lines = [make_line(2, 0), make_line(3, 10)]
    assert estimate_seconds(lines, NOW + timedelta(seconds=10)) == pytest.approx(10)


def test_estimate_seconds_of_an_epoch_that_is_late_is_0() -> None:
    lines = [make_line(2, 0), make_line(3, 10)]
    assert estimate_seconds(lines, NOW + timedelta(seconds=25)) == 0


def test_estimate_seconds_unknown_at_the_start() -> None:
    assert estimate_seconds([make_line(0, 0)], NOW) is None

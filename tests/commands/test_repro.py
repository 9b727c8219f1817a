"""Small DVC projects of shell commands: which stages `mri-stages repro` runs, and how it ends."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mri_stages.commands.repro import report
from mri_stages.config.run_history import append_run
from mri_stages.errors import NO_MEMORY_STATUS, InputError
from mri_stages.orchestration.outcome import Outcome, Status
from tests.helpers.dvc_projects import (
    DVC,
    REPRO,
    list_processes_here,
    list_started,
    read_until,
    run_repro,
    shell_stage,
    start_command,
    write_project,
)
from tests.helpers.params import write_params
from tests.helpers.stage_runs import make_run


@pytest.fixture(autouse=True)
def in_workspace(workspace: Path) -> Iterator[None]:
    yield
    for process in psutil.Process().children():  # A failed test leaves them.
        process.terminate()


@pytest.fixture
def chain() -> None:
    """Make a project whose stages are written in another order than they run."""
    write_project(
        other=shell_stage("echo > other", "other"),
        last=shell_stage("cat middle > last", "last", "middle"),
        middle=shell_stage("cat first > middle", "middle", "first"),
        first=shell_stage("cat source > first", "first", "source"),
    )
    Path("source").write_text("1")


def test_repro_runs_what_a_stage_depends_on(chain: None) -> None:
    assert list_started(run_repro("last")) == ["first", "middle", "last"]
    assert not Path("other").exists()


@pytest.mark.slow
def test_repro_runs_what_changed(chain: None) -> None:
    run_repro("last")
    assert list_started(run_repro("last")) == []
    Path("source").write_text("2")
    assert sorted(list_started(run_repro("last", "other"))) == ["first", "last", "middle", "other"]
    assert Path("last").read_text() == "2"
    subprocess.run([*DVC, "status", "--quiet"], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.cpu_count() == 1, reason="one core: one stage at a time")
def test_repro_runs_several_stages_at_once() -> None:
    def wait_for(mine: str, other: str) -> dict[str, Any]:
        until = f"timeout 60 bash -c 'until test -e {other}; do :; done'"
        return {"cmd": f"echo > {mine} && {until}", "outs": [mine]}

    write_project(one=wait_for("1", "2"), two=wait_for("2", "1"))
    run_repro("one", "two")


@pytest.mark.slow
def test_repro_starts_the_last_first() -> None:
    stage = shell_stage("echo ${item} > ${item}", "${item}")
    write_project(train={"foreach": ["fast", "slow", "slowest"], "do": stage})
    write_params(Path(), {"train.threads": 1024})
    lines = [line.split(" in ")[0] for line in run_repro("train")]
    expected = []
    for name in ("train@slowest", "train@slow", "train@fast"):
        expected += [f"{name}: started", f"{name}: done"]
    assert lines == expected


@pytest.mark.slow
def test_repro_prints_a_stages_lines_at_once() -> None:
    code = "import sys; print('epoch 1'); open('pipe').read(); print('a note', file=sys.stderr)"
    write_project(train=shell_stage(f'python -c "{code}" && echo > x', "x"))
    os.mkfifo("pipe")
    process = start_command(*REPRO, "train")
    read_until(process, "train: epoch 1")
    assert process.poll() is None  # The stage goes on.
    Path("pipe").write_text("")
    rest, _ = process.communicate()
    assert process.returncode == 0
    note, end = rest.splitlines()  # and nothing that DVC says of itself
    assert note == "train: a note"
    assert end.startswith("train: done in ")


@pytest.fixture
def failing_project() -> None:
    write_project(
        bad=shell_stage("echo because >&2; exit 3", "bad"),
        after=shell_stage("cat bad > after", "after", "bad"),
        good=shell_stage("echo > good", "good"),
        best=shell_stage("cat good > best", "best", "good"),
    )


@pytest.mark.slow
def test_repro_runs_what_does_not_depend_on_a_failure(failing_project: None) -> None:
    lines = run_repro("best", "after", status=1)
    assert sorted(list_started(lines)) == ["bad", "best", "good"]
    assert Path("best").exists()


def test_repro_shows_why_a_stage_failed(failing_project: None) -> None:
    lines = run_repro("bad", status=1)
    assert "bad: because" in lines
    assert any("ERROR" in line and "exited with 3" in line for line in lines)  # as DVC says it


@pytest.mark.slow
def test_repro_names_the_stages_that_are_late(failing_project: None) -> None:
    last_line = run_repro("best", "after", status=1)[-1]
    assert last_line.startswith("error: ")
    assert {"bad", "after", "good", "best"} & {*re.findall(r"\w+", last_line)} == {"bad", "after"}


@pytest.mark.slow
def test_repro_repeats_a_killed_stage_alone() -> None:
    write_project(big=shell_stage("test -e second || { touch second; kill -9 $$; }; echo > x", "x"))
    assert list_started(run_repro("big")) == ["big", "big"]
    assert Path("x").exists()


@pytest.mark.slow
def test_repro_without_memory_has_its_own_status() -> None:
    write_project(big=shell_stage("exit 75", "x"), after=shell_stage("cat x > y", "y", "x"))
    lines = run_repro("after", status=75)
    assert list_started(lines) == ["big", "big"]
    assert lines[-1].startswith("error: ")


@pytest.mark.slow
def test_repro_of_a_failure_beside_one_without_memory() -> None:
    write_project(big=shell_stage("exit 75", "x"), bad=shell_stage("exit 3", "y"))
    assert run_repro("big", "bad", status=1)[-1].startswith("error: ")


def test_repro_without_git_says_how_to_go_on() -> None:
    write_project(one=shell_stage("echo > x", "x"))
    Path(".dvc/config").write_text("")  # as it lies in Git: the project needs a repository
    lines = run_repro("one", status=1)
    assert len(lines) == 1
    assert "git init" in lines[0]


@pytest.mark.slow
def test_repro_after_git_init() -> None:
    write_project(one=shell_stage("echo > x", "x"))
    Path(".dvc/config").write_text("")
    subprocess.run(["git", "init", "--quiet"], check=True)
    run_repro("one")
    assert Path("x").exists()


def test_repro_reads_params_before_it_runs_anything() -> None:
    write_project(one=shell_stage("echo > x", "x"))
    write_params(Path(), {"sample.subjects": "eight"})
    lines = run_repro("one", status=1)
    assert len(lines) == 1
    assert "sample.subjects" in lines[0]


def test_repro_lists_the_architectures() -> None:
    write_project(one=shell_stage("echo > x", "x"))
    write_params(Path(), {"models.small.arch": "simple_nn3"})
    lines = run_repro("one", status=1)
    assert len(lines) == 1
    assert {"simple_nn3", "simple_nn2", "conv_nn2", "resnet"} <= {*re.findall(r"\w+", lines[0])}


def test_repro_takes_names_behind_an_option(chain: None) -> None:
    lines = run_repro("first", "--skip-slow", "1h", "other")
    assert sorted(list_started(lines)) == ["first", "other"]


def test_repro_of_a_wrong_argument() -> None:
    assert len(run_repro("--wrong", status=2)) == 1


@pytest.mark.slow
def test_repro_waits_for_another_dvc() -> None:
    write_project(one=shell_stage("echo ready && cat pipe > x", "x"))
    os.mkfifo("pipe")
    other = start_command(*DVC, "repro")
    read_until(other, "ready")
    process = start_command(*REPRO, "one")
    assert str(other.pid) in read_until(process, "one: waits for another DVC process")
    Path("pipe").write_text("content")
    rest, _ = process.communicate()
    other.communicate()
    assert (other.returncode, process.returncode) == (0, 0)
    assert "ready" not in rest  # The other one has run the stage.
    assert Path("x").read_text() == "content"


@pytest.fixture
def slow_stage(chain: None) -> None:
    """Run the project, whose stage `middle` takes minutes by the history; change its source."""
    subprocess.run([*DVC, "repro", "--quiet", "last"], check=True)
    append_run(make_run("middle", 61))
    Path("source").write_text("2")


@pytest.mark.slow
def test_repro_skips_a_slow_stage(slow_stage: None) -> None:
    lines = run_repro("last", "other", "--skip-slow", "60s")
    assert sorted(list_started(lines)) == ["first", "other"]
    assert [Path(out).read_text() for out in ("first", "middle", "last")] == ["2", "1", "1"]
    assert {"middle", "last"} <= {*re.findall(r"\w+", lines[-1])}
    rows = [line.split(maxsplit=2) for line in lines if " skipped " in line]
    assert sorted(rows) == [
        ["last", "skipped", "middle: skipped"],
        ["middle", "skipped", "took 61 s last time"],
    ]


@pytest.mark.slow
def test_repro_restores_a_slow_stage(slow_stage: None) -> None:
    subprocess.run([*DVC, "repro", "--quiet", "last"], check=True)
    Path("source").write_text("1")
    run_repro("last", "--skip-slow", "0s")
    assert Path("last").read_text() == "1"


@pytest.mark.slow
def test_repro_of_a_failure_beside_a_slow_stage(slow_stage: None) -> None:
    text = Path("dvc.yaml").read_text().replace("echo > other", "exit 3")
    Path("dvc.yaml").write_text(text)
    last_line = run_repro("last", "other", "--skip-slow", "1m", status=1)[-1]
    assert {"other", "middle", "last"} & {*re.findall(r"\w+", last_line)} == {"other"}


def test_report_of_skipped_stages_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    report({"load": Outcome(Status.DONE), "train@a": Outcome(Status.SKIPPED)})
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert "train@a" in last_line
    assert "load" not in last_line


def test_report_of_a_failure_beside_a_skipped_stage_names_it_alone() -> None:
    outcomes = {"train@a": Outcome(Status.SKIPPED), "train@b": Outcome(Status.FAILED)}
    with pytest.raises(InputError, match="train@b") as error:
        report(outcomes)
    assert "train@a" not in str(error.value)


def test_report_of_stages_without_memory_has_its_own_status() -> None:
    outcomes = {
        "load": Outcome(Status.DONE),
        "train@a": Outcome(Status.NO_MEMORY),
        "evaluate@a": Outcome(Status.NO_RESULT),
        "report": Outcome(Status.NOT_RUN),
    }
    with pytest.raises(SystemExit) as end:
        report(outcomes)
    assert end.value.code == NO_MEMORY_STATUS
    with pytest.raises(InputError):
        report(outcomes | {"train@b": Outcome(Status.FAILED)})


@pytest.mark.parametrize(
    ("status", "is_told"),
    [(Status.UP_TO_DATE, True), (Status.DONE, False), (Status.RESTORED, False)],
)
def test_report_tells_where_there_was_nothing_to_do(
    capsys: pytest.CaptureFixture[str], status: Status, is_told: bool
) -> None:
    report({"load": Outcome(Status.UP_TO_DATE), "train@a": Outcome(status)})
    assert ("up to date" in capsys.readouterr().out) is is_told


def test_repro_of_a_wrong_duration() -> None:
    lines = run_repro("--skip-slow", "60", status=2)
    assert len(lines) == 1
    assert "60s" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_repro_on_a_signal_ends_all_that_it_started(signum: int) -> None:
    forever = shell_stage("tail -f /dev/null & echo ready; wait", "${item}")
    after = shell_stage("cat a b > c", "c", "a", "b")
    write_project(train={"foreach": ["a", "b"], "do": forever}, after=after)
    process = start_command(*REPRO, "after")
    read_until(process, "train@b: ready")
    assert len(list_processes_here()) >= 4  # mri-stages repro, DVC, a shell and tail
    process.send_signal(signum)
    rest, _ = process.communicate()
    assert process.returncode == 128 + signum
    assert "Traceback" not in rest
    assert list_processes_here() == []

"""The history of runs: one line of each run, whatever happens to the file."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mri_stages import paths
from mri_stages.config.param_changes import ABSENT, ChangedParam
from mri_stages.config.run_history import (
    RunResult,
    append_or_warn,
    append_run,
    find_history_file,
    list_changed_params,
    parse_yaml,
    read_history,
    record_run,
    select_stage,
)
from tests.helpers.project import REPO
from tests.helpers.stage_runs import make_run

LOCK = """\
schema: '2.0'
stages:
  train@net:
    cmd: train net
    params:
      environment.yaml:
        torch: 1.2.3
      params.yaml:
        models.net:
          lr: 1e-08
          batch_size: 5
          old_key: 1
        train.epochs: 10
"""
PARAMS = """\
models:
  net:
    lr: 0.00000001
    batch_size: 15
    new_key: true
train:
  epochs: 10
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "train@net")
    return tmp_path


def test_run_is_read_as_it_was_appended() -> None:
    append_run(make_run("load"))
    append_run(make_run("train@net"))
    assert read_history() == [make_run("load"), make_run("train@net")]


def test_run_after_a_torn_line_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    append_run(make_run("load"))
    whole = paths.RUN_HISTORY.read_bytes()
    paths.RUN_HISTORY.write_bytes(whole + whole[:20])
    append_run(make_run("scale"))
    assert [run.stage for run in read_history()] == ["load", "scale"]
    assert str(paths.RUN_HISTORY) in capsys.readouterr().err


def test_full_disk_leaves_the_earlier_lines(project: Path) -> None:
    """A limit on the size of files stands for a full disk, in a process of its own."""
    append_run(make_run("load"))
    before = paths.RUN_HISTORY.read_bytes()
    code = (
        "import resource, signal\n"
        "from mri_stages.config.run_history import append_or_warn\n"
        "from tests.helpers.stage_runs import make_run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 20},) * 2)\n"
        "append_or_warn(make_run('scale'))\n"
    )
    environment = {"PYTHONPATH": f"{REPO}/src:{REPO}", "PATH": "/usr/bin:/bin"}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert len(process.stderr.splitlines()) == 1
    assert str(paths.RUN_HISTORY) in process.stderr
    assert paths.RUN_HISTORY.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_without_room_for_a_byte_stops_no_stage(capsys: pytest.CaptureFixture[str]) -> None:
    paths.RUN_HISTORY.parent.mkdir()
    paths.RUN_HISTORY.symlink_to("/dev/full")
    append_or_warn(make_run())
    (line,) = capsys.readouterr().err.splitlines()
    assert str(paths.RUN_HISTORY) in line


def test_killed_process_leaves_the_history_readable() -> None:
    code = (
        "from mri_stages.config.run_history import append_run\n"
        "from tests.helpers.stage_runs import make_run\n"
        "append_run(make_run('load'))\n"
        "print(flush=True)\n"
        "while True: append_run(make_run('scale'))\n"
    )
    environment = {"PYTHONPATH": f"{REPO}/src:{REPO}", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    append_run(make_run("report"))
    stages = [run.stage for run in read_history()]
    assert stages[0] == "load"
    assert set(stages[1:-1]) <= {"scale"}
    assert stages[-1] == "report"


def test_folder_in_place_of_the_file_stops_no_stage(capsys: pytest.CaptureFixture[str]) -> None:
    paths.RUN_HISTORY.mkdir(parents=True)
    append_or_warn(make_run())
    assert str(paths.RUN_HISTORY) in capsys.readouterr().err


def test_two_processes_at_once_lose_no_line() -> None:
    code = (
        "from mri_stages.config.run_history import append_run\n"
        "from tests.helpers.stage_runs import make_run\n"
        "for _ in range(200): append_run(make_run())\n"
    )
    environment = {"PYTHONPATH": f"{REPO}/src:{REPO}", "PATH": "/usr/bin:/bin"}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert read_history() == [make_run()] * 400


def test_changed_params_are_those_that_differ_from_the_lock(project: Path) -> None:
    (project / "dvc.lock").write_text(LOCK)
    (project / "params.yaml").write_text(PARAMS)
    (project / "environment.yaml").write_text('torch: "1.2.4"')
    assert list_changed_params("train@net") == [
        ChangedParam(name="torch", old="1.2.3", new="1.2.4"),
        ChangedParam(name="models.net.batch_size", old=5, new=15),
        ChangedParam(name="models.net.old_key", old=1, new=ABSENT),
        ChangedParam(name="models.net.new_key", old=ABSENT, new=True),
    ]


def test_changed_params_of_a_study_come_from_its_own_lock(project: Path) -> None:
    (project / "studies").mkdir()
    (project / "studies/dvc.lock").write_text(LOCK.replace("train@net", "seed@net"))
    (project / "params.yaml").write_text(PARAMS.replace("epochs: 10", "epochs: 20"))
    changes = list_changed_params("studies/dvc.yaml:seed@net")
    assert ChangedParam(name="train.epochs", old=10, new=20) in changes


@pytest.mark.parametrize("name", ["first", "train@net", "last"])
def test_select_stage_has_its_entry_only(name: str) -> None:
    entries = {stage: {"cmd": stage, "params": {"a": "x\n\ny"}} for stage in ("first", "train@net")}
    entries |= {"last": {"cmd": "last"}}
    text = yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False)
    assert parse_yaml(select_stage(text, name)) == {"stages": {name: entries[name]}}


def test_select_stage_of_another_form_is_the_whole_file() -> None:
    text = "stages: {net: {cmd: x}}"
    assert select_stage(text, "net") == text


def test_first_run_has_no_changed_params() -> None:
    assert list_changed_params("train@net") == []


def test_record_of_a_run_has_its_cost() -> None:
    with record_run():
        sum(range(1_000_000))
    (run,) = read_history()
    assert (run.stage, run.result) == ("train@net", RunResult.DONE)
    assert run.seconds > 0
    assert run.cpu_seconds > 0
    assert run.peak_mb > 1


@pytest.mark.parametrize(
    ("error", "result"),
    [(ValueError, RunResult.FAILED), (KeyboardInterrupt, RunResult.STOPPED)],
)
def test_record_of_a_run_says_how_it_ended(error: type[BaseException], result: RunResult) -> None:
    with pytest.raises(error), record_run():
        raise error
    assert [run.result for run in read_history()] == [result]


def test_stage_that_dvc_did_not_start_leaves_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    with record_run():
        pass
    assert not paths.RUN_HISTORY.exists()


def test_experiment_in_a_copy_writes_to_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = project / ".dvc/tmp/exps/tmpabc"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert find_history_file() == project / paths.RUN_HISTORY


def test_line_is_json_that_others_can_read() -> None:
    append_run(make_run())
    record = json.loads(paths.RUN_HISTORY.read_text())
    assert record["stage"] == "train@net"
    assert record["result"] == "done"
    assert record["seconds"] == 1.5

"""What DVC's status says of small projects, change by change."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from mri_stages.orchestration.dvc import LOCK_FILE
from mri_stages.orchestration.dvc_changes import (
    Change,
    ChangeKind,
    is_code,
    read_graph_and_changes,
    read_graph_and_changes_of_repo,
)
from mri_stages.orchestration.graph import StageGraph
from mri_stages.orchestration.model_results import ResultState, find_result_states
from mri_stages.orchestration.plan import arrange_plan
from tests.helpers.dvc_projects import DVC, read_until, shell_stage, write_project

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")


def write_files() -> None:
    Path("params.yaml").write_text("train: {lr: 0.1, epochs: 3}\n")
    Path("environment.yaml").write_text('torch: "1.10"\n')
    Path("code.py").write_text("1")
    Path("source").write_text("1")


def make_project() -> None:
    stage: dict[str, Any] = shell_stage("cat source > out", "out", "source", "code.py")
    stage["params"] = ["train", {"environment.yaml": ["torch"]}]
    write_project(first=stage, last=shell_stage("cat out > end", "end", "out"))


@pytest.fixture
def project(workspace: Path) -> None:
    """Make a project whose stages are up to date."""
    write_files()
    make_project()
    subprocess.run([*DVC, "repro", "--quiet"], check=True)


def list_changes() -> dict[str, list[Change]]:
    graph, changes = asyncio.run(read_graph_and_changes(["first", "last"]))
    assert set(graph.deps) == {"first", "last"}
    return changes


def test_changes_of_a_stage_that_never_ran(workspace: Path) -> None:
    write_files()
    make_project()
    assert list_changes()["first"] == [Change(ChangeKind.NEW)]


def test_changes_name_each_cause(project: None) -> None:
    assert list_changes() == {}
    Path("params.yaml").write_text("train: {lr: 0.2, epochs: 3}\n")
    Path("environment.yaml").write_text('torch: "1.11"\n')
    Path("code.py").write_text("2")
    Path("source").unlink()
    dvc_yaml = Path("dvc.yaml")
    dvc_yaml.write_text(dvc_yaml.read_text().replace("cat source", "tail source"))
    assert set(list_changes()["first"]) == {
        Change(ChangeKind.COMMAND, state="differs"),
        Change(ChangeKind.PARAM, "train.lr", "0.1 -> 0.2"),
        Change(ChangeKind.VERSION, "torch", "1.10 -> 1.11"),
        Change(ChangeKind.CODE, "code.py", "differs"),
        Change(ChangeKind.FILE, "source", "missing"),
    }


def test_changes_by_the_bytes_of_a_file(project: None) -> None:
    """The run cache has the result of the last write, so a dry run would tell nothing."""
    Path("source").write_text("2")
    subprocess.run([*DVC, "repro", "--quiet"], check=True)
    Path("source").write_text("1")
    assert list_changes() == {"first": [Change(ChangeKind.FILE, "source", "differs")]}


class LockOfAnother:
    """DVC's lock, which another process gives back when it has written dvc.lock.

    later_text: what it writes once it has the lock again.
    """

    def __init__(self, new_text: str, later_text: str | None = None) -> None:
        self.new_text = new_text
        self.later_text = later_text
        self.is_locked = False

    def __enter__(self) -> None:
        self.is_locked = True
        LOCK_FILE.write_text(self.new_text)

    def __exit__(self, *error: object) -> None:
        self.is_locked = False
        if self.later_text is not None:
            LOCK_FILE.write_text(self.later_text)


def test_changes_after_another_process_has_ended(project: None) -> None:
    from dvc.repo import Repo

    new_text = LOCK_FILE.read_text()
    LOCK_FILE.unlink()
    with Repo() as repo:
        repo.lock = LockOfAnother(new_text)
        answer = read_graph_and_changes_of_repo(repo, [])
    assert answer is not None
    graph, changes = answer
    assert set(graph.deps) == {"first", "last"}
    assert changes == {}


def test_changes_are_asked_again_when_a_stage_has_ended_meanwhile(project: None) -> None:
    from dvc.repo import Repo

    with Repo() as repo:
        repo.lock = LockOfAnother(LOCK_FILE.read_text(), later_text="")
        assert read_graph_and_changes_of_repo(repo, []) is None


@pytest.fixture
def running_project(workspace: Path) -> Iterator[None]:
    """Make a project whose first stage runs until the test has ended."""
    first = shell_stage("echo started && cat > out", "out") | {"meta": {"model": "a"}}
    last = shell_stage("cat out source > last", "last", "out", "source")
    other = shell_stage("cat source > other", "other", "source")
    write_project(first={"foreach": ["a"], "do": first}, last=last, other=other)
    Path("source").write_text("1")
    command = [*DVC, "repro", "first@a"]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        try:
            read_until(process, "started")
            yield
        finally:
            process.communicate("1")


def read_now() -> tuple[StageGraph, dict[str, list[Change]]]:
    """Return graph and changes; fail where DVC's files are in use."""
    from dvc.repo import Repo

    with Repo() as repo:
        answer = read_graph_and_changes_of_repo(repo, [])
    assert answer is not None
    return answer


def test_changes_while_a_stage_runs(running_project: None) -> None:
    graph, changes = read_now()
    assert changes["first@a"] == [Change(ChangeKind.RUNNING)]
    assert changes["other"] == [Change(ChangeKind.NEW)]
    assert "first@a" in graph.deps["last"]
    plan = arrange_plan(graph, changes)
    assert plan["first@a"].is_running
    assert not plan["last"].is_running
    assert list(plan["last"].earlier_stages) == ["first@a"]


def test_result_state_while_a_stage_runs(running_project: None) -> None:
    read_now()  # Else the next line would wait.
    states = asyncio.run(find_result_states(["a"]))
    assert states == {"a": ResultState.RUNNING}


def test_changes_after_a_stage_was_killed(running_project: None) -> None:
    """DVC keeps the outs of a killed process among those that are written."""
    rwlock = Path(".dvc/tmp/rwlock")
    locks = json.loads(rwlock.read_text())
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=PIPE)
    writer = {"pid": int(ended.stdout), "cmd": "dvc repro other"}
    locks["write"][str(Path("other").absolute())] = writer
    rwlock.write_text(json.dumps(locks))
    _, changes = read_now()
    assert changes["first@a"] == [Change(ChangeKind.RUNNING)]
    assert changes["other"] == [Change(ChangeKind.NEW)]


def test_changes_of_a_dep_name_its_maker(project: None) -> None:
    Path("out").unlink()
    changes = list_changes()
    assert changes["first"] == [Change(ChangeKind.OUT, "out", "missing")]
    assert [change.makers for change in changes["last"]] == [frozenset({"first"})]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("src/package", True), ("own.py", True), ("data/flat", False), ("params.yaml", False)],
)
def test_is_code_by_place_or_ending(path: str, expected: bool) -> None:
    assert is_code(Path(path)) is expected

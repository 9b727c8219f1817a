"""What DVC's status says of small projects, change by change."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
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
from mri_stages.orchestration.plan import plan_stages
from tests.helpers.dvc_projects import DVC, shell_stage, write_project

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
    """DVC's lock, which another process gives back when it has written dvc.lock."""

    def __init__(self, new_text: str) -> None:
        self.new_text = new_text
        self.is_locked = False

    def __enter__(self) -> None:
        self.is_locked = True
        LOCK_FILE.write_text(self.new_text)

    def __exit__(self, *error: object) -> None:
        self.is_locked = False


def test_changes_after_another_process_has_ended(project: None) -> None:
    from dvc.repo import Repo

    new_text = LOCK_FILE.read_text()
    LOCK_FILE.unlink()
    with Repo() as repo:
        repo.lock = LockOfAnother(new_text)
        graph, changes = read_graph_and_changes_of_repo(repo, [])
    assert set(graph.deps) == {"first", "last"}
    assert changes == {}


@pytest.fixture
def running_project(workspace: Path) -> Iterator[None]:
    """Make a project whose first stage runs; it ends after the test."""
    os.mkfifo("started")
    os.mkfifo("end")
    first = shell_stage("echo > started && cat end > out", "out")
    last = shell_stage("cat out source > last", "last", "out", "source")
    write_project(
        first=first, last=last, other=shell_stage("cat source > other", "other", "source")
    )
    Path("source").write_text("1")
    process = subprocess.Popen([*DVC, "repro", "--quiet", "first"])
    Path("started").read_text()  # waits for the stage
    yield
    Path("end").write_text("1")
    assert process.wait() == 0


def test_changes_while_a_stage_runs(running_project: None) -> None:
    graph, changes = asyncio.run(read_graph_and_changes([]))
    assert changes["first"] == [Change(ChangeKind.RUNNING)]
    assert changes["other"] == [Change(ChangeKind.NEW)]
    assert "first" in graph.deps["last"]


def test_plan_while_a_stage_runs(running_project: None) -> None:
    plan = asyncio.run(plan_stages([]))
    assert plan["first"].is_running
    assert not plan["last"].is_running
    assert list(plan["last"].earlier_stages) == ["first"]


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

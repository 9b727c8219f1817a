"""Which stages are planned, by a graph and the changes of its stages, and in a small project."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from mri_stages.orchestration.durations import Duration
from mri_stages.orchestration.dvc_changes import Change, ChangeKind
from mri_stages.orchestration.graph import StageGraph
from mri_stages.orchestration.plan import (
    PlannedStage,
    arrange_plan,
    list_due_stages,
    plan_stages,
    sum_seconds_by_host,
)
from tests.helpers.dvc_projects import DVC, shell_stage, write_project

# DVC's own code uses it.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep:DeprecationWarning")

GRAPH = StageGraph(
    {
        "load": frozenset(),
        "other": frozenset(),
        "train": frozenset({"load", "other"}),
        "report": frozenset({"train"}),
    }
)
PARAM = Change(ChangeKind.PARAM, "lr", "1 -> 2")


def test_plan_has_what_depends_on_a_change() -> None:
    plan = arrange_plan(GRAPH, {"train": [PARAM]})
    assert plan == {"train": PlannedStage([PARAM], []), "report": PlannedStage([], ["train"])}
    assert [planned.may_stay for planned in plan.values()] == [False, True]


def test_plan_ignores_a_dep_that_is_made_again() -> None:
    dep = Change(ChangeKind.FILE, "data", "differs", frozenset({"load"}))
    plan = arrange_plan(GRAPH, {"load": [PARAM], "train": [dep, PARAM]})
    assert plan["train"] == PlannedStage([PARAM], ["load"])


def test_plan_names_a_dep_whose_maker_is_up_to_date() -> None:
    dep = Change(ChangeKind.FILE, "data", "differs", frozenset({"load"}))
    assert arrange_plan(GRAPH, {"train": [dep]})["train"].changes == [dep]


def test_sums_are_of_each_host() -> None:
    plan = {
        "load": PlannedStage([PARAM], [], is_restored=True),
        "other": PlannedStage([PARAM], []),
        "train": PlannedStage([PARAM], ["load"]),
        "report": PlannedStage([], ["train"]),
    }
    durations = {
        "load": Duration(100, "a"),
        "train": Duration(10, "b"),
        "report": Duration(5, "b"),
    }
    assert sum_seconds_by_host(plan, durations) == {"b": (10, 15)}


def test_plan_knows_what_is_restored(workspace: Path) -> None:
    Path("source").write_text("1")
    write_project(
        first=shell_stage("cat source > out", "out", "source"),
        last=shell_stage("cat out > end", "end", "out"),
    )
    for content in ("1", "2"):
        Path("source").write_text(content)
        subprocess.run([*DVC, "repro", "--quiet"], check=True)
    assert asyncio.run(plan_stages([])) == {}
    assert asyncio.run(list_due_stages()) == ([], [])

    Path("source").write_text("1")  # The run cache has its result.
    assert asyncio.run(list_due_stages()) == ([], ["first", "last"])
    plan = asyncio.run(plan_stages([]))
    assert plan["first"].is_restored
    assert plan["last"].earlier_stages == ["first"]
    assert not plan["last"].is_restored

    Path("source").write_text("3")
    assert not asyncio.run(plan_stages([]))["first"].is_restored


def test_plan_of_a_removed_out_is_restored(workspace: Path) -> None:
    Path("source").write_text("1")
    write_project(first=shell_stage("cat source > out", "out", "source"))
    subprocess.run([*DVC, "repro", "--quiet"], check=True)
    Path("out").unlink()
    assert asyncio.run(plan_stages(["first"]))["first"].is_restored


def test_plan_without_a_source_restores_nothing(workspace: Path) -> None:
    write_project(first=shell_stage("cat source > out", "out", "source"))
    plan = asyncio.run(plan_stages([]))
    assert not plan["first"].is_restored

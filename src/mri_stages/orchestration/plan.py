"""Say which stages `mri-stages repro` would run, and why, before any of them runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mri_stages.orchestration.durations import Duration
from mri_stages.orchestration.dvc import find_run_cache_hits
from mri_stages.orchestration.dvc_changes import Change, is_running, read_graph_and_changes
from mri_stages.orchestration.graph import StageGraph


@dataclass(frozen=True)
class PlannedStage:
    """A stage that is not up to date."""

    changes: Sequence[Change]
    """What has changed of the stage itself."""
    earlier_stages: Sequence[str]
    """The stages whose outs it reads, and which are not up to date either."""
    is_restored: bool = False
    """Whether DVC has its result: nothing is computed."""

    @property
    def is_running(self) -> bool:
        """Whether another process runs it now."""
        return is_running(self.changes)

    @property
    def may_stay(self) -> bool:
        """Whether it runs only if the outs of earlier stages change."""
        return not self.changes


async def plan_stages(names: Sequence[str]) -> dict[str, PlannedStage]:
    """Return the stages of these names that are not up to date, in the order of dvc.yaml."""
    graph, changes = await read_graph_and_changes(names)
    plan = arrange_plan(graph, changes)

    # Of a stage whose deps may still change, nobody knows yet.
    ready_stages = [
        stage
        for stage, planned in plan.items()
        if not planned.earlier_stages and not planned.is_running
    ]
    hits = await find_run_cache_hits(ready_stages) if ready_stages else set()
    for stage in hits:
        plan[stage] = PlannedStage(plan[stage].changes, (), is_restored=True)
    return plan


class DueStages(NamedTuple):
    """The stages of dvc.yaml that are not up to date, and those that depend on them."""

    running: list[str]
    """Those that another process runs now."""
    waiting: list[str]


async def list_due_stages() -> DueStages:
    graph, changes = await read_graph_and_changes([])
    due_stages = graph.collect_descendants(changes)
    running = [stage for stage in graph.deps if is_running(changes.get(stage, []))]
    waiting = [stage for stage in graph.deps if stage in due_stages and stage not in running]
    return DueStages(running, waiting)


def arrange_plan(
    graph: StageGraph, changes: Mapping[str, Sequence[Change]]
) -> dict[str, PlannedStage]:
    """Return the changed stages and those that depend on them.

    A dep that differs counts for nothing where the stage that writes it is in the plan too.
    """
    due_stages = graph.collect_descendants(changes)
    plan = {}
    for stage, deps in graph.deps.items():
        if stage not in due_stages:
            continue
        own_changes = [
            change for change in changes.get(stage, []) if not change.makers & due_stages
        ]
        earlier_stages = [dep for dep in graph.deps if dep in deps & due_stages]
        plan[stage] = PlannedStage(own_changes, earlier_stages)
    return plan


def sum_seconds_by_host(
    plan: Mapping[str, PlannedStage], durations: Mapping[str, Duration]
) -> dict[str, tuple[float, float]]:
    """Return the seconds of the stages that ran last on each host: at least, and at most.

    Those that run now are left out.
    """
    sums: dict[str, tuple[float, float]] = {}
    for stage, planned in plan.items():
        if stage not in durations or planned.is_restored or planned.is_running:
            continue
        seconds, host = durations[stage]
        least, most = sums.get(host, (0.0, 0.0))
        sums[host] = (least + (0 if planned.may_stay else seconds), most + seconds)
    return sums

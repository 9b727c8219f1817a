"""The results of each model: whether they are up to date, and how to remove them."""

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from pathlib import Path

from mri_stages.orchestration import dvc
from mri_stages.orchestration.dvc_changes import is_running, read_graph_and_changes
from mri_stages.orchestration.graph import StageGraph
from mri_stages.storage.files import remove_path


class ResultState(Enum):
    """What there is of a model's results; the value is the word that a user reads."""

    UP_TO_DATE = "up to date"
    STALE = "stale"
    """Some are there, and `mri-stages repro` would make some of them again."""
    RUNNING = "a stage runs now"
    NONE = "none"


def list_stages_of_model(graph: StageGraph, name: str) -> list[str]:
    """Return the stages that exist for each model, such as train@NAME.

    `export` belongs to a model too, but takes another one where params.yaml says so.
    """
    return [
        stage
        for stage, model in graph.models.items()
        if model == name and stage.endswith(f"@{name}")
    ]


async def find_result_states(names: Iterable[str]) -> dict[str, ResultState]:
    """Return the state of the results of each model in dvc.yaml."""
    graph, changes = await read_graph_and_changes([])
    due_stages = graph.collect_descendants(changes)
    running_stages = {stage for stage in changes if is_running(changes[stage])}
    states = {}
    for name in names:
        stages = [stage for stage in list_stages_of_model(graph, name) if stage in graph.deps]
        states[name] = judge_results(stages, due_stages, running_stages, graph.outs)
    return states


def judge_results(
    stages: Collection[str],
    due_stages: Collection[str],
    running_stages: Collection[str],
    outs: Mapping[str, Iterable[Path]],
) -> ResultState:
    """Return the state of the results of these stages, of which some would run again."""
    if any(stage in running_stages for stage in stages):
        return ResultState.RUNNING
    if not any(out.exists() for stage in stages for out in outs[stage]):
        return ResultState.NONE
    if any(stage in due_stages for stage in stages):
        return ResultState.STALE
    return ResultState.UP_TO_DATE


async def remove_results(names: Iterable[str]) -> list[Path]:
    """Remove the outs of the models' stages, and their entries in dvc.lock; return the outs.

    Run it before params.yaml loses the models: DVC then knows the outs, and if this is killed, it
    can be repeated.
    """
    graph = await dvc.read_stage_graph()
    stages = []
    for name in names:
        stages += list_stages_of_model(graph, name)

    outs = []
    for stage in stages:
        outs += [out for out in graph.outs[stage] if out.exists()]
    for out in outs:
        remove_path(out)
    if stages:
        await dvc.remove_lock_entries(stages)
    return outs

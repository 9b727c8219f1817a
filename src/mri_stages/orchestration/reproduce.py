"""Bring stages up to date: here, or on the workers of a Dask scheduler."""

import asyncio
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from mri_stages import paths
from mri_stages.config.environment import check_environment
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.orchestration import dvc
from mri_stages.orchestration.graph import LOAD, StageGraph
from mri_stages.orchestration.local import LocalRunner, Slots, list_slots
from mri_stages.orchestration.outcome import (
    HERE,
    Outcome,
    Status,
    format_table,
    list_outdated_stages,
)
from mri_stages.orchestration.raw_folder import check_raw_folder
from mri_stages.storage.files import remove_path

show_line = partial(print, flush=True)


async def reproduce(
    names: Sequence[str], slow_stages: Mapping[str, Outcome] = {}
) -> dict[str, Outcome]:
    """Bring the stages of these names up to date; return how each of them ended.

    slow_stages: the outcomes of stages that are restored, but not run.
    """
    # Errors in params.yaml and other packages are reported before anything runs: DVC removes the
    # outs of a stage before it starts it.
    params = read_params()
    check_environment()
    whole_graph = await dvc.read_stage_graph()
    await remove_former_export(whole_graph)
    graph = whole_graph.select(names)
    changed = await dvc.list_changed_stages(graph.deps)
    if LOAD in changed and not graph.deps[LOAD]:
        check_raw_folder(params)
    refused = refuse_stages(params, graph, changed)
    runner = LocalRunner(Slots(list_slots()), slow_stages)
    if not os.environ.get("DASK_SCHEDULER_ADDRESS"):
        return await run_locally(graph, runner, refused, changed)

    outcomes = await run_inputs_and_trainings(graph, runner, refused, changed)
    changed = await dvc.list_changed_stages(graph.deps.keys() - outcomes)
    outcomes = await run_locally(graph, runner, outcomes, changed)
    table = format_table(outcomes)
    if table:
        print(table)
    return outcomes


async def remove_former_export(graph: StageGraph) -> None:
    """Remove the export of an earlier params.yaml, if no stage makes it any more.

    A folder that no stage has made is left, with a note.
    """
    if not paths.EXPORT.exists():
        return
    outs = chain.from_iterable(graph.outs.values())
    if any(out.exists() and out.samefile(paths.EXPORT) for out in outs):
        return

    former_makers = dvc.list_locked_makers(paths.EXPORT)
    reason = "no stage makes it, since `export` names no model"
    if not former_makers:
        show_line(f"note: {paths.EXPORT} is left: {reason}, and dvc.lock names no stage that did")
        return
    remove_path(paths.EXPORT)
    await dvc.remove_former_lock_entries(former_makers)
    show_line(f"note: removed {paths.EXPORT}: {reason}")


def refuse_stages(
    params: Params, graph: StageGraph, changed: Collection[str]
) -> dict[str, Outcome]:
    """Return the outcomes of stages that are not started: their model cannot take the images."""
    due_stages = graph.collect_descendants(changed)
    if not due_stages or LOAD not in graph.deps:
        return {}
    # It takes seconds to import PyTorch.
    from mri_stages.orchestration.data_checks import find_refused_stages

    return find_refused_stages(params, graph, changed, due_stages)


async def run_locally(
    graph: StageGraph,
    runner: LocalRunner,
    outcomes: Mapping[str, Outcome],
    changed: Collection[str],
) -> dict[str, Outcome]:
    """Bring all stages of `graph` up to date on this machine; return how each of them ended.

    outcomes: of stages that have ended before. changed: the other stages whose deps, params or
    outs differ from dvc.lock. A stage runs as soon as those that it depends on are up to date.
    Where a stage of a model failed, the outs of the model's later stages are removed, and the
    stages that set models side by side go on without this model. Stages of one model that follow
    one another share a process of DVC, whose start takes a second.
    """
    tasks: dict[str, asyncio.Task[Outcome]] = {}
    outcomes = dict(outcomes)

    async def bring_up_to_date(stage: str) -> Outcome:
        for dep in sorted(graph.deps[stage]):
            await tasks[dep]
        if stage not in outcomes:
            was_changed = stage in changed
            outcomes.update(await run_if_changed(graph, runner, stage, was_changed, outcomes))
        if is_lost(graph, stage, outcomes[stage]):
            remove_outs(graph.outs[stage])
        return outcomes[stage]

    async with asyncio.TaskGroup() as group:
        # Large models tend to stand last in params.yaml, so these start first.
        for stage in reversed(list(graph.deps)):
            tasks[stage] = group.create_task(bring_up_to_date(stage))
    return {stage: tasks[stage].result() for stage in graph.deps}


async def run_if_changed(
    graph: StageGraph,
    runner: LocalRunner,
    stage: str,
    was_changed: bool,
    outcomes: Mapping[str, Outcome],
) -> dict[str, Outcome]:
    """Bring a stage up to date; return how it ended, and those that share its process of DVC.

    was_changed: before any stage ran. outcomes: so far, with those of all its deps. A project that
    DVC cannot read, such as with a faulty params.yaml, is an outcome too: what runs now goes on.
    """
    dep_outcomes = {dep: outcomes[dep] for dep in sorted(graph.deps[stage])}
    obstacle = find_obstacle(graph, stage, dep_outcomes)
    if obstacle is not None:
        return {stage: obstacle}
    try:
        if not await has_changed(stage, was_changed, dep_outcomes):
            return {stage: Outcome(Status.UP_TO_DATE)}
        return await runner.run(stage, list_followers(graph, runner, stage, outcomes))
    except InputError as error:
        text = f"{dvc.OWN_ERROR}{error}"
        show_line(f"{stage}: {text}")
        return {stage: Outcome(Status.NOT_RECORDED, text=text)}


def find_obstacle(
    graph: StageGraph, stage: str, dep_outcomes: Mapping[str, Outcome]
) -> Outcome | None:
    """Return the outcome of a stage that cannot run, by those of its deps; None if it can."""
    missing_deps = []
    skipped_deps = []
    for dep, outcome in dep_outcomes.items():
        if outcome.status.is_current:
            continue
        reason = f"{dep}: {outcome.status.value}"
        if outcome.status is Status.SKIPPED:
            skipped_deps.append(reason)
        elif not is_lost(graph, dep, outcome):
            missing_deps.append(reason)
        elif graph.models.get(stage) == graph.models[dep]:
            return Outcome(Status.NO_RESULT, text=reason)
        elif stage not in graph.partial:
            missing_deps.append(reason)

    if missing_deps:
        return Outcome(Status.NOT_RUN, text=missing_deps[0])
    if skipped_deps:
        return Outcome(Status.SKIPPED, text=skipped_deps[0])
    return None


def is_lost(graph: StageGraph, stage: str, outcome: Outcome) -> bool:
    """Return whether a stage of one model has no result, for a reason that lies in the model."""
    is_without_result = outcome.status.is_failure or outcome.status is Status.NO_RESULT
    return stage in graph.models and is_without_result


def remove_outs(outs: Iterable[Path]) -> None:
    """Remove outs that other stages go on without.

    Their folders stay, or are made: DVC runs no stage that depends on a folder which is not there.
    """
    for out in outs:
        remove_path(out)
        out.parent.mkdir(parents=True, exist_ok=True)


async def has_changed(stage: str, was_changed: bool, dep_outcomes: Mapping[str, Outcome]) -> bool:
    """Return whether a stage may be out of date; was_changed: before any stage ran."""
    statuses = [outcome.status for outcome in dep_outcomes.values()]
    if was_changed or any(status.has_new_outs for status in statuses):
        return True
    if all(status.is_current for status in statuses):
        return False
    # Outs that it reads may have been removed since.
    return stage in await dvc.list_changed_stages([stage])


def list_followers(
    graph: StageGraph, runner: LocalRunner, stage: str, outcomes: Mapping[str, Outcome]
) -> list[str]:
    """Return the later stages of the same model that need nothing else before they run."""
    followers: list[str] = []
    if stage not in graph.models or stage in runner.slow_stages:
        return followers
    current_stages = {name for name, outcome in outcomes.items() if outcome.status.is_current}
    for candidate, deps in graph.deps.items():
        is_open = candidate not in outcomes and candidate not in runner.slow_stages
        is_of_model = graph.models.get(candidate) == graph.models[stage]
        chain_stages = {stage, *followers}
        is_next = bool(deps & chain_stages) and deps <= chain_stages | current_stages
        if is_open and is_of_model and is_next:
            followers.append(candidate)
    return followers


async def run_inputs_and_trainings(
    graph: StageGraph,
    runner: LocalRunner,
    refused: Mapping[str, Outcome],
    changed: Collection[str],
) -> dict[str, Outcome]:
    """Run here what the trainings read, then the trainings on workers; return how each ended.

    refused: the outcomes of trainings that are not started.
    """
    sendable = graph.select_sendable() - refused.keys()
    inputs = graph.collect_ancestors(sendable) - sendable
    outcomes = {
        **refused,
        **await run_locally(graph.restrict(inputs), runner, {}, changed),
    }

    outdated_stages = set(list_outdated_stages(outcomes))
    ready_stages = {
        stage
        for stage in sendable
        if not outdated_stages.intersection(graph.collect_ancestors([stage]))
    }
    if ready_stages:
        outcomes |= await run_trainings(graph, runner, ready_stages)
    return outcomes


async def run_trainings(
    graph: StageGraph, runner: LocalRunner, ready_stages: set[str]
) -> dict[str, Outcome]:
    """Bring stages up to date whose inputs are up to date.

    Restore here those in the run cache; send the rest to workers, except slow ones.
    """
    changed = await dvc.list_changed_stages(ready_stages)
    outcomes = {stage: Outcome(Status.UP_TO_DATE) for stage in ready_stages - changed}
    if not changed:
        return outcomes

    hits = sorted(await dvc.find_run_cache_hits(changed))
    for restored in await asyncio.gather(*(runner.run(stage) for stage in hits)):
        outcomes |= restored
    for stage in changed.difference(hits):
        if stage in runner.slow_stages:
            outcomes[stage] = runner.slow_stages[stage]

    # Large models tend to stand last in params.yaml, so these start first.
    sent_stages = [
        stage for stage in reversed(list(graph.deps)) if stage in changed - outcomes.keys()
    ]
    if sent_stages:
        inputs = set[str]().union(*(graph.deps[stage] for stage in sent_stages))
        weights = list_weights(graph, sent_stages)
        outcomes |= await send_trainings(sent_stages, sorted(inputs), weights)
    return outcomes


def list_weights(graph: StageGraph, stages: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return file and sha256 of the trained weights that stages begin with, by stage."""
    params = read_params()
    weights = {}
    for stage in stages:
        model = params.models.get(find_trained_model(graph, stage, params))
        if model is not None and model.weights is not None:
            weights[stage] = model.weights.model_dump()
    return weights


def find_trained_model(graph: StageGraph, stage: str, params: Params) -> str:
    """Return the model that a stage trains; "" if it trains none.

    A stage of a study belongs to no model, so params.yaml says which one the study trains.
    """
    if stage in graph.models:
        return graph.models[stage]
    study_name = stage.rpartition(":")[2].partition("@")[0].removesuffix("_permuted")
    trained_models = {
        "learning_rate": params.studies.learning_rate.model,
        "batch_size": params.studies.batch_size.model,
        "leakage": params.studies.leakage.model,
    }
    return trained_models.get(study_name, "")


async def send_trainings(
    stages: Sequence[str], inputs: Sequence[str], weights: Mapping[str, Mapping[str, str]]
) -> dict[str, Outcome]:
    """Run `stages` on workers, and restore here what the workers wrote.

    inputs: the stages whose outs they read, which are up to date here. weights: see `list_weights`.
    """
    # A run on this machine needs neither: it takes a second to import Dask.
    from mri_stages.orchestration.bundle import hash_workspace, pack_workspace
    from mri_stages.orchestration.remote import run_on_workers

    await dvc.push_outs(inputs)
    workspace = pack_workspace()
    job = {
        "bundle": workspace.bundle,
        "inputs": list(inputs),
        "torch_version": version("torch"),
        "remotes": await dvc.read_relative_remotes(),
        "weights": weights,
    }
    outcomes = await run_on_workers(stages, job, show_line)
    if hash_workspace() != workspace.tree:
        raise InputError("files changed while the workers ran; run it again to get their results")

    for stage, outcome in outcomes.items():
        if not outcome.status.is_current:
            for line in dvc.remove_chatter(outcome.text):
                show_line(f"{stage}: {line}")
    return outcomes | await restore_results(outcomes)


async def restore_results(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Restore what workers wrote; return the outcomes of the stages that had to run here again."""
    results = {stage: outcome for stage, outcome in outcomes.items() if outcome.status.is_current}
    if not results:
        return {}
    files: dict[str, bytes] = {}
    for outcome in results.values():
        files |= outcome.files
    await dvc.add_to_cache(files)

    started = time.perf_counter()
    output = await dvc.restore_from_remote(results, show_line)
    seconds = time.perf_counter() - started
    executed = output.executed_stages.intersection(results)
    return {stage: Outcome(Status.DONE, HERE, seconds) for stage in executed}

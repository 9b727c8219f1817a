"""Compare params.yaml with the images: after an import, and before the first stage runs."""

from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path

from mri_stages import paths
from mri_stages.config.loading import check_params, read_text
from mri_stages.config.model_edits import list_named_models
from mri_stages.config.schema import Params
from mri_stages.errors import InputError
from mri_stages.orchestration.data_facts import DataFacts, find_data_facts, read_data_facts
from mri_stages.orchestration.graph import StageGraph
from mri_stages.orchestration.image_sizes import (
    Refusal,
    RefusalKind,
    find_fitting_size,
    find_refusals,
)
from mri_stages.orchestration.outcome import Outcome, Status
from mri_stages.preprocessing.strata import describe_stratum_fault
from mri_stages.storage.subject_columns import describe_group_fault

FOLD_STAGES = ("assign_folds", "neighbours", "baselines")


def list_import_warnings(raw_folder: Path) -> list[str]:
    """Return lines on what in params.yaml does not go with a new raw folder.

    None outside a project: where the current folder has no params.yaml.
    """
    if not paths.PARAMS.exists():
        return []
    try:
        params = check_params(read_text())
    except InputError as error:
        return [f"the models were not compared with these images: {error}"]

    facts = read_data_facts(raw_folder)
    warnings = []
    warnings += list_data_problems(params, facts)
    fold_problem = describe_fold_number(params, facts)
    if fold_problem:
        warnings.append(fold_problem)
    refusals = find_refusals(params.models, facts.image_shape, len(facts.classes))
    if refusals:
        warnings.append(describe_refusals(refusals, params, facts))
    return warnings


def find_refused_stages(
    params: Params, graph: StageGraph, changed_stages: Collection[str], due_stages: Collection[str]
) -> dict[str, Outcome]:
    """Return the outcomes of stages that are not started: their model cannot take the images.

    changed_stages: those that differ from dvc.lock. due_stages: these, and all that depend on them.
    Print which models these are. InputError if the data lack what the params name, or if a
    stage would assign more folds than are possible.
    """
    facts = find_data_facts(params, graph, changed_stages)
    if facts is None:
        return {}
    problems = list_data_problems(params, facts)
    if problems:
        raise InputError(problems[0])
    if has_fold_stage(due_stages):
        fold_problem = describe_fold_number(params, facts)
        if fold_problem:
            raise InputError(fold_problem)

    first_stages = list_first_stages(graph, due_stages)
    if not first_stages:
        return {}
    refusals = find_refusals(params.models, facts.image_shape, len(facts.classes))
    outcomes = {}
    for stage in first_stages:
        refusal = refusals.get(graph.models[stage])
        if refusal is not None:
            outcomes[stage] = make_outcome(refusal)
    if outcomes:
        print(f"warning: {describe_refusals(refusals, params, facts)}", flush=True)
    return outcomes


def make_outcome(refusal: Refusal) -> Outcome:
    """Return the outcome of a stage that is not started."""
    if refusal.kind is RefusalKind.FILE:
        return Outcome(Status.UNUSABLE, text=refusal.reason)
    return Outcome(Status.UNFIT, text=f"its network cannot take them ({refusal.reason})")


def has_fold_stage(stages: Iterable[str]) -> bool:
    """Return whether one of the stages assigns rows to folds."""
    return any(stage in FOLD_STAGES for stage in stages)


def list_first_stages(graph: StageGraph, stages: Collection[str]) -> list[str]:
    """Return those of `stages` that belong to a model and depend on no other stage of it."""
    first_stages = []
    for stage in graph.deps:
        if stage not in stages or stage not in graph.models:
            continue
        ancestors = graph.collect_ancestors([stage]) - {stage}
        name = graph.models[stage]
        if not any(graph.models.get(ancestor) == name for ancestor in ancestors):
            first_stages.append(stage)
    return first_stages


def list_data_problems(params: Params, facts: DataFacts) -> list[str]:
    """Return what the params name, and the data do not have: a class or columns, a line each."""
    problems = []
    name = params.evaluation.negative_class
    if name is not None and name not in facts.classes:
        problems.append(
            f"{paths.PARAMS}: evaluation.negative_class is {name!r}, expected null or one of "
            f"{', '.join(facts.classes)}"
        )
    for key, columns in list_named_columns(params).items():
        for column in columns:
            problem = describe_column(key, column, facts)
            if problem:
                problems.append(problem)
    return problems


def list_named_columns(params: Params) -> dict[str, list[str]]:
    """Return the columns of subjects.csv that params.yaml names, by key."""
    return {
        "evaluation.covariates": params.evaluation.covariates or [],
        "evaluation.groups": params.evaluation.groups or [],
        "cross_validation.stratify": params.cross_validation.stratify or [],
    }


def describe_column(key: str, column: str, facts: DataFacts) -> str:
    """Return why a key cannot use a column of subjects.csv; "" if it can, as far as is known."""
    if column not in facts.subject_values:
        expected = ", ".join(facts.subject_values) or "no column, since there is none"
        return (
            f"{paths.PARAMS}: {key} names {column!r}, expected columns of the raw folder's "
            f"subjects.csv: {expected}; 'mri-stages import --keep' keeps more"
        )
    texts = facts.subject_values[column]
    if key == "cross_validation.stratify":
        return describe_stratum_fault(column, texts, facts.subjects)
    if key == "evaluation.groups":
        path_and_key = f"{paths.PARAMS}: {key}"
        fault = describe_group_fault(path_and_key, column, texts)
        return f"{path_and_key}: {fault}" if fault else ""
    return ""


def describe_fold_number(params: Params, facts: DataFacts) -> str:
    """Return what is wrong with cross_validation.folds for these rows; "" if nothing is."""
    if facts.fold_limit is None:
        return ""
    options = params.cross_validation
    problem = facts.fold_limit.describe_excess(options.folds)
    if problem or facts.inner_limit is None:
        return problem
    return facts.inner_limit.describe_excess(options.inner_folds)


def describe_refusals(refusals: Mapping[str, Refusal], params: Params, facts: DataFacts) -> str:
    """Return one line: which models cannot take the images, why, and the commands that help."""
    unusable: dict[str, Refusal] = {}
    unfit: dict[str, Refusal] = {}
    for name, refusal in refusals.items():
        group = unusable if refusal.kind is RefusalKind.FILE else unfit
        group[name] = refusal

    parts = []
    if unfit:
        shape = " x ".join(map(str, facts.image_shape))
        parts.append(f"images of {shape} do not fit {list_by_reason(unfit)}")
    if unusable:
        parts.append(describe_unusable(unusable))
    command = write_removal_command(refusals, params)
    if command:
        parts.append(f"'{command}' removes them")
    if unfit:
        parts += list_size_changes(unfit, unusable, params, facts)
    return "; ".join(parts)


def describe_unusable(refusals: Mapping[str, Refusal]) -> str:
    """Return which models no images fit, and why."""
    return f"{list_by_reason(refusals)} cannot be used; mend the file or `options`"


def list_by_reason(refusals: Mapping[str, Refusal]) -> str:
    """Return the models, each reason in brackets behind those that it is for."""
    names_by_reason: dict[str, list[str]] = {}
    for name, refusal in refusals.items():
        names_by_reason.setdefault(refusal.reason, []).append(name)
    groups = [f"{', '.join(names)} ({reason})" for reason, names in names_by_reason.items()]
    return ", ".join(groups)


def list_size_changes(
    unfit: Mapping[str, Refusal], unusable: Container[str], params: Params, facts: DataFacts
) -> list[str]:
    """Return what makes images that all usable models take, if there is a size for that."""
    models = {name: model for name, model in params.models.items() if name not in unusable}
    size = find_fitting_size(unfit, models, facts.image_shape, len(facts.classes))
    if size is None:
        return []
    height, width = size
    change = f"'mri-stages import ... --resize {height} {width}'"
    if facts.is_sample:
        change = f"sample.height: {height} and sample.width: {width} in {paths.PARAMS}"
    return [f"{change} makes larger images"]


def write_removal_command(names: Collection[str], params: Params) -> str:
    """Return the command that removes the models; "" if no model would be left."""
    other_names = [name for name in params.models if name not in names]
    if not other_names:
        return ""
    command = f"mri-stages models remove {' '.join(names)}"
    named_models = list_named_models(params.model_dump())
    if named_models.keys().isdisjoint(names):
        return command

    # A model that is named already changes least.
    substitutes = [name for name in named_models if name in other_names]
    substitute = [*substitutes, *other_names][0]
    return f"{command} --use {substitute}"

"""Combine the cross-validated models: the average of the networks, and the choice of each fold."""

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import AVERAGE, BASELINES, CHOSEN, Params
from mri_stages.evaluation.choice import (
    Candidate,
    choose_models,
    join_best_predictions,
    list_choices,
)
from mri_stages.evaluation.fold_auc import summarise_auc_by_fold
from mri_stages.evaluation.model_average import average_models
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.new_subjects import (
    Options,
    compute_new_subject_metrics,
)
from mri_stages.storage.choices import describe_choices, write_choices, write_chosen_metrics
from mri_stages.storage.dataset import Info, read_info
from mri_stages.storage.inner_predictions import read_inner_predictions
from mri_stages.storage.predictions import (
    Predictions,
    average_repeats_by_subject,
    read_new_subject_predictions,
    read_predictions,
    write_predictions,
)
from mri_stages.storage.records import write_metrics

MIN_AVERAGED_NETWORKS = 2


def main() -> None:
    params = read_params()
    info = read_info()
    write_average(params, info)
    write_chosen(params, info)


def write_chosen(params: Params, info: Info) -> None:
    """Write which model each fold chooses, and the score of that; nothing without inner folds."""
    candidates = read_candidates(params, info)
    negative_label = find_negative_label(params.evaluation.negative_class, info.classes)
    best_names = choose_models(candidates, negative_label)
    undecided = [f"{place.repeat}.{place.fold}" for place, name in best_names.items() if not name]
    if undecided:
        print(f"note: no model has an AUC on the inner folds of {', '.join(undecided)}")
    if undecided or not best_names:
        write_choices([])
        write_chosen_metrics({})
        return

    choices = list_choices(candidates, best_names, negative_label)
    joined = join_best_predictions(candidates, best_names)
    content = summarise_auc_by_fold(joined, negative_label)
    write_choices(choices)
    write_chosen_metrics(content)
    print(f"{CHOSEN}: {describe_choices(choices)}")
    if not content:
        print(f"note: a model diverged in the fold that chose it, so {CHOSEN} has no score")


def read_candidates(params: Params, info: Info) -> dict[str, Candidate]:
    """Return the models that have inner predictions, and then the baselines.

    A baseline of a sample of the subjects cannot stand beside the others, and is left out.
    """
    candidates = {}
    for name in (*params.cross_validation.models, *BASELINES):
        if not paths.inner(name).exists() or not paths.folds(name).exists():
            print(f"note: {name} has no inner predictions, and cannot be chosen")
            continue
        inner = read_inner_predictions(paths.inner(name), info.classes)
        if inner:
            predictions = read_predictions(paths.folds(name), info.classes)
            candidates[name] = Candidate(average_repeats_by_subject(predictions), inner)
    n_units = max((len(row.repeats[0].labels) for row in candidates.values()), default=0)
    for name in list(candidates):
        if len(candidates[name].repeats[0].labels) < n_units:
            print(f"note: {name} is of a sample, and cannot be chosen")
            del candidates[name]
    return candidates


def write_average(params: Params, info: Info) -> None:
    """Write predictions and metrics of the average; empty ones for fewer than two networks."""
    networks = read_finite_networks(params, info)
    if len(networks) < MIN_AVERAGED_NETWORKS:
        no_rows = np.arange(0)
        no_probabilities = np.empty((0, len(info.classes)), np.float32)
        nothing = Predictions(no_rows, None, no_rows, no_probabilities, no_rows)
        write_predictions(paths.combined(AVERAGE), nothing, info.classes)
        write_metrics(paths.new_subject_metrics(AVERAGE), None)
        print(f"note: no {AVERAGE}, since it needs two networks; there are {len(networks)}")
        return

    predictions = average_models(networks)
    negative_label = find_negative_label(params.evaluation.negative_class, info.classes)
    options = Options(negative_label, params.evaluation.threshold)
    metrics = compute_new_subject_metrics(predictions, info.classes, options)
    write_predictions(paths.combined(AVERAGE), predictions, info.classes)
    write_metrics(
        paths.new_subject_metrics(AVERAGE), metrics.model_copy(update={"diverged": False})
    )
    print(f"{AVERAGE} of {', '.join(networks)}: accuracy {metrics.accuracy:.4f} by {metrics.by}")


def read_finite_networks(params: Params, info: Info) -> dict[str, Predictions]:
    """Return the predictions of the networks that have finite ones; print which have not."""
    networks = {}
    models = params.cross_validation.models
    for name, predictions in read_new_subject_predictions(models, info.classes).items():
        if np.isfinite(predictions.probabilities).all():
            networks[name] = predictions
        else:
            print(f"note: {name} diverged, and is left out of {AVERAGE}")
    return networks


if __name__ == "__main__":
    run_stage(main)

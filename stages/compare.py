"""Set the models of params.yaml side by side, on the given split and on new subjects."""

from collections.abc import Container, Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.evaluation.comparison import compare_pairs
from mri_stages.plotting.results import (
    ACCURACY,
    AUC,
    draw_histories,
    draw_intervals,
    draw_learning_rates,
    draw_roc_curves,
)
from mri_stages.plotting.style import draw_sentence, save_png
from mri_stages.plotting.text import print_missing_letters
from mri_stages.storage.dataset import Info, read_info
from mri_stages.storage.files import read_csv, write_csv
from mri_stages.storage.history import Epoch, list_columns, list_values
from mri_stages.storage.predictions import (
    Predictions,
    average_by_subject,
    read_predictions,
    split_repeats,
)
from mri_stages.storage.records import (
    Metrics,
    list_missing_models,
    read_given_metrics,
    read_new_subject_metrics,
    read_roc_points,
    write_pairs,
)

NO_MODEL = "No model has a result on the given split"
NO_FOLDS = "No folds are possible, so nothing is known of new subjects"


def main() -> None:
    params = read_params()
    info = read_info()
    print_missing_letters(params.data.title, info.classes)
    given_metrics = read_given_metrics(params)
    new_metrics = read_new_subject_metrics(params)
    print_missing_models("the given split", params.models, given_metrics)
    if new_metrics:
        print_missing_models("new subjects", params.cross_validation.models, new_metrics)

    compare_histories(params, given_metrics)
    compare_on_given_split(params, info, given_metrics)
    compare_on_new_subjects(params, info, new_metrics, given_metrics)


def print_missing_models(split: str, models: Iterable[str], metrics: Container[str]) -> None:
    for name in list_missing_models(models, metrics):
        print(f"note: {name} has no result on {split}, and is left out")


def compare_histories(params: Params, metrics: Mapping[str, Metrics]) -> None:
    """Write all histories as one table, and draw them by epoch and by learning rate."""
    title = params.data.title
    models = list_models_with_metrics(params, metrics)
    histories = {name: read_csv(paths.history(name), Epoch) for name in models}
    write_histories(histories)
    figure = draw_histories(histories, metrics, title) if models else draw_sentence(NO_MODEL)
    save_png(paths.HISTORY_FIGURE, figure)

    lr_title = (
        f"{title}: models that differ only in the learning rate\nline: 95 % confidence interval"
    )
    figure = draw_learning_rates(params.group_models_by_lr(models), metrics, histories, lr_title)
    save_png(paths.LEARNING_RATE_FIGURE, figure)


def list_models_with_metrics(params: Params, metrics: Container[str]) -> list[str]:
    """Return the models that have a result on the given split."""
    return [name for name in params.models if name in metrics]


def write_histories(histories: Mapping[str, list[Epoch]]) -> None:
    """Write a row per model and epoch: the model's name, then the epoch."""
    columns = list_columns(chain.from_iterable(histories.values()))
    rows: list[tuple[str | float | None, ...]] = []
    for name, history in histories.items():
        rows += [(name, *list_values(epoch, columns)) for epoch in history]
    write_csv(paths.HISTORIES, ("model", *columns), rows)


def compare_on_given_split(params: Params, info: Info, metrics: Mapping[str, Metrics]) -> None:
    """Test each pair of models on the test rows; draw accuracies and ROC curves."""
    title = params.data.title
    models = list_models_with_metrics(params, metrics)
    predictions = {name: read_predictions(paths.predictions(name), info.classes) for name in models}
    compare_predictions(paths.PAIRS, predictions, "row")

    figure = draw_intervals(
        metrics,
        [ACCURACY],
        f"{title}: accuracy on the given split",
        f"{sum(info.counts['test'])} test rows, with 95 % confidence intervals",
    )
    save_png(paths.ACCURACY_FIGURE, figure)

    curves = {name: read_roc_points(name) for name in models}
    figure = draw_sentence(NO_MODEL)
    if curves:
        roc_title = f"{title}: ROC on the given split"
        figure = draw_roc_curves(curves, metrics, info.classes, roc_title)
    save_png(paths.ROC_FIGURE, figure)


def compare_on_new_subjects(
    params: Params,
    info: Info,
    metrics: Mapping[str, Metrics],
    given_metrics: Mapping[str, Metrics],
) -> None:
    """Test each pair of models and baselines on new subjects; draw accuracies and AUCs."""
    if not metrics:
        compare_predictions(paths.NEW_SUBJECT_PAIRS, {}, "row")
        save_png(paths.NEW_SUBJECTS_FIGURE, draw_sentence(NO_FOLDS))
        return

    unit = metrics["majority"].by or "row"
    predictions = {}
    for name in metrics:
        # A pair is tested on the first repeat.
        first_repeat = split_repeats(read_predictions(paths.folds(name), info.classes))[0]
        predictions[name] = average_by_subject(first_repeat)
    n_units = len(predictions["majority"].labels)
    rivals = {name: scored for name, scored in predictions.items() if name != "majority"}
    compare_predictions(paths.NEW_SUBJECT_PAIRS, rivals, unit)

    figure = draw_intervals(
        metrics,
        [ACCURACY, AUC],
        f"{params.data.title}: on new {unit}s, and on the given split (hollow, in brackets)",
        f"cross-validation on {n_units} {unit}s, with 95 % confidence intervals",
        given=given_metrics,
    )
    save_png(paths.NEW_SUBJECTS_FIGURE, figure)


def compare_predictions(path: Path, predictions: Mapping[str, Predictions], unit: str) -> None:
    """Write the test of each pair of models that predict the same rows as the first one."""
    if not predictions:
        write_pairs(path, [])
        return

    first = next(iter(predictions.values()))
    correct = {}
    for name, scored in predictions.items():
        if have_same_rows(scored, first):
            correct[name] = scored.correct
        else:
            print(f"note: {name} is not compared in {path}: it scores only a sample of the {unit}s")
    write_pairs(path, compare_pairs(correct, first.subjects, unit))


def have_same_rows(first: Predictions, second: Predictions) -> bool:
    """Return whether both predict the same rows; subjects that were averaged count from 0."""
    if not np.array_equal(first.rows, second.rows):
        return False
    if not np.array_equal(first.labels, second.labels):
        return False
    if first.subjects is None or second.subjects is None:
        return first.subjects is second.subjects
    return np.array_equal(first.subjects, second.subjects)


if __name__ == "__main__":
    run_stage(main)

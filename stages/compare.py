"""Set the models of params.yaml side by side, on the given split and on new subjects."""

from collections.abc import Container, Iterable, Mapping
from itertools import chain

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES, Params
from mri_stages.evaluation.auc_differences import Repeats, compare_aucs
from mri_stages.evaluation.comparison import compare_pairs
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.probabilities import (
    build_outcomes,
    list_calibration_points,
    list_decision_points,
)
from mri_stages.evaluation.roc_points import sample_mean_roc_points
from mri_stages.plotting.new_subjects import draw_calibration, draw_decisions, draw_new_roc
from mri_stages.plotting.results import (
    ACCURACY,
    AUC,
    draw_histories,
    draw_intervals,
    draw_learning_rates,
)
from mri_stages.plotting.robustness import draw_robustness
from mri_stages.plotting.style import draw_sentence, save_png
from mri_stages.plotting.text import print_missing_letters
from mri_stages.reporting.headline import describe_headline, find_best, get_unit
from mri_stages.storage.dataset import Info, read_info
from mri_stages.storage.files import read_csv, write_csv
from mri_stages.storage.history import Epoch, list_columns, list_values
from mri_stages.storage.predictions import average_repeats_by_subject, read_predictions
from mri_stages.storage.records import (
    VOTING_BASELINES,
    Difference,
    Metrics,
    list_missing_models,
    read_given_metrics,
    read_new_subject_metrics,
    read_robustness,
    write_differences,
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
    title = f"{params.data.title}: AUC of networks on changed images"
    save_png(paths.ROBUSTNESS_FIGURE, draw_robustness(read_robustness(params), title))


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
    """Test each pair of models on the test rows; draw their accuracies."""
    models = list_models_with_metrics(params, metrics)
    correct = {}
    subjects = None
    for name in models:
        predictions = read_predictions(paths.predictions(name), info.classes)
        correct[name] = predictions.correct
        subjects = predictions.subjects
    write_pairs(paths.PAIRS, compare_pairs(correct, subjects))

    figure = draw_intervals(
        metrics,
        ACCURACY,
        f"{params.data.title}: accuracy on the given split",
        describe_test_rows(info),
    )
    save_png(paths.ACCURACY_FIGURE, figure)


def describe_test_rows(info: Info) -> str:
    """Return how many test rows there are, and where to look for what they do not show.

    This stage does not know which of their subjects train: `leakage` does.
    """
    n_rows = sum(info.counts["test"])
    return (
        f"{n_rows} test rows. Their subjects may have training rows too "
        f"({paths.LEAKAGE_FIGURE.name}); for new subjects, see {paths.NEW_SUBJECTS_FIGURE.name}."
    )


def compare_on_new_subjects(
    params: Params,
    info: Info,
    metrics: Mapping[str, Metrics],
    given_metrics: Mapping[str, Metrics],
) -> None:
    """Write the differences of AUC on new subjects, and draw the results."""
    differences = compare_new_aucs(params, info, metrics)
    write_differences(differences)
    if not metrics:
        save_png(paths.NEW_SUBJECTS_FIGURE, draw_sentence(NO_FOLDS))
        for path in (paths.CALIBRATION_FIGURE, paths.DECISIONS_FIGURE, paths.ROC_FIGURE):
            save_png(path, draw_sentence(NO_FOLDS))
        return

    unit = get_unit(metrics)
    headline = describe_headline(list(params.cross_validation.models), metrics, differences)
    figure = draw_intervals(
        metrics,
        AUC,
        f"{params.data.title}: AUC on new {unit}s",
        headline.sentence,
        given=given_metrics,
    )
    save_png(paths.NEW_SUBJECTS_FIGURE, figure)
    draw_curves(params, info, metrics, unit)


def draw_curves(params: Params, info: Info, metrics: Mapping[str, Metrics], unit: str) -> None:
    """Draw calibration, net benefit and ROC of the networks and the best baseline."""
    title = params.data.title
    negative_label = find_negative_label(params.evaluation.negative_class, info.classes)
    names = list_networks(params, metrics)
    best_baseline = find_best([name for name in metrics if name in BASELINES], metrics)
    if best_baseline:
        names.append(best_baseline)
    repeats_by_model = read_all_repeats(names, info)
    outcomes = {}
    for name, repeats in repeats_by_model.items():
        model_outcomes = build_outcomes(repeats, len(info.classes), negative_label)
        if model_outcomes is not None:
            outcomes[name] = model_outcomes

    calibration = {}
    for name in outcomes:
        if name not in VOTING_BASELINES:
            calibration[name] = list_calibration_points(outcomes[name])
    figure = draw_calibration(calibration, f"{title}: calibration on new {unit}s")
    save_png(paths.CALIBRATION_FIGURE, figure)

    decisions = {name: list_decision_points(outcomes[name]) for name in outcomes}
    threshold = params.evaluation.threshold
    figure = draw_decisions(decisions, threshold, f"{title}: net benefit on new {unit}s")
    save_png(paths.DECISIONS_FIGURE, figure)

    roc = {}
    for name, repeats in repeats_by_model.items():
        roc[name] = sample_mean_roc_points(repeats, info.classes, negative_label)
    figure = draw_new_roc(roc, metrics, info.classes, f"{title}: ROC on new {unit}s")
    save_png(paths.ROC_FIGURE, figure)


def list_networks(params: Params, metrics: Container[str]) -> list[str]:
    """Return the cross-validated models that have a result on new subjects."""
    return [name for name in params.cross_validation.models if name in metrics]


def compare_new_aucs(
    params: Params, info: Info, metrics: Mapping[str, Metrics]
) -> list[Difference]:
    """Return the differences of AUC of those models and baselines that have an AUC."""
    negative_label = find_negative_label(params.evaluation.negative_class, info.classes)
    scored = [name for name in metrics if metrics[name].auc is not None]
    networks = list_networks(params, scored)
    return compare_aucs(
        read_all_repeats(networks, info),
        read_all_repeats([name for name in scored if name in BASELINES], info),
        negative_label,
    )


def read_all_repeats(names: Iterable[str], info: Info) -> dict[str, Repeats]:
    """Return the predictions of each repeat, by model, with each subject once."""
    repeats_by_model: dict[str, Repeats] = {}
    for name in names:
        predictions = read_predictions(paths.folds(name), info.classes)
        repeats_by_model[name] = average_repeats_by_subject(predictions)
    return repeats_by_model


if __name__ == "__main__":
    run_stage(main)

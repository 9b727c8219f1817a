"""Write the report: what a new subject would see, what the models learned, and from what."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES, CHOSEN, Params
from mri_stages.reporting.baselines import describe_average, describe_baselines
from mri_stages.reporting.failures import build_failure_table
from mri_stages.reporting.groups import build_group_table, describe_groups
from mri_stages.reporting.headline import describe_headline, find_best, get_unit
from mri_stages.reporting.page import describe_sample
from mri_stages.reporting.report import (
    GivenResults,
    NewResults,
    ReportPage,
    describe_auc,
    describe_given_warning,
    describe_positive,
    list_conflict_rows,
    list_copy_rows,
    list_leakage_rows,
    render_report,
)
from mri_stages.reporting.scores import (
    AUC,
    AUC_BY_FOLD,
    CLASS_SCORES,
    DECISION_SCORES,
    PROBABILITY_SCORES,
    SCALED_BRIER,
    select_known_scores,
)
from mri_stages.reporting.tables import (
    Table,
    build_class_table,
    build_confusion_table,
    build_difference_table,
    build_estimate_cell,
    build_pair_matrix,
    build_power_table,
    build_robustness_table,
    build_score_table,
)
from mri_stages.storage.choices import describe_choices, read_choices, read_chosen_metrics
from mri_stages.storage.dataset import read_info
from mri_stages.storage.failures import read_failures
from mri_stages.storage.files import write_bytes
from mri_stages.storage.groups import read_groups
from mri_stages.storage.records import (
    Leakage,
    Metrics,
    list_missing_models,
    read_differences,
    read_given_metrics,
    read_leakage,
    read_new_subject_confusion,
    read_new_subject_metrics,
    read_pairs,
    read_power,
    read_robustness,
)

PICTURES = (
    *("new_subjects", "calibration", "decisions", "roc", "failures", "robustness"),
    *("accuracy", "leakage", "history", "learning_rate", "flow", "sample"),
)
LISTED_PACKAGES = ("torch", "scikit-learn", "dvc")

PROBABILITY_CAPTION = (
    "Probabilities. A perfect model has a scaled Brier score of 1 and a constant answer 0 or less; "
    "well calibrated probabilities have a slope of 1 (below 1: too extreme) and an intercept of 0 "
    "(below 0: too high)"
)
CLASS_CAPTION = "Classes, the most probable one as the answer; these scores ignore probabilities"

POWER_CAPTION = (
    "To expect before any training, by the AUC of a model. A dash: not even an AUC of 1 would be "
    "seen as better"
)
ROBUSTNESS_CAPTION = "AUC on changed images, with 95 % confidence intervals"


def main() -> None:
    page = build_page(read_params())
    write_bytes(paths.REPORT, render_report(page))
    print(f"wrote {paths.REPORT}")


def build_page(params: Params) -> ReportPage:
    """Return what the report shows, read from the files of all stages before it."""
    info = read_info()
    train_counts = info.counts["train"]
    test_counts = info.counts["test"]
    new_metrics = read_new_subject_metrics(params)
    given_metrics = read_given_metrics(params)
    models = [name for name in params.models if name in given_metrics]
    networks = list(params.cross_validation.models)
    leakage = read_leakage()
    power = read_power()
    groups = read_groups()
    return ReportPage(
        title=params.data.title,
        unit=get_unit(new_metrics) if new_metrics else "row",
        headline=describe_headline(networks, new_metrics, read_differences()),
        n_folds=params.cross_validation.folds,
        n_repeats=params.cross_validation.repeats,
        auc_label=describe_auc(params.evaluation.negative_class, info.classes),
        positive_label=describe_positive(params.evaluation.negative_class, info.classes),
        sample_note=describe_sample(params.data.raw),
        new=build_new_results(params, new_metrics, info.classes) if new_metrics else None,
        group_sentences=describe_groups(groups),
        groups=build_group_table(groups),
        failures=build_failure_table(read_failures()),
        robustness=build_robustness_table(ROBUSTNESS_CAPTION, read_robustness(params)),
        power_sentences=power.sentences,
        power=build_power_table(POWER_CAPTION, power),
        given=build_given_results(params, given_metrics, leakage),
        given_warning=describe_given_warning(leakage),
        leakage_warning=leakage.warning or "",
        leakage_sentence=leakage.sentence,
        leakage_rows=list_leakage_rows(leakage, sum(test_counts)),
        copy_rows=list_copy_rows(leakage),
        conflict_rows=list_conflict_rows(leakage),
        has_learning_rates=bool(params.group_models_by_lr(models)),
        raw_folder=params.data.raw,
        image_shape=info.image_shape,
        n_train_rows=sum(train_counts),
        n_test_rows=sum(test_counts),
        class_rows=list(zip(info.classes, train_counts, test_counts, strict=True)),
        has_numbered_classes=not all(name.isascii() for name in info.classes),
        pictures={name: (paths.PLOTS / f"{name}.png").read_bytes() for name in PICTURES},
        params_text=paths.PARAMS.read_text(encoding="utf-8"),
        versions=[(package, version(package)) for package in LISTED_PACKAGES],
    )


def build_new_results(
    params: Params, metrics: Mapping[str, Metrics], classes: Sequence[str]
) -> NewResults:
    missing_models = list_missing_models(params.cross_validation.models, metrics)
    has_two_classes = bool(select_known_scores([SCALED_BRIER], metrics))
    caption = f"AUC: {describe_auc(params.evaluation.negative_class, classes)}"
    if has_two_classes:
        caption = f"{PROBABILITY_CAPTION}. {caption}"
    unit = get_unit(metrics)
    difference_caption = (
        f"Differences of AUC on the same {unit}s, with 95 % confidence intervals. p comes "
        "from resampling, so it is never 0, and <= stands before the lowest one that it can show; "
        "it is corrected (Holm) over the networks for each baseline, and over the pairs of networks"
    )
    return NewResults(
        probabilities=build_score_table(caption, metrics, PROBABILITY_SCORES, missing_models),
        decisions=build_score_table(describe_decisions(params, metrics), metrics, DECISION_SCORES),
        fold_scores=build_fold_table(metrics),
        choice=describe_choices(read_choices()) if read_chosen_metrics() else "",
        class_scores=build_score_table(CLASS_CAPTION, metrics, CLASS_SCORES, has_kept_epochs=True),
        differences=build_difference_table(difference_caption, read_differences()),
        class_tables=build_class_tables(params, metrics, classes),
        has_two_classes=has_two_classes,
        unscored_classes=metrics["majority"].unscored_classes or "",
        missing_models=missing_models,
        baseline_texts=describe_baselines(metrics),
        average_text=describe_average(metrics),
    )


def build_fold_table(metrics: Mapping[str, Metrics]) -> Table:
    """Return the AUC by fold of every row, and last of what each fold chose, if it did."""
    table = build_score_table(describe_fold_scores(metrics), metrics, [AUC_BY_FOLD])
    chosen = read_chosen_metrics()
    if chosen is None:
        return table
    return table._replace(rows=[*table.rows, (CHOSEN, build_estimate_cell(chosen.estimate))])


def describe_fold_scores(metrics: Mapping[str, Metrics]) -> str:
    """Return the caption of the table of AUCs by fold; it names the folds without one."""
    caption = (
        "AUC within folds: it compares the subjects of one fold only, so never the probabilities "
        "of two trainings. The AUC above compares the subjects of all folds"
    )
    unscored_folds = next(
        (row.unscored_folds for row in metrics.values() if row.unscored_folds is not None), ""
    )
    if not unscored_folds:
        return caption
    return f"{caption}. A class is missing in these folds, which are left out: {unscored_folds}"


def describe_decisions(params: Params, metrics: Mapping[str, Metrics]) -> str:
    """Return the caption of the table of decisions: the threshold, and what treating all has."""
    threshold = params.evaluation.threshold
    caption = f"Decisions, positive from a probability of {threshold:g} on. Net benefit of treating"
    all_benefit = metrics["majority"].net_benefit_all
    if all_benefit is None:
        return f"{caption} none: 0"
    positive_share = all_benefit * (1 - threshold) + threshold
    return (
        f"{caption} all: {all_benefit:.3f}, of treating none: 0. Net benefit and predictive values "
        f"hold where {positive_share:.0%} are positive, as here"
    )


def build_class_tables(
    params: Params, metrics: Mapping[str, Metrics], classes: Sequence[str]
) -> list[Table]:
    """Return classes and confusion of the network and of the baseline with the highest AUC."""
    unit = get_unit(metrics)
    mean = ", means over repeats" if params.cross_validation.repeats > 1 else ""
    tables = []
    for names in (params.cross_validation.models, BASELINES):
        name = find_best(names, metrics)
        if not name:
            continue
        cells = read_new_subject_confusion(name)
        caption = f"{name}: {unit}s by actual class (row) and predicted class (column){mean}"
        tables.append(build_class_table(f"{name}: classes", cells, classes, unit))
        tables.append(build_confusion_table(caption, cells, classes))
    return tables


def build_given_results(
    params: Params, metrics: Mapping[str, Metrics], leakage: Leakage
) -> GivenResults:
    missing_models = list_missing_models(params.models, metrics)
    has_ids = leakage.shared_subjects is not None
    method = "permuting subjects" if has_ids else "McNemar's exact test"
    caption = (
        "How many more test rows the model of the row predicts correctly than that of the column; "
        f"p by {method}, corrected for the number of pairs (Holm)"
    )
    scores = build_score_table(
        "Given split: test rows",
        metrics,
        (AUC, *CLASS_SCORES),
        missing_models,
        has_kept_epochs=True,
    )
    return GivenResults(
        scores=scores,
        pairs=build_pair_matrix(caption, read_pairs(paths.PAIRS)),
        unscored_classes=metrics["majority"].unscored_classes or "",
        missing_models=missing_models,
    )


if __name__ == "__main__":
    run_stage(main)

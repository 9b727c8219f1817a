"""Score the models in groups of new subjects: plots/groups.csv, from `evaluation.groups`."""

from collections.abc import Sequence

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES, Params
from mri_stages.errors import InputError
from mri_stages.evaluation.groups import GroupOptions, score_groups
from mri_stages.evaluation.holm import correct_rows
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.reporting.groups import describe_groups
from mri_stages.reporting.headline import find_best
from mri_stages.storage.dataset import read_info
from mri_stages.storage.groups import GroupResult, write_groups
from mri_stages.storage.predictions import average_repeats_by_subject, read_predictions
from mri_stages.storage.records import VOTING_BASELINES, read_new_subject_metrics
from mri_stages.storage.subject_columns import describe_group_fault, read_subject_columns

CONFIG_KEY = "params.yaml: evaluation.groups"


def main() -> None:
    params = read_params()
    columns = params.evaluation.groups or []
    results: list[GroupResult] = []
    if columns:
        for name in list_scored_models(params):
            results += score_model(name, columns, params)
    corrected = correct_rows(results)
    write_groups(corrected)
    for sentence in describe_groups(corrected):
        print(sentence)


def list_scored_models(params: Params) -> list[str]:
    """Return the cross-validated models that have a result, and the best baseline."""
    metrics = read_new_subject_metrics(params)
    names = [name for name in params.cross_validation.models if name in metrics]
    best_baseline = find_best([name for name in metrics if name in BASELINES], metrics)
    return [*names, best_baseline] if best_baseline else names


def score_model(name: str, columns: Sequence[str], params: Params) -> list[GroupResult]:
    """Return the figures of one model; InputError if a column cannot be used."""
    classes = read_info().classes
    repeats = average_repeats_by_subject(read_predictions(paths.folds(name), classes))
    texts_by_column = read_subject_columns(CONFIG_KEY, columns, repeats[0].subjects)
    for column, texts in texts_by_column.items():
        fault = describe_group_fault(CONFIG_KEY, column, texts)
        if fault:
            raise InputError(f"{CONFIG_KEY}: {fault}")
    negative_label = find_negative_label(params.evaluation.negative_class, classes)
    options = GroupOptions(len(classes), negative_label, name not in VOTING_BASELINES)
    return score_groups(name, repeats, texts_by_column, options)


if __name__ == "__main__":
    run_stage(main)

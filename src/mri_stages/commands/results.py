"""Print the results in two short tables: new subjects, and the given split."""

import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser
from mri_stages.reporting.numbers import format_interval, format_score
from mri_stages.storage.records import (
    NO_RESULT,
    Metrics,
    list_missing_models,
    read_given_metrics,
    read_leakage,
    read_new_subject_metrics,
)

ROW_FORMAT = "{:24.24} {:>24} {:>9} {:>9} {:>24} {:>8}"  # a longer name is cut
LINE_WIDTH = 110


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages results", description=__doc__).parse_args(argv)
    params = read_params()
    # All is read before anything is printed: an error is one line.
    new_metrics = read_new_subject_metrics(params)
    given_metrics = read_given_metrics(params)
    leakage = read_leakage()

    if new_metrics:
        unit = new_metrics["majority"].by
        title = f"New {unit}s: {params.cross_validation.folds} folds of all rows"
        missing_models = list_missing_models(params.cross_validation.models, new_metrics)
        print_table(title, new_metrics, missing_models)
    else:
        print("\nNothing is known of new subjects: no folds are possible")
    missing_models = list_missing_models(params.models, given_metrics)
    print_table("Given split: test rows", given_metrics, missing_models)
    if leakage.warning:
        print(f"\n{textwrap.fill(f'warning: {leakage.warning}', LINE_WIDTH)}")
    print(f"\n{textwrap.fill(leakage.sentence, LINE_WIDTH)}")
    if has_old_results():
        print("warning: some of these results are old; mri-stages repro renews them")


def has_old_results() -> bool:
    """Return whether DVC would run a stage of dvc.yaml again."""
    status = subprocess.run([sys.executable, "-m", "dvc", "status", "--quiet", "dvc.yaml"])
    return status.returncode != 0


def print_table(
    title: str, metrics_by_model: Mapping[str, Metrics], missing_models: Iterable[str] = ()
) -> None:
    """Print a row of each model; last, those without a result."""
    print(f"\n{title}")
    print(ROW_FORMAT.format("", "accuracy, 95 % interval", "balanced", "macro F1", "AUC", "loss"))
    for name, metrics in metrics_by_model.items():
        loss = format_score(metrics.loss)
        if metrics.diverged:
            loss = "diverged"
        print(
            ROW_FORMAT.format(
                name,
                format_interval(metrics.accuracy, metrics.ci_low, metrics.ci_high),
                format_score(metrics.balanced_accuracy),
                format_score(metrics.macro_f1),
                format_interval(metrics.auc, metrics.auc_low, metrics.auc_high),
                loss,
            )
        )
    for name in missing_models:
        print(f"{name:24.24} {NO_RESULT}")

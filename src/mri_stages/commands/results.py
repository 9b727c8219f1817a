"""Print the results in two short tables: new subjects, and the given split."""

import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser
from mri_stages.storage.files import read_json
from mri_stages.storage.records import (
    Leakage,
    Metrics,
    read_given_metrics,
    read_new_subject_metrics,
)

# A longer name is cut.
format_row = "{:24.24} {:>24} {:>9} {:>9} {:>24} {:>8}".format
LINE_WIDTH = 110


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages results", description=__doc__).parse_args(argv)
    params = read_params()
    new_metrics = read_new_subject_metrics(params)
    unit = new_metrics["majority"].by

    print_table(f"New {unit}s: {params.cross_validation.folds} folds of all rows", new_metrics)
    print_table("Given split: test rows", read_given_metrics(params))
    leakage = read_json(paths.LEAKAGE, Leakage)
    print(f"\n{textwrap.fill(leakage.sentence, LINE_WIDTH)}")
    if has_old_results():
        print("warning: some of these results are old; mri-stages repro renews them")


def has_old_results() -> bool:
    """Return whether DVC would run a stage of dvc.yaml again."""
    status = subprocess.run([sys.executable, "-m", "dvc", "status", "--quiet", "dvc.yaml"])
    return status.returncode != 0


def print_table(title: str, metrics_by_model: Mapping[str, Metrics]) -> None:
    print(f"\n{title}")
    print(format_row("", "accuracy, 95 % interval", "balanced", "macro F1", "AUC", "loss"))
    for name, metrics in metrics_by_model.items():
        loss = number(metrics.loss)
        if metrics.diverged:
            loss = "diverged"
        print(
            format_row(
                name,
                number(metrics.accuracy, metrics.ci_low, metrics.ci_high),
                number(metrics.balanced_accuracy),
                number(metrics.macro_f1),
                number(metrics.auc, metrics.auc_low, metrics.auc_high),
                loss,
            )
        )


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a figure, with its interval if it has one."""
    if value is None:
        return "-"
    if low is None:
        return f"{value:z.3f}"
    return f"{value:z.3f} ({low:.3f} to {high:.3f})"

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

ROW = "{:24.24} {:>24} {:>9} {:>9} {:>24} {:>8}".format  # a longer name is cut


def main(argv: Sequence[str]) -> None:
    OneLineParser(prog="mri-stages results", description=__doc__).parse_args(argv)
    params = read_params()
    new = read_new_subject_metrics(params)
    by, folds = new["majority"].by, params.cross_validation.folds
    print_table(f"New {by}s: {folds} folds of all rows", new)
    print_table("Given split: test rows", read_given_metrics(params))
    print(f"\n{textwrap.fill(read_json(paths.LEAKAGE, Leakage).sentence, 110)}")
    if subprocess.run([sys.executable, "-m", "dvc", "status", "--quiet", "dvc.yaml"]).returncode:
        print("warning: some of these results are old; mri-stages repro renews them")


def print_table(title: str, metrics: Mapping[str, Metrics]) -> None:
    print(f"\n{title}")
    print(ROW("", "accuracy, 95 % interval", "balanced", "macro F1", "AUC", "loss"))
    for name, found in metrics.items():
        accuracy = number(found.accuracy, found.ci_low, found.ci_high)
        auc = number(found.auc, found.auc_low, found.auc_high)
        cells = (number(value) for value in (found.balanced_accuracy, found.macro_f1))
        loss = "diverged" if found.diverged else number(found.loss)
        print(ROW(name, accuracy, *cells, auc, loss))


def number(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a figure, with its interval if it has one."""
    text = "-" if value is None else f"{value:z.3f}"
    return text if low is None else f"{text} ({low:.3f} to {high:.3f})"

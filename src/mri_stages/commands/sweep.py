"""Try values of a key of a model: `mri-stages sweep models.resnet.lr=0.001,0.003 --seeds 3`.

Each value and seed is an experiment of DVC, which runs in a copy of the workspace. They are
compared by the validation loss, or by the inner score where cross_validation.inner_folds is above
0: never by test rows or outer folds. Values are YAML.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from mri_stages import paths
from mri_stages.config.environment import check_environment
from mri_stages.config.loading import check_values, parse_values, read_text
from mri_stages.config.sweep import EXAMPLE, ScoreKind, Sweep, plan_sweep
from mri_stages.console import (
    OneLineParser,
    align_columns,
    format_count,
    list_some,
    make_printable,
)
from mri_stages.errors import ArgumentError, InputError
from mri_stages.orchestration.signals import run_until_signal
from mri_stages.orchestration.sweep import ScoreFile, TrialResult, run_sweep

DIVERGED = "diverged"
FAILED = "failed"


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser(prog="mri-stages sweep", description=__doc__)
    parser.add_argument("setting", nargs="+", metavar="KEY=VALUE,VALUE", help=f"such as {EXAMPLE}")
    parser.add_argument("--seeds", type=int, default=1, help="of each value; 1 by default")
    arguments = parser.parse_args(argv)
    if len(arguments.setting) > 1:
        raise ArgumentError(
            f"{' '.join(arguments.setting)}: several keys, expected one; sweep one after the other"
        )

    values = parse_values(read_text())
    check_values(values)
    check_environment()
    sweep = plan_sweep(arguments.setting[0], arguments.seeds, values)
    results = run_until_signal(run_sweep(sweep, values, get_score_file(sweep, values)))

    for line in (*format_table(sweep, results), "", *describe_best(sweep, results)):
        print(line)
    check_failures(sweep, results)


def get_score_file(sweep: Sweep, values: Any) -> ScoreFile:
    """Return the file that holds the score, and how it is read."""
    # Only the inner score needs NumPy and scikit-learn.
    from mri_stages.evaluation.sweep_scores import read_inner_auc, read_validation_loss

    if sweep.score_kind is ScoreKind.VALIDATION_LOSS:
        return ScoreFile(paths.history(sweep.model), read_validation_loss)
    negative_class = values["evaluation"]["negative_class"]
    return ScoreFile(
        paths.inner(sweep.model), partial(read_inner_auc, negative_class=negative_class)
    )


def check_failures(sweep: Sweep, results: Sequence[TrialResult]) -> None:
    """Raise InputError that names the experiments which failed."""
    failures = [sweep.label(result.trial) for result in results if result.failure]
    if failures:
        raise InputError(
            f"{len(failures)} of {format_count(len(results), 'experiment')} failed: "
            f"{list_some(failures)}; see above, and 'dvc queue logs NAME'"
        )


# The table


@dataclass(frozen=True)
class ValueResult:
    """The results of one value, one for each seed."""

    shown_value: str
    results: Sequence[TrialResult]

    @property
    def scores(self) -> list[float]:
        return [result.score for result in self.results]

    @property
    def mean(self) -> float:
        """Return the mean over all seeds; NaN where one failed or diverged."""
        return fmean(self.scores)


def group_by_value(results: Sequence[TrialResult]) -> list[ValueResult]:
    """Return the results of each value, in the order of the sweep."""
    groups: dict[str, list[TrialResult]] = {}
    for result in results:
        groups.setdefault(repr(result.trial.value), []).append(result)
    return [ValueResult(group[0].trial.shown_value, group) for group in groups.values()]


def format_table(sweep: Sweep, results: Sequence[TrialResult]) -> list[str]:
    """Return the lines of a table: a row per experiment, the mean of a value in its first row."""
    has_seeds = len({result.trial.seed for result in results}) > 1
    header = [sweep.short_key, "seed", sweep.score_kind.value, "experiment"]
    if has_seeds:
        header[3:3] = ["mean", "least to greatest"]
    rows = [header]
    for group in group_by_value(results):
        for number, result in enumerate(group.results):
            row = ["" if number else group.shown_value, str(result.trial.seed)]
            row.append(format_result(result))
            if has_seeds:
                row += ["", ""] if number else format_spread(group)
            row.append(result.experiment)
            if result.failure:
                row[-1] += f": {make_printable(result.failure)}"
            rows.append(row)

    return align_columns(rows)


def format_result(result: TrialResult) -> str:
    if result.failure:
        return FAILED
    return format_number(result.score)


def format_number(score: float) -> str:
    return DIVERGED if math.isnan(score) else f"{score:.4g}"


def format_spread(group: ValueResult) -> list[str]:
    """Return the cells of the mean, and of the least and greatest score; none where one lacks."""
    if math.isnan(group.mean):
        return ["-", "-"]
    least = format_number(min(group.scores))
    greatest = format_number(max(group.scores))
    return [format_number(group.mean), f"{least} to {greatest}"]


# What it shows


def describe_best(sweep: Sweep, results: Sequence[TrialResult]) -> Iterator[str]:
    """Yield which value is lowest and highest, and whether the seeds agree on the better one.

    Values with a failed or diverged experiment are left out, and named.
    """
    groups = group_by_value(results)
    known_groups = [group for group in groups if not math.isnan(group.mean)]
    left_out = [group.shown_value for group in groups if math.isnan(group.mean)]
    if left_out:
        yield f"left out, since an experiment failed or diverged: {list_some(left_out)}"
    if len(known_groups) < 2:
        yield "fewer than two values have a score with every seed: nothing to compare"
        return

    is_mean = len(groups[0].results) > 1
    noun = f"mean {sweep.score_kind.value}" if is_mean else sweep.score_kind.value
    lowest = min(known_groups, key=lambda group: group.mean)
    highest = max(known_groups, key=lambda group: group.mean)
    yield (
        f"{noun}: lowest {format_number(lowest.mean)} with {sweep.short_key} {lowest.shown_value}, "
        f"highest {format_number(highest.mean)} with {highest.shown_value}"
    )
    best = lowest if sweep.score_kind.is_better_low else highest
    if is_mean:
        yield from describe_seeds(best, [group for group in known_groups if group is not best])
    else:
        yield "one seed does not tell how far the seeds spread: --seeds 3"


def describe_seeds(best: ValueResult, other_groups: Sequence[ValueResult]) -> Iterator[str]:
    """Yield from which values the best one differs in one direction with every seed.

    The scores of one seed are a pair: it chooses the validation rows and draws the initial weights.
    A swept key may change these all the same: `arch`, for one, changes the shapes of the weights.
    """
    clear_values = []
    covered_values = []
    for group in other_groups:
        if differ_with_every_seed(best, group):
            clear_values.append(group.shown_value)
        else:
            covered_values.append(group.shown_value)

    n_seeds = len(best.results)
    if clear_values:
        yield (
            f"{best.shown_value} is better than {list_some(clear_values)} with each of {n_seeds} "
            "seeds"
        )
    if covered_values:
        yield (
            f"the spread over {n_seeds} seeds covers the difference between {best.shown_value} and "
            f"{list_some(covered_values)}: not every seed agrees"
        )


def differ_with_every_seed(first: ValueResult, second: ValueResult) -> bool:
    """Return whether the scores of all seeds differ in the same direction."""
    pairs = zip(first.scores, second.scores, strict=True)
    differences = [first_score - second_score for first_score, second_score in pairs]
    return min(differences) > 0 or max(differences) < 0

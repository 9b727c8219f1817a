"""Say in a sentence which values of a study differ in held-out accuracy, and which diverge."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import ttest_ind_from_stats

from mri_stages.studies.records import Summary
from mri_stages.studies.rules import SIGNIFICANCE_LEVEL

MEASURE = "held_out_accuracy"
MIN_RANGE_LENGTH = 3  # from so many neighbouring values on, the first and the last one are named


@dataclass(frozen=True)
class Comparison:
    """The values of a study, from the lowest, by what their runs did."""

    values: Sequence[str]  # all
    best: str  # the value of the highest accuracy where no seed diverged; "" without any
    tied: Sequence[str]  # those that cannot be told apart from the best, which is one of them
    lower: Sequence[str]  # those with an accuracy below the best
    unsteady: Sequence[str]  # those with which some seeds diverged
    diverged: Sequence[str]  # those with which all seeds did


def compare_values(summaries: Sequence[Summary]) -> Comparison:
    """Compare the held-out accuracy of each value with the highest, from the rows of one study.

    Two values differ where Welch's t-test over seeds has p < 0.05 divided by the number of tests.
    """
    rows = {format_number(row.value): row for row in summaries if row.measure == MEASURE}
    steady_rows = {value: row for value, row in rows.items() if not row.diverged}
    best = max(steady_rows, key=lambda value: get_accuracy(rows[value]), default="")

    tied: list[str] = []
    lower: list[str] = []
    for value, row in steady_rows.items():
        level = SIGNIFICANCE_LEVEL / max(1, len(steady_rows) - 1)
        group = lower if is_lower(row, rows[best], level) else tied
        group.append(value)

    diverged = [value for value, row in rows.items() if row.diverged == count_seeds(row)]
    unsteady = [value for value in rows if value not in (*tied, *lower, *diverged)]
    return Comparison(list(rows), best, tied, lower, unsteady, diverged)


def format_number(value: str | float) -> str:
    """Return a number as short as it can be written, and a name as it is."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return str(value)


def get_accuracy(row: Summary) -> float:
    """Return the mean accuracy; it is never missing where a run did not diverge."""
    return -1 if row.mean is None else row.mean


def count_seeds(row: Summary) -> int:
    return row.runs + row.without


def is_lower(row: Summary, best: Summary, level: float) -> bool:
    """Return whether the accuracy of a value is below the best at this level of significance."""
    if row.sd is None or best.sd is None:  # a single seed shows no spread
        return False
    if row.sd == best.sd == 0:  # the test divides by the spread
        return get_accuracy(row) < get_accuracy(best)
    test = ttest_ind_from_stats(
        best.mean, best.sd, best.runs, row.mean, row.sd, row.runs, equal_var=False
    )
    return bool(test.pvalue < level)


def describe_comparison(comparison: Comparison) -> str:
    """Return the comparison as clauses, such as "1 to 5 cannot be told apart; 10 diverges"."""
    clauses = []
    if len(comparison.tied) > 1:
        clauses.append(f"{name_values(comparison.tied, comparison)} cannot be told apart")
    elif comparison.lower:
        clauses.append(f"{comparison.best} is best")
    elif comparison.tied:
        clauses.append(f"only {comparison.best} does not diverge")

    if comparison.lower:
        verb = "are" if len(comparison.lower) > 1 else "is"
        clauses.append(f"{name_values(comparison.lower, comparison)} {verb} lower")
    if comparison.unsteady:
        names = name_values(comparison.unsteady, comparison)
        clauses.append(f"with {names} some seeds diverge")
    if comparison.diverged:
        verb = "diverge" if len(comparison.diverged) > 1 else "diverges"
        clauses.append(f"{name_values(comparison.diverged, comparison)} {verb}")
    return "; ".join(clauses)


def name_values(values: Sequence[str], comparison: Comparison) -> str:
    """Return the values in words, neighbours as a range."""
    first = comparison.values.index(values[0])
    are_neighbours = list(comparison.values[first : first + len(values)]) == list(values)
    if are_neighbours and len(values) >= MIN_RANGE_LENGTH:
        return f"{values[0]} to {values[-1]}"
    if len(values) == 1:
        return values[0]
    return f"{', '.join(values[:-1])} and {values[-1]}"

"""What the page and the console say of groups of new subjects."""

from collections.abc import Sequence

from mri_stages.reporting.numbers import format_p, format_p_equation, format_range, format_score
from mri_stages.reporting.tables import Cell, Table, build_estimate_cell
from mri_stages.storage.groups import GroupResult
from mri_stages.storage.records import Estimate

MAX_P_OF_A_DIFFERENCE = 0.05
GROUP_CAPTION = "Groups of new subjects, with 95 % confidence intervals"


def describe_groups(results: Sequence[GroupResult]) -> list[str]:
    """Return sentences: how many groups were looked at, which differ, and which are too small.

    None where no group was looked at.
    """
    if not results:
        return []
    names = list(dict.fromkeys(name_group(result) for result in results))
    models = dict.fromkeys(result.model for result in results)
    small = list(dict.fromkeys(name_group(result) for result in results if result.auc is None))
    compared = [result for result in results if result.p is not None]
    different = [result for result in compared if is_different(result)]

    looks = f"Groups of new subjects that were looked at: {len(names)}, in {len(models)} models"
    sentences = [f"{looks}. {describe_differences(different, len(compared))}"]
    if small:
        sentences.append(f"Too few subjects of a class to score: {', '.join(small)}.")
    return sentences


def name_group(result: GroupResult) -> str:
    return f"{result.column} {result.group}"


def is_different(result: GroupResult) -> bool:
    return result.p is not None and result.p <= MAX_P_OF_A_DIFFERENCE


def describe_differences(different: Sequence[GroupResult], n_compared: int) -> str:
    """Return which of the compared groups have another AUC than the other subjects."""
    if not n_compared:
        return "None of them can be compared with the other subjects."
    correction = f"p is corrected for {n_compared} comparisons"
    if not different:
        return f"No AUC is shown to differ from that of the other subjects; {correction}."
    texts = []
    for result in different:
        interval = format_range(result.difference_low, result.difference_high)
        difference = f"{format_score(result.difference)} {interval}"
        p = format_p_equation(result.p or 0, result.p_is_floor)
        texts.append(f"{result.model} for {name_group(result)} by {difference}, {p}")
    return f"The AUC differs from that of the other subjects: {'; '.join(texts)}; {correction}."


def build_group_table(results: Sequence[GroupResult]) -> Table:
    """Return a row per model and group."""
    rows: list[tuple[Cell, ...]] = []
    for row in results:
        intercept = Estimate(
            row.calibration_intercept,
            row.calibration_intercept_low,
            row.calibration_intercept_high,
        )
        rows.append(
            (
                row.model,
                name_group(row),
                row.subjects,
                row.positives,
                build_estimate_cell(Estimate(row.auc, row.auc_low, row.auc_high)),
                build_estimate_cell(intercept),
                row.difference,
                None if row.p is None else format_p(row.p, row.p_is_floor),
            )
        )
    header = ["", "group", "subjects", "positive", "AUC", "calibration in the large", "difference"]
    return Table(GROUP_CAPTION, [*header, "p"], rows)

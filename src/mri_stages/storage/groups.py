"""plots/groups.csv: the figures of new subjects in the groups that `evaluation.groups` names."""

from collections.abc import Iterable
from typing import NamedTuple

from mri_stages import paths
from mri_stages.storage.files import read_csv, write_csv


class GroupResult(NamedTuple):
    """A row of plots/groups.csv. All figures but the counts are None where a group is small."""

    model: str
    column: str  # of subjects.csv
    group: str  # a value of it, or `unknown`
    subjects: int
    positives: int | None  # subjects of the positive class; None where there are not two classes
    auc: float | None = None
    auc_low: float | None = None  # 95 % confidence interval
    auc_high: float | None = None
    calibration_intercept: float | None = None
    calibration_intercept_low: float | None = None
    calibration_intercept_high: float | None = None
    difference: float | None = None  # AUC of the group minus that of all other subjects
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None  # of no difference, two-sided; Holm-corrected over all rows with a p
    p_is_floor: bool = False  # whether no lower p can be shown by so many resamples


def write_groups(results: Iterable[GroupResult]) -> None:
    write_csv(paths.GROUPS, GroupResult._fields, results)


def read_groups() -> list[GroupResult]:
    """Return the figures of all groups; none where no column is named or no folds are possible."""
    return read_csv(paths.GROUPS, GroupResult, least=0)

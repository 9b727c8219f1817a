"""What is said of groups: how many were looked at, which differ, and which are too small."""

import pytest

from mri_stages.reporting.groups import build_group_table, describe_groups
from mri_stages.reporting.tables import DetailedCell
from mri_stages.storage.groups import GroupResult

FEMALE = GroupResult(
    model="a",
    column="sex",
    group="F",
    subjects=30,
    positives=12,
    auc=0.75,
    auc_low=0.6,
    auc_high=0.9,
    calibration_intercept=-0.25,
    calibration_intercept_low=-1,
    calibration_intercept_high=0.5,
    difference=0.125,
    difference_low=0.1,
    difference_high=0.15,
    p=0.2,
)
SMALL = GroupResult("a", "site", "Bern", 3, 1)


def test_describe_groups_of_none() -> None:
    assert describe_groups([]) == []


def test_describe_groups_counts_groups_and_models() -> None:
    (sentence,) = describe_groups([FEMALE, FEMALE._replace(model="b")])
    assert ": 1, in 2 models. No AUC" in sentence
    assert "for 2 comparisons" in sentence


@pytest.mark.parametrize(("p", "is_named"), [(0.05, True), (0.051, False)])
def test_describe_groups_names_a_difference(p: float, is_named: bool) -> None:
    (sentence,) = describe_groups([FEMALE._replace(p=p), FEMALE._replace(group="M")])
    text = "a for sex F by 0.125 (0.100 to 0.150), p = 0.050; p is corrected for 2"
    assert (text in sentence) == is_named
    assert "sex M" not in sentence


def test_lowest_p_of_a_group_is_a_bound() -> None:
    row = FEMALE._replace(p=0.002, p_is_floor=True)
    (sentence,) = describe_groups([row])
    assert "p <= 0.002;" in sentence
    assert build_group_table([row]).rows[0][-1] == "<= 0.002"


def test_describe_groups_names_a_small_one_once() -> None:
    looks, small = describe_groups([SMALL, SMALL._replace(model="b")])
    assert looks.endswith("None of them can be compared with the other subjects.")
    assert small.endswith(": site Bern.")


def test_group_table_has_a_row_per_model_and_group() -> None:
    table = build_group_table([FEMALE, SMALL])
    assert list(table.rows[0]) == [
        "a",
        "sex F",
        30,
        12,
        DetailedCell("0.750", "(0.600 to 0.900)"),
        DetailedCell("-0.250", "(-1.000 to 0.500)"),
        0.125,
        "0.200",
    ]
    assert list(table.rows[1]) == ["a", "site Bern", 3, 1, None, None, None, None]
    assert len(table.header) == 8

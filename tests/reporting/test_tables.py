"""The tables of the report, made from records."""

from typing import Any

import pytest

from mri_stages.reporting.scores import ACCURACY, AUC, SCALED_BRIER
from mri_stages.reporting.tables import (
    DetailedCell,
    ShadedCount,
    build_class_table,
    build_confusion_table,
    build_difference_table,
    build_pair_matrix,
    build_score_table,
)
from mri_stages.storage.records import ConfusionCell, Difference, Metrics, Pair

METRICS = Metrics(accuracy=0.5, ci_low=0.4, ci_high=0.6, balanced_accuracy=0.5, macro_f1=0.5)


def change_metrics(**changes: Any) -> Metrics:
    return METRICS.model_copy(update=changes)


def test_score_has_its_interval_in_one_cell() -> None:
    metrics = change_metrics(auc=0.75, auc_low=0.625, auc_high=0.875)
    table = build_score_table("", {"m": metrics}, [AUC, ACCURACY])
    assert table.rows == [
        ("m", DetailedCell("0.750", "(0.625 to 0.875)"), DetailedCell("0.500", "(0.400 to 0.600)"))
    ]


def test_score_without_an_interval_is_a_number() -> None:
    table = build_score_table("", {"m": change_metrics(auc=0.75)}, [AUC])
    assert table.rows == [("m", 0.75)]


def test_score_that_no_model_has_is_left_out() -> None:
    table = build_score_table("", {"m": METRICS}, [AUC, SCALED_BRIER, ACCURACY])
    assert table.header == ["", "accuracy"]


def test_diverged_model_has_no_auc() -> None:
    metrics = {"good": change_metrics(auc=0.75), "hot": change_metrics(diverged=True)}
    table = build_score_table("", metrics, [AUC])
    assert table.rows[1] == ("hot", "diverged")


def test_models_without_a_result_come_last() -> None:
    table = build_score_table("", {"m": change_metrics(auc=0.75)}, [AUC, ACCURACY], ["failed"])
    assert table.rows[1] == ("failed", "no result", None)


@pytest.mark.parametrize(
    ("epochs", "text"),
    [
        ({"kept_epoch": 3}, "3"),
        ({"kept_epoch": 3.5, "kept_epoch_low": 1, "kept_epoch_high": 6}, "3.5 (1 to 6)"),
    ],
)
def test_kept_epoch_is_the_last_column(epochs: dict[str, float], text: str) -> None:
    metrics = {"m": change_metrics(**epochs)}
    table = build_score_table("", metrics, [ACCURACY], has_kept_epochs=True)
    assert len(table.header) == len(table.rows[0])
    assert table.rows[0][-1] == text


def test_kept_epoch_is_left_out_without_validation() -> None:
    table = build_score_table("", {"m": METRICS}, [ACCURACY], has_kept_epochs=True)
    assert len(table.header) == 2


def test_difference_has_its_interval_and_p() -> None:
    row = Difference("net", "linear", -0.125, -0.25, 0.0, 0.0625, 60)
    table = build_difference_table("", [row])
    assert table.rows == [("net", "linear", DetailedCell("-0.125", "(-0.250 to 0.000)"), "0.062")]


def test_pair_matrix_is_antisymmetric() -> None:
    table = build_pair_matrix("", [Pair("a", "b", 3, 5, 0.25)])
    assert table.header == ["", "a", "b"]
    assert table.rows == [
        ("a", "", DetailedCell("-2", "(p = 0.250)")),
        ("b", DetailedCell("+2", "(p = 0.250)"), ""),
    ]


def test_tables_show_the_lowest_p_as_a_bound() -> None:
    difference = Difference("net", "linear", 0.5, 0.25, 0.75, 0.002, 60, p_is_floor=True)
    assert build_difference_table("", [difference]).rows[0][-1] == "<= 0.002"
    matrix = build_pair_matrix("", [Pair("a", "b", 9, 0, 0.0042, p_is_floor=True)])
    assert matrix.rows[0][-1] == DetailedCell("+9", "(p <= 0.005)")


def test_pair_matrix_without_pairs_has_no_rows() -> None:
    assert build_pair_matrix("", []).rows == []


CELLS = [
    ConfusionCell("ill", "ill", 1.5, 4),
    ConfusionCell("ill", "sane", 2.5, 4),
    ConfusionCell("sane", "ill", 1, 6),
    ConfusionCell("sane", "sane", 5, 6),
]


def test_confusion_is_shaded_by_the_share_of_the_row() -> None:
    table = build_confusion_table("", CELLS, ["ill", "sane"])
    assert table.rows[0] == ("ill", ShadedCount("1.5", 0.375), ShadedCount("2.5", 0.625))


def test_confusion_has_a_row_of_a_class_without_subjects() -> None:
    table = build_confusion_table("", CELLS, ["ill", "sane", "absent"])
    assert table.rows[2][1:] == (ShadedCount("0", 0),) * 3


def test_confusion_of_many_classes_names_the_most_frequent_mistake() -> None:
    classes = [f"class {label}" for label in range(30)]
    counts = {"class 3": 1, "class 5": 2, "class 7": 1}
    cells = [ConfusionCell("class 3", name, count, 4) for name, count in counts.items()]
    table = build_confusion_table("", cells, classes)
    assert table.rows[3] == ("class 3", "4", "1", "class 5", "2")


def test_class_table_has_recall_and_precision() -> None:
    table = build_class_table("", CELLS, ["ill", "sane"], "subject")
    counts = [("ill", ShadedCount("4", 0)), ("sane", ShadedCount("6", 0))]
    assert [row[:2] for row in table.rows] == counts
    assert table.rows[0][2:] == (1.5 / 4, 1.5 / 2.5)
    assert table.rows[1][2:] == (5 / 6, 5 / 7.5)


def test_class_table_leaves_out_a_class_without_subjects() -> None:
    table = build_class_table("", CELLS, ["ill", "sane", "absent"], "subject")
    assert len(table.rows) == 2


def test_class_table_of_a_class_that_is_never_predicted() -> None:
    cells = [ConfusionCell("ill", "sane", 4, 4), ConfusionCell("sane", "sane", 6, 6)]
    table = build_class_table("", cells, ["ill", "sane"], "subject")
    assert table.rows[0][2:] == (0.0, None)

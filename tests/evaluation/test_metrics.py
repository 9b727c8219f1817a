import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.evaluation.metrics import (
    compute_cross_entropy,
    compute_metrics,
    compute_new_subject_metrics,
    find_negative_label,
)
from mri_stages.evaluation.roc_auc import compute_auc, compute_auc_interval
from mri_stages.storage.predictions import Predictions, average_by_subject
from tests.helpers.predictions import draw_predictions

CLASSES = ["a", "b", "c"]

# Means by subject and class: subject 7 (0.55, 0.45) is right, subject 3 of class b (0.4, 0.6) is
# right, subject 3 of class a (0.3, 0.7) is wrong.
BY_HAND = Predictions(
    np.arange(5),
    np.array([7, 3, 7, 3, 3]),
    np.array([0, 1, 0, 1, 0]),
    np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8], [0.3, 0.7]], np.float32),
    np.array([0, 1, 0, 1, 1]),
)

# Class c has all its rows in one fold.
ON_FOLDS = Predictions(
    np.arange(6),
    None,
    np.array([0, 1, 0, 1, 2, 2]),
    np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 0, 1]],
    np.array([0, 0, 1, 1, 1, 1]),
)


def test_metrics_equal_scikit_learn() -> None:
    predictions = draw_predictions()
    metrics = compute_metrics(predictions, CLASSES, None)
    y = predictions.labels
    predicted = predictions.probabilities.argmax(1)
    assert metrics.accuracy == pytest.approx((predicted == y).mean())
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(y, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(y, predicted, average="macro"))


def test_metrics_have_the_interval_of_their_rows() -> None:
    predictions = draw_predictions()
    metrics = compute_metrics(predictions, CLASSES, None)
    interval = compute_accuracy_interval(predictions.correct, predictions.subjects)
    assert (metrics.ci_low, metrics.ci_high) == interval


@pytest.mark.parametrize("negative_label", [None, 1])
def test_metrics_have_the_auc_of_the_negative_class(negative_label: int | None) -> None:
    predictions = draw_predictions()
    metrics = compute_metrics(predictions, CLASSES, negative_label)
    assert metrics.auc == compute_auc(predictions, negative_label)


@pytest.mark.parametrize(("loss", "expected"), [(0.7, 0.7), (math.inf, None), (math.nan, None)])
def test_metrics_leave_out_a_loss_that_is_not_finite(loss: float, expected: float | None) -> None:
    assert compute_metrics(draw_predictions(), CLASSES, None, loss).loss == expected


def test_metrics_of_all_classes_leave_out_none() -> None:
    assert compute_metrics(draw_predictions(), CLASSES, None).unscored_classes is None


def test_metrics_leave_out_a_class_that_no_model_could_learn() -> None:
    metrics = compute_metrics(ON_FOLDS, CLASSES, None)
    assert metrics.balanced_accuracy == 0.75
    assert metrics.unscored_classes == "c"


def test_metrics_without_folds_leave_out_a_class_without_rows() -> None:
    metrics = compute_metrics(ON_FOLDS._replace(folds=None), [*CLASSES, "d", "e"], None)
    assert metrics.balanced_accuracy == 0.5
    assert metrics.unscored_classes == "d, e"


def test_new_subject_metrics_count_each_subject_and_class_once() -> None:
    metrics = compute_new_subject_metrics(BY_HAND, ["a", "b"], None)
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert metrics.by == "subject"


def test_new_subject_metrics_have_the_loss_of_the_means() -> None:
    metrics = compute_new_subject_metrics(BY_HAND, ["a", "b"], None)
    assert metrics.loss == pytest.approx(-np.log([0.55, 0.6, 0.3]).mean(), rel=1e-6)


def test_new_subject_metrics_leave_out_a_class_of_one_fold() -> None:
    assert compute_new_subject_metrics(BY_HAND, ["a", "b"], None).unscored_classes == "b"


def test_new_subject_metrics_without_ids_count_rows() -> None:
    metrics = compute_new_subject_metrics(BY_HAND._replace(subjects=None), ["a", "b"], None)
    assert (metrics.by, metrics.accuracy) == ("row", 0.4)


@pytest.mark.parametrize("negative_label", [None, 0])
def test_new_subject_metrics_have_the_interval_of_the_auc(negative_label: int | None) -> None:
    predictions = draw_predictions(60, n_classes=3)
    metrics = compute_new_subject_metrics(predictions, CLASSES, negative_label)
    expected = compute_auc_interval(average_by_subject(predictions), negative_label)
    assert (metrics.auc_low, metrics.auc_high) == expected


def test_new_subject_metrics_of_nan_have_no_auc_and_no_loss() -> None:
    probabilities = BY_HAND.probabilities.copy()
    probabilities[0] = np.nan
    diverged = BY_HAND._replace(probabilities=probabilities)
    metrics = compute_new_subject_metrics(diverged, ["a", "b"], None)
    assert (metrics.auc, metrics.auc_low, metrics.auc_high, metrics.loss) == (None,) * 4


def test_cross_entropy_of_a_certain_wrong_answer_is_infinite() -> None:
    assert compute_cross_entropy(ON_FOLDS) == math.inf


def test_negative_label_is_that_of_the_class() -> None:
    assert find_negative_label("c", CLASSES) == 2


def test_negative_label_of_null_is_none() -> None:
    assert find_negative_label(None, CLASSES) is None


def test_negative_label_names_a_class_that_does_not_exist() -> None:
    with pytest.raises(InputError, match=r"negative_class is 'd'.*a, b, c"):
        find_negative_label("d", CLASSES)

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.evaluation.metrics import (
    compute_class_means,
    compute_cross_entropy,
    compute_metrics,
)
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.roc_auc import compute_auc
from mri_stages.storage.predictions import Predictions
from tests.helpers.predictions import draw_predictions

CLASSES = ["a", "b", "c"]

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


@pytest.mark.parametrize("scored", [[0, 1, 2, 3], [1, 3], [2]])
def test_class_means_have_the_bits_of_scikit_learn(scored: list[int]) -> None:
    rng = np.random.default_rng(0)
    for n_rows in range(40, 60):
        labels = rng.permutation(np.arange(n_rows) % 4)
        predicted = rng.integers(0, 3, n_rows)  # never 3
        means = compute_class_means(labels, predicted, scored)
        assert means.recall == recall_score(labels, predicted, labels=scored, average="macro")
        assert means.f1 == f1_score(labels, predicted, labels=scored, average="macro")


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


def test_cross_entropy_of_a_certain_wrong_answer_is_infinite() -> None:
    assert compute_cross_entropy(ON_FOLDS) == math.inf


def test_negative_label_is_that_of_the_class() -> None:
    assert find_negative_label("c", CLASSES) == 2


def test_negative_label_of_null_is_none() -> None:
    assert find_negative_label(None, CLASSES) is None


def test_negative_label_names_a_class_that_does_not_exist() -> None:
    with pytest.raises(InputError, match=r"negative_class is 'd'.*a, b, c"):
        find_negative_label("d", CLASSES)

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from mri_stages.evaluation.roc_auc import (
    MAX_ROC_POINTS,
    RocCurve,
    build_roc_curves,
    compute_auc,
    compute_auc_interval,
    compute_weighted_auc,
    list_scored_classes,
    sample_roc_points,
)
from mri_stages.storage.predictions import Predictions, average_by_subject
from tests.helpers.predictions import draw_predictions

CLASSES = ["a", "b", "c"]


def draw_with_nan() -> Predictions:
    predictions = draw_predictions()
    probabilities = predictions.probabilities.copy()
    probabilities[5] = np.nan
    return predictions._replace(probabilities=probabilities)


def draw_one_class() -> Predictions:
    return draw_predictions()._replace(labels=np.zeros(90, np.int64))


def test_auc_is_the_mean_of_each_class_against_the_rest() -> None:
    predictions = draw_predictions()
    p = predictions.probabilities
    y = predictions.labels
    expected = np.mean([roc_auc_score(y == k, p[:, k]) for k in range(3)])
    assert compute_auc(predictions, None) == pytest.approx(expected)


@pytest.mark.parametrize("negative_label", [0, 2])
def test_auc_with_a_negative_class_is_of_any_other_against_it(negative_label: int) -> None:
    predictions = draw_predictions()
    scores = 1 - predictions.probabilities[:, negative_label].astype(float)
    expected = roc_auc_score(predictions.labels != negative_label, scores)
    assert compute_auc(predictions, negative_label) == pytest.approx(expected)


def test_auc_of_nan_is_none() -> None:
    assert compute_auc(draw_with_nan(), None) is None


@pytest.mark.parametrize("negative_label", [None, 0, 1])
def test_auc_of_rows_of_one_class_is_none(negative_label: int | None) -> None:
    assert compute_auc(draw_one_class(), negative_label) is None


def test_weighted_auc_equals_scikit_learn() -> None:
    predictions = draw_predictions(40)
    weights = np.random.default_rng(1).integers(0, 3, (5, 40)).astype(float)
    curve = RocCurve(1, predictions.labels == 1, predictions.probabilities[:, 1])
    expected = [
        roc_auc_score(curve.positive_mask, curve.scores, sample_weight=row) for row in weights
    ]
    assert compute_weighted_auc(curve, weights) == pytest.approx(expected)


def test_weighted_auc_without_negatives_is_nan() -> None:
    predictions = draw_predictions(40)
    curve = RocCurve(1, predictions.labels == 1, predictions.probabilities[:, 1])
    weights = curve.positive_mask[None].astype(float)
    with np.errstate(invalid="ignore"):
        assert np.isnan(compute_weighted_auc(curve, weights)).all()


def test_auc_interval_equals_a_plain_bootstrap() -> None:
    predictions = average_by_subject(draw_predictions(600, n_classes=2))
    subjects = predictions.subjects
    assert subjects is not None
    rows_of_subjects = [np.flatnonzero(subjects == subject) for subject in np.unique(subjects)]
    n_subjects = len(rows_of_subjects)
    rng = np.random.default_rng(3)
    aucs = []
    for _ in range(600):
        drawn = rng.integers(0, n_subjects, n_subjects)
        rows = np.concatenate([rows_of_subjects[subject] for subject in drawn])
        aucs.append(roc_auc_score(predictions.labels[rows], predictions.probabilities[rows, 1]))
    expected = np.percentile(aucs, [2.5, 97.5])
    assert compute_auc_interval(predictions, None) == pytest.approx(expected, abs=0.02)


def test_auc_interval_is_seeded() -> None:
    predictions = draw_predictions(60, n_classes=2)
    assert compute_auc_interval(predictions, None) == compute_auc_interval(predictions, None)


def test_scored_classes_without_folds_have_rows() -> None:
    labels = np.array([0, 2, 2])
    predictions = Predictions(np.arange(3), None, labels, np.eye(3, dtype=np.float32)[labels])
    assert list_scored_classes(predictions) == [0, 2]


def test_scored_classes_on_folds_have_rows_in_two() -> None:
    labels = np.array([0, 1, 0, 1, 2, 2])
    folds = np.array([0, 0, 1, 1, 1, 1])
    p = np.eye(3, dtype=np.float32)[labels]
    assert list_scored_classes(Predictions(np.arange(6), None, labels, p, folds)) == [0, 1]


def test_curves_have_positive_and_negative_rows() -> None:
    assert build_roc_curves(draw_one_class(), None) == []


def test_curve_of_a_negative_class_has_that_label() -> None:
    (curve,) = build_roc_curves(draw_predictions(), 1)
    assert curve.label == 1
    assert curve.positive_mask.tolist() == (draw_predictions().labels != 1).tolist()


def test_roc_points_are_few() -> None:
    points = sample_roc_points(draw_predictions(3000), CLASSES, None)
    assert MAX_ROC_POINTS - 10 < len(points) <= MAX_ROC_POINTS


@pytest.mark.parametrize("label", range(3))
def test_roc_points_lie_on_the_curve(label: int) -> None:
    predictions = draw_predictions(3000)
    scores = predictions.probabilities[:, label]
    false_positive_rate, true_positive_rate, _ = roc_curve(predictions.labels == label, scores)
    curve = zip(false_positive_rate.tolist(), true_positive_rate.tolist(), strict=True)
    points = [
        point[1:]
        for point in sample_roc_points(predictions, CLASSES, None)
        if point.name == CLASSES[label]
    ]
    assert (points[0], points[-1]) == ((0, 0), (1, 1))
    assert set(points) <= {*curve}


def test_roc_points_of_few_rows_are_the_whole_curve() -> None:
    predictions = draw_predictions(12, n_classes=2)
    expected, _, _ = roc_curve(predictions.labels == 1, predictions.probabilities[:, 1])
    points = sample_roc_points(predictions, CLASSES[:2], None)
    assert [p.false_positive_rate for p in points if p.name == "b"] == expected.tolist()


def test_roc_points_name_the_classes_that_are_not_negative() -> None:
    points = sample_roc_points(draw_predictions(), CLASSES, 1)
    assert {point.name for point in points} == {"not b"}


def test_roc_points_of_nan_are_none() -> None:
    assert sample_roc_points(draw_with_nan(), CLASSES, None) == []


def test_roc_points_of_many_classes_are_of_the_first_100() -> None:
    labels = np.arange(300) % 150
    p = np.random.default_rng(0).random((300, 150)).astype(np.float32)
    names = [str(label) for label in range(150)]
    points = sample_roc_points(Predictions(np.arange(300), None, labels, p), names, None)
    assert {point.name for point in points} == set(names[:100])
    assert len(points) == MAX_ROC_POINTS

import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score, roc_curve

from mri_stages.evaluation.confidence import compute_exact_interval, draw_weights
from mri_stages.evaluation.roc_auc import (
    RocCurve,
    build_roc_curves,
    compute_auc,
    compute_auc_interval,
    compute_mean_auc,
    compute_weighted_auc,
    compute_weighted_aucs,
    list_scored_classes,
)
from mri_stages.evaluation.roc_points import (
    MAX_ROC_CURVES,
    MAX_ROC_POINTS,
    sample_mean_roc_points,
    sample_roc_points,
    trace_curve,
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
    assert compute_auc_interval([predictions], None) == pytest.approx(expected, abs=0.02)


def test_auc_interval_is_seeded() -> None:
    predictions = draw_predictions(60, n_classes=2)
    assert compute_auc_interval([predictions], None) == compute_auc_interval([predictions], None)


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


@pytest.mark.parametrize("n_scores", [1, 2, 5, 1000])
def test_traced_curve_has_the_bits_of_scikit_learn(n_scores: int) -> None:
    rng = np.random.default_rng(0)
    for n_rows in range(2, 40):
        positive_mask = rng.permutation(np.arange(n_rows) % 3 == 0)
        scores = (rng.integers(0, n_scores, n_rows) / 7).astype(np.float32)
        rates = trace_curve(RocCurve(0, positive_mask, scores))
        expected = roc_curve(positive_mask, scores)
        assert [rate.tolist() for rate in rates] == [rate.tolist() for rate in expected[:2]]


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


def test_roc_points_of_many_classes_are_of_the_first_ones() -> None:
    labels = np.arange(300) % 150
    p = np.random.default_rng(0).random((300, 150)).astype(np.float32)
    names = [str(label) for label in range(150)]
    points = sample_roc_points(Predictions(np.arange(300), None, labels, p), names, None)
    assert {point.name for point in points} == set(names[:MAX_ROC_CURVES])
    assert len(points) <= MAX_ROC_POINTS


def draw_repeats(n_repeats: int = 3, n: int = 60, n_classes: int = 3) -> list[Predictions]:
    """Return predictions of the same rows, each a subject of its own, by several repeats."""
    labels = np.random.default_rng(9).integers(0, n_classes, n)
    repeats = []
    for seed in range(n_repeats):
        logits = np.random.default_rng(seed).normal(size=(n, n_classes)).round(1)
        logits += np.eye(n_classes)[labels]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        repeats.append(Predictions(np.arange(n), np.arange(n), labels, p.astype(np.float32)))
    return repeats


def part_classes(predictions: Predictions, sign: int) -> Predictions:
    """Return predictions of two classes that are all right (sign 1) or all wrong (-1)."""
    p = 0.5 + sign * 0.1 * (2 * predictions.labels - 1)
    return predictions._replace(probabilities=np.stack([1 - p, p], axis=1).astype(np.float32))


def test_mean_auc_is_that_of_the_repeats() -> None:
    repeats = draw_repeats()
    expected = np.mean([compute_auc(predictions, 1) for predictions in repeats])
    assert compute_mean_auc(repeats, 1) == pytest.approx(expected)


def test_mean_auc_with_a_diverged_repeat_is_none() -> None:
    first, second = draw_repeats(2)
    diverged = second._replace(probabilities=np.full_like(second.probabilities, np.nan))
    assert compute_mean_auc([first, diverged], 1) is None


def test_weighted_aucs_are_those_of_the_repeats() -> None:
    repeats = draw_repeats()
    weights = next(draw_weights(60, None))[:4]
    expected = [
        [
            roc_auc_score(
                predictions.labels != 1,
                -predictions.probabilities[:, 1],
                sample_weight=row_weights,
            )
            for row_weights in weights
        ]
        for predictions in repeats
    ]
    assert compute_weighted_aucs(repeats, 1, weights) == pytest.approx(np.array(expected))


def test_auc_interval_of_repeats_is_narrower_than_of_one() -> None:
    """Three repeats with independent errors of the same subjects know more than one."""
    repeats = draw_repeats(8)
    one = compute_auc_interval(repeats[:1], 1)
    eight = compute_auc_interval(repeats, 1)
    assert eight.high - eight.low < 0.8 * (one.high - one.low)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("n_repeats", [1, 3])
def test_auc_interval_without_spread_is_exact(sign: int, n_repeats: int) -> None:
    predictions = part_classes(draw_repeats(1, n_classes=2)[0], sign)
    n_least = min(np.bincount(predictions.labels))
    expected = compute_exact_interval(n_least if sign > 0 else 0, n_least)
    assert compute_auc_interval([predictions] * n_repeats, 0) == expected


def test_auc_interval_of_equal_scores_stays_at_one_half() -> None:
    (predictions,) = draw_repeats(1, n_classes=2)
    equal = predictions._replace(probabilities=np.full((60, 2), 0.5, np.float32))
    assert compute_auc_interval([equal], 0) == (0.5, 0.5)


@pytest.mark.parametrize("n_repeats", [1, 3])
@pytest.mark.parametrize("n_decimals", [1, 7])  # of p: with one, many subjects are tied
def test_area_under_the_mean_curve_is_the_mean_auc(n_repeats: int, n_decimals: int) -> None:
    repeats = [
        predictions._replace(probabilities=predictions.probabilities.round(n_decimals))
        for predictions in draw_repeats(n_repeats)
    ]
    points = sample_mean_roc_points(repeats, CLASSES, 1)
    false_rates = [point.false_positive_rate for point in points]
    true_rates = [point.true_positive_rate for point in points]
    assert {point.name for point in points} == {"not b"}
    assert auc(false_rates, true_rates) == pytest.approx(compute_mean_auc(repeats, 1))


def test_mean_curve_of_one_repeat_is_its_curve() -> None:
    """It rises between the same points; points on the way are left out."""
    (predictions,) = draw_repeats(1, n_classes=2)
    rates = roc_curve(predictions.labels == 1, predictions.probabilities[:, 1])[:2]
    points = np.array(
        [point[1:] for point in sample_mean_roc_points([predictions], ["a", "b"], None)]
    )
    assert len(points) == len(np.unique(points, axis=0))
    for false_rate in np.unique(rates[0]):
        expected = rates[1][rates[0] == false_rate]
        ours = points[np.isclose(points[:, 0], false_rate), 1]
        assert (ours.min(), ours.max()) == pytest.approx((expected.min(), expected.max()))


@pytest.mark.parametrize(("negative_label", "name"), [(None, "b"), (0, "not a"), (1, "not b")])
def test_mean_curve_of_two_classes_is_one(negative_label: int | None, name: str) -> None:
    points = sample_mean_roc_points(draw_repeats(2, n_classes=2), ["a", "b"], negative_label)
    assert {point.name for point in points} == {name}


def test_mean_curves_of_many_classes_are_one_for_each() -> None:
    points = sample_mean_roc_points(draw_repeats(2), CLASSES, None)
    assert {point.name for point in points} == {*CLASSES}


def test_mean_curves_of_120_classes_keep_their_areas() -> None:
    (predictions,) = draw_repeats(1, n=600, n_classes=120)
    names = [str(label) for label in range(120)]
    points = sample_mean_roc_points([predictions], names, None)
    assert {point.name for point in points} == set(names[:MAX_ROC_CURVES])
    for label in range(MAX_ROC_CURVES):
        curve = [point for point in points if point.name == names[label]]
        area = auc(
            [point.false_positive_rate for point in curve],
            [point.true_positive_rate for point in curve],
        )
        scores = predictions.probabilities[:, label]
        assert area == pytest.approx(roc_auc_score(predictions.labels == label, scores), abs=0.06)


def test_mean_curves_have_at_most_200_points() -> None:
    assert len(sample_mean_roc_points(draw_repeats(2, n=2000), CLASSES, 1)) <= MAX_ROC_POINTS
    assert len(sample_mean_roc_points(draw_repeats(2, n=2000), CLASSES, None)) <= MAX_ROC_POINTS


def test_mean_curves_leave_out_a_class_that_a_repeat_cannot_score() -> None:
    first, second = draw_repeats(2)
    folds = np.where(second.labels == 2, 0, np.arange(60) % 2)
    repeats = [first, second._replace(folds=folds)]
    assert {point.name for point in sample_mean_roc_points(repeats, CLASSES, None)} == {"a", "b"}


def test_mean_curves_of_nan_are_none() -> None:
    assert sample_mean_roc_points([draw_with_nan()], CLASSES, None) == []

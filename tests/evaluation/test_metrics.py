import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score, roc_curve

from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import accuracy_interval
from mri_stages.evaluation.metrics import (
    compute_auc,
    compute_metrics,
    compute_new_subject_metrics,
    compute_weighted_auc,
    find_negative_label,
    sample_roc_points,
)
from mri_stages.storage.files import read_json, write_json
from mri_stages.storage.predictions import Predictions, average_by_subject
from mri_stages.storage.records import Metrics, read_metrics

WHOLE: dict[str, Any] = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6}
WHOLE |= {"balanced_accuracy": 0.3, "macro_f1": 0.2, "auc": 0.7, "auc_low": 0.6, "auc_high": 0.8}
WHOLE |= {"loss": 1.5, "diverged": False, "unscored_classes": "ill, sane", "by": "subject"}
CLASSES = ["a", "b", "c"]


def drawn(n: int = 90, seed: int = 0, n_classes: int = 3) -> Predictions:
    """Return predictions of ten rows per subject, better than chance, with many equal scores."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes)).round(1) + np.eye(n_classes)[labels]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(np.arange(n), np.arange(n) // 10, labels, p.astype(np.float32))


def test_score_equals_scikit_learn_and_the_interval_of_its_own_rows() -> None:
    found = drawn()
    metrics = compute_metrics(found, CLASSES, None, loss=0.7)
    labels, predicted = found.labels, found.probabilities.argmax(1)
    assert metrics.accuracy == pytest.approx((predicted == labels).mean())
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    interval = accuracy_interval(predicted == labels, found.subjects)
    assert (metrics.ci_low, metrics.ci_high) == interval
    assert (metrics.loss, metrics.unscored_classes) == (0.7, None)
    assert "loss" not in compute_metrics(found, CLASSES, None, loss=math.inf).to_json()


@pytest.mark.parametrize("negative", [None, 0, 2])
def test_auc_equals_scikit_learn(negative: int | None) -> None:
    found = drawn()
    p, y = found.probabilities, found.labels
    expected = np.mean([roc_auc_score(y == k, p[:, k]) for k in range(3)])
    if negative is not None:
        expected = roc_auc_score(y != negative, 1 - p[:, negative].astype(float))
    assert compute_auc(found, negative) == pytest.approx(expected)


def test_auc_is_none_for_nan_and_for_rows_of_one_class() -> None:
    found = drawn()
    p = found.probabilities.copy()
    p[5] = np.nan
    assert compute_auc(found._replace(probabilities=p), None) is None
    assert sample_roc_points(found._replace(probabilities=p), CLASSES, None) == []
    one = found._replace(labels=np.zeros(90, np.int64))
    assert compute_auc(one, None) is None
    assert compute_auc(one, 0) is None


def test_weighted_auc_equals_scikit_learn_with_weights_and_repeated_rows() -> None:
    found, rng = drawn(40), np.random.default_rng(1)
    weights = rng.integers(0, 3, (5, 40)).astype(float)
    positive, scores = found.labels == 1, found.probabilities[:, 1]
    for row, area in zip(weights, compute_weighted_auc(positive, scores, weights), strict=True):
        assert area == pytest.approx(roc_auc_score(positive, scores, sample_weight=row))
    with np.errstate(invalid="ignore"):
        assert np.isnan(compute_weighted_auc(positive, scores, positive[None].astype(float))).all()


def test_interval_of_auc_equals_a_plain_bootstrap() -> None:
    found = average_by_subject(drawn(600, n_classes=2))  # a row for each of a subject's classes
    assert found.subjects is not None
    subjects, ids = found.subjects, np.unique(found.subjects)
    rng, values = np.random.default_rng(3), []
    for _ in range(600):
        rows = np.concatenate([np.flatnonzero(subjects == s) for s in rng.choice(ids, len(ids))])
        y, p = found.labels[rows], found.probabilities[rows]
        values.append(roc_auc_score(y, p[:, 1]))
    expected = np.percentile(values, [2.5, 97.5])
    metrics = compute_new_subject_metrics(found, ["a", "b"], None)
    assert (metrics.auc_low, metrics.auc_high) == pytest.approx(expected, abs=0.02)
    assert compute_new_subject_metrics(found, ["a", "b"], None) == metrics  # seeded


def test_score_new_subjects_averages_by_hand_over_subject_and_class() -> None:
    found = Predictions(
        np.arange(5),
        np.array([7, 3, 7, 3, 3]),
        np.array([0, 1, 0, 1, 0]),  # subject 3 has rows of two classes, and counts once for each
        np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8], [0.3, 0.7]], np.float32),
        np.array([0, 1, 0, 1, 1]),
    )
    metrics = compute_new_subject_metrics(found, ["a", "b"], None, is_model=True)
    # Means: subject 7 (0.55, 0.45) right, subject 3 of class b (0.4, 0.6) right, of a wrong.
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert metrics.loss == pytest.approx(-np.log([0.55, 0.6, 0.3]).mean(), rel=1e-6)
    assert (metrics.by, metrics.diverged, metrics.unscored_classes) == ("subject", False, "b")
    p = found.probabilities.copy()
    p[0] = np.nan
    broken = compute_new_subject_metrics(
        found._replace(probabilities=p), ["a", "b"], None, is_model=True
    )
    assert (broken.diverged, broken.auc, broken.auc_low, broken.loss) == (True, None, None, None)
    by_row = compute_new_subject_metrics(found._replace(subjects=None), ["a", "b"], None)
    assert (by_row.by, by_row.diverged, by_row.accuracy) == ("row", None, 0.4)


def test_score_on_folds_leaves_out_a_class_that_no_model_could_learn() -> None:
    labels, folds = np.array([0, 1, 0, 1, 2, 2]), np.array([0, 0, 1, 1, 1, 1])
    p = np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 0, 1]]
    found = Predictions(np.arange(6), None, labels, p, folds)
    metrics = compute_metrics(found, CLASSES, None)
    assert (metrics.balanced_accuracy, metrics.unscored_classes) == (0.75, "c")
    assert metrics.auc == pytest.approx(
        np.mean([roc_auc_score(labels == k, p[:, k]) for k in (0, 1)])
    )
    given = compute_metrics(found._replace(folds=None), [*CLASSES, "d"], None)
    assert (given.balanced_accuracy, given.unscored_classes) == (0.5, "d")


def test_roc_points_are_on_the_curve_and_few() -> None:
    found = drawn(3000)
    points = sample_roc_points(found, CLASSES, None)
    assert len(points) <= 200
    for label, name in enumerate(CLASSES):
        false, true, _ = roc_curve(found.labels == label, found.probabilities[:, label])
        curve = [point[1:] for point in points if point.name == name]
        assert (curve[0], curve[-1]) == ((0, 0), (1, 1))
        assert set(curve) <= {*zip(false.tolist(), true.tolist(), strict=True)}
    assert {point.name for point in sample_roc_points(found, CLASSES, 1)} == {"not b"}


def test_negative_label_names_a_class_that_does_not_exist() -> None:
    assert [find_negative_label(name, CLASSES) for name in (None, "c")] == [None, 2]
    with pytest.raises(InputError, match=r"negative_class is 'd'.*a, b, c"):
        find_negative_label("d", CLASSES)


def test_metrics_are_written_in_order_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_json(path, Metrics(**dict(reversed(WHOLE.items()))).to_json())
    assert [*json.loads(path.read_text()).items()] == [*WHOLE.items()]
    assert read_json(path, Metrics) == read_metrics(path) == Metrics(**WHOLE)
    path.write_text("{}")
    assert read_metrics(path) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("accuracy", "0.5"), ("accuracy", True), ("ci_high", 1.5), ("ci_low", math.nan)),
        *(("ci_low", -0.1), ("ci_low", None), ("loss", math.inf), ("diverged", "no")),
    ],
)
def test_metrics_with_a_wrong_value_are_an_error(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "m.json").write_text(json.dumps({**WHOLE, key: value}))
    with pytest.raises(InputError, match=rf"m\.json: {key}"):
        read_metrics(tmp_path / "m.json")

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, precision_score, recall_score

from mri_stages.evaluation.confidence import compute_exact_interval
from mri_stages.evaluation.new_subjects import (
    MAX_CONFUSION_CELLS,
    Options,
    compute_new_subject_metrics,
    count_confusion,
)
from mri_stages.evaluation.roc_auc import compute_auc_interval
from mri_stages.storage.predictions import Predictions, average_by_subject, join_repeats
from mri_stages.storage.records import Metrics
from tests.helpers.predictions import draw_predictions

CLASSES = ["a", "b", "c"]
TWO_CLASS_KEYS = (
    "brier",
    "brier_scaled",
    "calibration_slope",
    "calibration_intercept",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "net_benefit",
    "net_benefit_all",
)

# Means by subject and class: subject 7 (0.55, 0.45) is right, subject 3 of class b (0.4, 0.6) is
# right, subject 3 of class a (0.3, 0.7) is wrong.
BY_HAND = Predictions(
    np.arange(5),
    np.array([7, 3, 7, 3, 3]),
    np.array([0, 1, 0, 1, 0]),
    np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.2, 0.8], [0.3, 0.7]], np.float32),
    np.array([0, 1, 0, 1, 1]),
)

# Each subject is a row.
LABELS = np.arange(80) % 2


def draw_repeat(seed: int) -> Predictions:
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(1.5 * LABELS - 0.75)))
    probabilities = np.stack([1 - p, p], axis=1).astype(np.float32)
    folds = rng.permutation(np.arange(80) % 5)
    return Predictions(np.arange(80), np.arange(80), LABELS, probabilities, folds)


REPEATS = [draw_repeat(seed) for seed in range(3)]
OPTIONS = Options(negative_label=None, threshold=0.4)


@pytest.fixture(scope="module")
def metrics_of_repeats() -> Metrics:
    return compute_new_subject_metrics(join_repeats(REPEATS), ["a", "b"], OPTIONS)


def test_new_subject_metrics_count_each_subject_and_class_once() -> None:
    metrics = compute_new_subject_metrics(BY_HAND, ["a", "b"], Options(None))
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert metrics.by == "subject"


def test_new_subject_metrics_have_the_loss_of_the_means() -> None:
    metrics = compute_new_subject_metrics(BY_HAND, ["a", "b"], Options(None))
    assert metrics.loss == pytest.approx(-np.log([0.55, 0.6, 0.3]).mean(), rel=1e-6)


def test_new_subject_metrics_leave_out_a_class_of_one_fold() -> None:
    assert compute_new_subject_metrics(BY_HAND, ["a", "b"], Options(None)).unscored_classes == "b"


def test_new_subject_metrics_without_ids_count_rows() -> None:
    metrics = compute_new_subject_metrics(
        BY_HAND._replace(subjects=None), ["a", "b"], Options(None)
    )
    assert (metrics.by, metrics.accuracy) == ("row", 0.4)


@pytest.mark.parametrize("negative_label", [None, 0])
def test_new_subject_metrics_have_the_interval_of_the_auc(negative_label: int | None) -> None:
    predictions = draw_predictions(60, n_classes=3)
    metrics = compute_new_subject_metrics(predictions, CLASSES, Options(negative_label))
    expected = compute_auc_interval([average_by_subject(predictions)], negative_label)
    assert (metrics.auc_low, metrics.auc_high) == expected


def test_new_subject_metrics_of_nan_have_no_auc_and_no_loss() -> None:
    probabilities = BY_HAND.probabilities.copy()
    probabilities[0] = np.nan
    diverged = BY_HAND._replace(probabilities=probabilities)
    metrics = compute_new_subject_metrics(diverged, ["a", "b"], Options(None))
    assert (metrics.auc, metrics.auc_low, metrics.auc_high, metrics.loss) == (None,) * 4


def test_new_subject_metrics_are_means_over_repeats(metrics_of_repeats: Metrics) -> None:
    single = [compute_new_subject_metrics(repeat, ["a", "b"], OPTIONS) for repeat in REPEATS]
    for key in ("accuracy", "macro_f1", "auc", "loss", *TWO_CLASS_KEYS):
        values = [getattr(part, key) for part in single]
        assert len(set(values)) > 1 or key == "net_benefit_all"
        assert getattr(metrics_of_repeats, key) == pytest.approx(np.mean(values))


def test_new_subject_metrics_count_subjects_and_repeats(metrics_of_repeats: Metrics) -> None:
    assert (metrics_of_repeats.subjects, metrics_of_repeats.repeats) == (80, 3)


def test_new_subject_metrics_by_row_count_no_subjects() -> None:
    metrics = compute_new_subject_metrics(BY_HAND._replace(subjects=None), ["a", "b"], OPTIONS)
    assert metrics.subjects is None


@pytest.mark.parametrize("key", ["accuracy", "auc", *TWO_CLASS_KEYS])
def test_new_subject_metrics_of_repeats_lie_in_their_interval(
    metrics_of_repeats: Metrics, key: str
) -> None:
    value, low, high = metrics_of_repeats.get_estimate(key)
    assert value is not None
    assert low is not None
    assert high is not None
    assert low < value < high


def test_new_subject_metrics_of_one_repeat_equal_those_without_its_number() -> None:
    numbered = compute_new_subject_metrics(join_repeats(REPEATS[:1]), ["a", "b"], OPTIONS)
    plain = compute_new_subject_metrics(REPEATS[0], ["a", "b"], OPTIONS)
    assert numbered == plain.model_copy(update={"repeats": 1})


def test_new_subject_metrics_equal_scikit_learn() -> None:
    (repeat,) = REPEATS[:1]
    metrics = compute_new_subject_metrics(repeat, ["a", "b"], OPTIONS)
    p = repeat.probabilities[:, 1].astype(float)
    is_called = p >= 0.4
    assert metrics.brier == pytest.approx(brier_score_loss(LABELS, p))
    assert metrics.sensitivity == pytest.approx(recall_score(LABELS, is_called))
    assert metrics.specificity == pytest.approx(recall_score(1 - LABELS, ~is_called))
    assert metrics.ppv == pytest.approx(precision_score(LABELS, is_called))
    assert metrics.npv == pytest.approx(precision_score(1 - LABELS, ~is_called))


def test_new_subject_metrics_of_the_negative_class_call_the_others_positive() -> None:
    mirrored = compute_new_subject_metrics(REPEATS[0], ["a", "b"], Options(1, 0.4))
    p = 1 - REPEATS[0].probabilities[:, 1].astype(float)
    assert mirrored.brier == pytest.approx(brier_score_loss(1 - LABELS, p))
    assert mirrored.sensitivity == pytest.approx(recall_score(1 - LABELS, p >= 0.4))


def test_new_subject_metrics_of_three_classes_have_no_two_class_keys() -> None:
    content = compute_new_subject_metrics(draw_predictions(), CLASSES, OPTIONS).to_json()
    assert content.keys().isdisjoint(TWO_CLASS_KEYS)


def test_new_subject_metrics_without_a_threshold_call_nobody() -> None:
    metrics = compute_new_subject_metrics(REPEATS[0], ["a", "b"], Options(None))
    assert metrics.brier is not None
    assert metrics.sensitivity is None


def test_new_subject_metrics_of_votes_have_no_calibration() -> None:
    options = OPTIONS._replace(has_calibration=False)
    metrics = compute_new_subject_metrics(REPEATS[0], ["a", "b"], options)
    assert metrics.calibration_slope is None
    assert metrics.calibration_intercept is None
    assert metrics.brier is not None


def test_new_subject_metrics_without_spread_are_exact() -> None:
    certain = REPEATS[0]._replace(probabilities=np.eye(2, dtype=np.float32)[LABELS])
    for predictions in (certain, join_repeats([certain, certain])):
        metrics = compute_new_subject_metrics(predictions, ["a", "b"], OPTIONS)
        all_subjects = compute_exact_interval(80, 80)
        all_of_a_class = compute_exact_interval(40, 40)
        assert metrics.get_estimate("accuracy") == (1, *all_subjects)
        assert metrics.get_estimate("auc") == (1, *all_of_a_class)
        for key in ("sensitivity", "specificity", "ppv", "npv"):
            assert metrics.get_estimate(key) == (1, *all_of_a_class)


def test_new_subject_metrics_of_parted_classes_have_no_slope() -> None:
    p = np.where(LABELS == 1, 0.7, 0.3)
    parted = REPEATS[0]._replace(probabilities=np.stack([1 - p, p], axis=1).astype(np.float32))
    metrics = compute_new_subject_metrics(parted, ["a", "b"], OPTIONS)
    assert metrics.get_estimate("calibration_slope") == (None, None, None)
    assert metrics.brier == pytest.approx(0.09)
    assert metrics.get_estimate("brier")[1:] == (None, None)


def test_new_subject_metrics_where_nobody_is_called_have_no_ppv() -> None:
    options = OPTIONS._replace(threshold=0.9999)
    metrics = compute_new_subject_metrics(REPEATS[0], ["a", "b"], options)
    assert metrics.ppv is None
    assert metrics.sensitivity == 0


def test_new_subject_metrics_name_a_class_that_one_repeat_does_not_score() -> None:
    in_one_fold = np.where(LABELS == 1, 0, np.arange(80) % 5)
    repeats = [REPEATS[0], REPEATS[1]._replace(folds=in_one_fold)]
    metrics = compute_new_subject_metrics(join_repeats(repeats), ["a", "b, the second"], OPTIONS)
    assert metrics.unscored_classes == "b, the second"


def test_confusion_counts_the_mean_over_repeats() -> None:
    first = Predictions(
        np.arange(3), None, np.array([0, 1, 1]), np.eye(2, dtype=np.float32)[[0, 1, 0]]
    )
    second = first._replace(probabilities=np.eye(2, dtype=np.float32)[[0, 1, 1]])
    cells = count_confusion([first, second], ["a", "b"])
    assert cells == [("a", "a", 1, 1), ("a", "b", 0, 1), ("b", "a", 0.5, 2), ("b", "b", 1.5, 2)]


def test_confusion_of_many_classes_keeps_the_diagonal_and_frequent_errors() -> None:
    labels = np.arange(60) % 20
    predicted = labels.copy()
    predicted[:2] = 19
    predictions = Predictions(np.arange(60), None, labels, np.eye(20, dtype=np.float32)[predicted])
    names = [f"c{label:02}" for label in range(20)]
    cells = count_confusion([predictions], names)
    assert len(cells) == MAX_CONFUSION_CELLS
    pairs = {cell[:2]: cell.count for cell in cells}
    assert all(pairs[name, name] == (2 if name in {"c00", "c01"} else 3) for name in names)
    assert pairs["c00", "c19"] == pairs["c01", "c19"] == 1

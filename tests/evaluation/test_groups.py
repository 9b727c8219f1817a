"""Figures of groups of new subjects."""

import numpy as np
import pytest

from mri_stages.evaluation.groups import (
    MIN_SUBJECTS_OF_CLASS,
    GroupOptions,
    mark_groups,
    score_groups,
)
from mri_stages.evaluation.holm import correct_rows
from mri_stages.evaluation.probabilities import build_outcomes, compute_calibration_figures
from mri_stages.evaluation.roc_auc import compute_auc
from mri_stages.storage.groups import GroupResult
from mri_stages.storage.predictions import (
    Predictions,
    average_repeats_by_subject,
    join_repeats,
    select_predictions,
)

OPTIONS = GroupOptions(2, negative_label=0)
N_SUBJECTS = 80
SITES = ["Bern" if subject % 2 else "Rome" for subject in range(N_SUBJECTS)]


def draw_repeat(seed: int = 0, worse_mask: np.ndarray | None = None) -> Predictions:
    """Return predictions of one row per subject; those of the mask have reversed probabilities."""
    rng = np.random.default_rng(seed)
    subjects = np.arange(N_SUBJECTS)
    labels = (subjects // 2) % 2
    logits = 2 * labels - 1 + rng.normal(size=N_SUBJECTS)
    if worse_mask is not None:
        logits = np.where(worse_mask, -logits, logits)
    p = 1 / (1 + np.exp(-logits))
    probabilities = np.stack([1 - p, p], axis=1).astype(np.float32)
    return Predictions(subjects, subjects, labels, probabilities, subjects % 2)


def score(predictions: Predictions, texts: list[str]) -> dict[str, GroupResult]:
    repeats = average_repeats_by_subject(predictions)
    return {row.group: row for row in score_groups("m", repeats, {"site": texts}, OPTIONS)}


def demand(*figures: float | None) -> list[float]:
    """Return the figures, which all must exist."""
    assert None not in figures
    return [figure for figure in figures if figure is not None]


def test_groups_of_texts_end_with_unknown() -> None:
    masks = mark_groups(["unsure", "a", "", "NA", "a"])
    assert list(masks) == ["a", "unsure", "unknown"]
    assert masks["unknown"].tolist() == [False, False, True, True, False]


def test_group_has_the_auc_and_the_counts_of_its_subjects() -> None:
    predictions = draw_repeat()
    row = score(predictions, SITES)["Bern"]
    selected = select_predictions(predictions, np.array(SITES) == "Bern")
    assert (row.subjects, row.positives) == (40, 20)
    assert row.auc == compute_auc(selected, 0)
    low, auc, high = demand(row.auc_low, row.auc, row.auc_high)
    assert low < auc < high


def test_group_is_calibrated_as_its_subjects_alone() -> None:
    predictions = draw_repeat()
    row = score(predictions, SITES)["Rome"]
    outcomes = build_outcomes([select_predictions(predictions, np.array(SITES) == "Rome")], 2, 0)
    assert outcomes is not None
    figures = compute_calibration_figures(outcomes, np.ones((1, 40)))
    assert row.calibration_intercept == pytest.approx(figures["calibration_intercept"][0, 0])


def test_group_difference_is_that_of_the_aucs() -> None:
    rows = score(draw_repeat(), SITES)
    bern, rome = demand(rows["Bern"].auc, rows["Rome"].auc)
    assert rows["Bern"].difference == pytest.approx(bern - rome)
    assert rows["Rome"].difference == pytest.approx(rome - bern)


def test_group_that_is_worse_is_seen() -> None:
    rows = score(draw_repeat(worse_mask=np.array(SITES) == "Bern"), SITES)
    bern = correct_rows(list(rows.values()))[0]
    assert bern.p is not None
    assert bern.p < 0.05
    assert bern.p_is_floor
    assert bern.difference_high is not None
    assert bern.difference_high < 0


def test_groups_that_mean_nothing_are_seldom_seen() -> None:
    """Of 40 draws, few have a corrected p below 5 %."""
    n_seen = 0
    for seed in range(40):
        rows = correct_rows(list(score(draw_repeat(seed), SITES).values()))
        n_seen += any(row.p is not None and row.p < 0.05 for row in rows)
    assert n_seen <= 5


@pytest.mark.parametrize("n_positive", [MIN_SUBJECTS_OF_CLASS - 1, MIN_SUBJECTS_OF_CLASS])
def test_small_group_has_counts_only(n_positive: int) -> None:
    predictions = draw_repeat()
    positive = np.flatnonzero(predictions.labels == 1)[:n_positive]
    negative = np.flatnonzero(predictions.labels == 0)[:20]
    texts = np.full(N_SUBJECTS, "large", dtype=object)
    texts[[*positive, *negative]] = "small"
    row = score(predictions, texts.tolist())["small"]
    assert (row.subjects, row.positives) == (20 + n_positive, n_positive)
    assert (row.auc is not None) == (n_positive >= MIN_SUBJECTS_OF_CLASS)


def test_group_beside_one_class_alone_has_no_difference() -> None:
    predictions = draw_repeat()
    negative = np.flatnonzero(predictions.labels == 0)[:20]
    texts = np.full(N_SUBJECTS, "mixed", dtype=object)
    texts[negative] = "healthy"
    rows = score(predictions, texts.tolist())
    assert (rows["healthy"].auc, rows["healthy"].difference) == (None, None)
    assert rows["mixed"].auc is not None
    assert (rows["mixed"].difference, rows["mixed"].p) == (None, None)


def test_group_in_one_fold_is_scored() -> None:
    """SITES and folds are the same here; the class is learned from the other fold."""
    repeats = average_repeats_by_subject(draw_repeat())
    options = OPTIONS._replace(negative_label=None)
    row = score_groups("m", repeats, {"site": SITES}, options)[0]
    assert row.auc == pytest.approx(score(draw_repeat(), SITES)["Bern"].auc)


def test_group_with_few_subjects_of_one_of_many_classes_has_counts_only() -> None:
    predictions = draw_repeat()
    labels = predictions.labels.copy()
    labels[[0, 1, 2, 3]] = 2  # two in each group
    probabilities = np.column_stack([predictions.probabilities, np.zeros(N_SUBJECTS, np.float32)])
    repeats = [predictions._replace(labels=labels, probabilities=probabilities)]
    options = GroupOptions(3, negative_label=None)
    assert [row.auc for row in score_groups("m", repeats, {"site": SITES}, options)] == [None] * 2
    options = GroupOptions(3, negative_label=0)
    assert None not in [row.auc for row in score_groups("m", repeats, {"site": SITES}, options)]


def test_group_of_two_repeats_has_the_mean_of_both() -> None:
    both = score(join_repeats([draw_repeat(0), draw_repeat(1)]), SITES)["Bern"]
    first = score(draw_repeat(0), SITES)["Bern"].auc
    second = score(draw_repeat(1), SITES)["Bern"].auc
    assert both.auc == pytest.approx(np.mean([first, second]))


def test_corrected_p_leaves_out_groups_without_one() -> None:
    rows = [GroupResult("m", "a", "x", 9, 4, p=p) for p in (0.02, None, 0.5)]
    assert [row.p for row in correct_rows(rows)] == [0.04, None, 0.5]


def test_corrected_p_is_a_bound_where_a_floor_decides_it() -> None:
    """Three times the first p is more than twice the second."""
    ps = {0.01: True, 0.012: False, 0.5: False}
    rows = [GroupResult("m", "a", "x", 9, 4, p=p, p_is_floor=ps[p]) for p in ps]
    assert [row.p_is_floor for row in correct_rows(rows)] == [True, True, False]

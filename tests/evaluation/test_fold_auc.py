"""The mean of the AUCs of the folds, and its interval."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mri_stages.evaluation.fold_auc import compute_auc_by_fold, summarise_auc_by_fold
from mri_stages.storage.predictions import Predictions

LABELS = np.arange(60) % 2
ROWS = np.arange(60)


def draw_repeat(seed: int, shift: float = 0) -> Predictions:
    """Return one row per subject, in five folds; `shift` moves the scores of each fold."""
    rng = np.random.default_rng(seed)
    folds = rng.permutation(ROWS % 5)
    p = 1 / (1 + np.exp(-rng.normal(LABELS) - shift * folds))
    probabilities = np.stack([1 - p, p], axis=1).astype(np.float32)
    return Predictions(ROWS, ROWS, LABELS, probabilities, folds)


def average_by_scikit_learn(repeat: Predictions) -> float:
    aucs = []
    for fold in range(5):
        mask = repeat.folds == fold
        aucs.append(roc_auc_score(LABELS[mask], repeat.probabilities[mask, 1]))
    return float(np.mean(aucs))


def test_auc_by_fold_equals_scikit_learn() -> None:
    repeats = [draw_repeat(0), draw_repeat(1)]
    expected = np.mean([average_by_scikit_learn(repeat) for repeat in repeats])
    assert compute_auc_by_fold(repeats, None) == pytest.approx(expected)
    assert compute_auc_by_fold(repeats, 0) == pytest.approx(expected)


def test_auc_by_fold_compares_no_two_folds() -> None:
    assert compute_auc_by_fold([draw_repeat(0, shift=1)], None) == compute_auc_by_fold(
        [draw_repeat(0)], None
    )


@pytest.mark.parametrize("n_repeats", [1, 3])
def test_auc_by_fold_lies_in_its_interval(n_repeats: int) -> None:
    update = summarise_auc_by_fold([draw_repeat(seed) for seed in range(n_repeats)], None)
    assert 0 < update["auc_by_fold_low"] < update["auc_by_fold"] < update["auc_by_fold_high"] < 1


def test_auc_by_fold_of_parted_classes_has_the_exact_interval() -> None:
    parted = np.stack([1 - LABELS, LABELS], axis=1).astype(np.float32)
    update = summarise_auc_by_fold([draw_repeat(0)._replace(probabilities=parted)], None)
    assert update["auc_by_fold"] == update["auc_by_fold_high"] == 1
    assert 0.8 < update["auc_by_fold_low"] < 1

    wrong = summarise_auc_by_fold([draw_repeat(0)._replace(probabilities=1 - parted)], None)
    assert wrong["auc_by_fold"] == wrong["auc_by_fold_low"] == 0
    assert wrong["auc_by_fold_high"] == pytest.approx(1 - update["auc_by_fold_low"])


def test_auc_by_fold_of_several_repeats_draws_subjects_from_all_folds() -> None:
    """Drawn within folds, equal repeats would have the interval of one."""
    repeat = draw_repeat(0)
    one = summarise_auc_by_fold([repeat], None)
    three = summarise_auc_by_fold([repeat] * 3, None)
    assert three["auc_by_fold"] == pytest.approx(one["auc_by_fold"])
    assert three["auc_by_fold_low"] != pytest.approx(one["auc_by_fold_low"])


def test_auc_by_fold_names_a_fold_of_one_class() -> None:
    repeat = draw_repeat(0)
    folds = np.where(ROWS < 40, ROWS // 20, 2 + LABELS)
    uneven = repeat._replace(folds=folds)
    assert summarise_auc_by_fold([uneven], 0)["unscored_folds"] == "2, 3"
    assert summarise_auc_by_fold([repeat, uneven], 0)["unscored_folds"] == "1.2, 1.3"


def test_auc_by_fold_leaves_out_a_class_of_one_fold() -> None:
    labels = np.where(ROWS == 0, 2, LABELS)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 60).astype(np.float32)
    repeat = draw_repeat(0)._replace(labels=labels, probabilities=probabilities)
    other = probabilities.copy()
    other[0] = probabilities[0, [2, 1, 0]]
    before = compute_auc_by_fold([repeat], None)
    # The rest of a fold holds row 0: only its score of the third class is free.
    other[0, :2] = probabilities[0, :2]
    assert compute_auc_by_fold([repeat._replace(probabilities=other)], None) == before


def test_auc_by_fold_needs_folds_and_numbers() -> None:
    repeat = draw_repeat(0)
    diverged = np.full((60, 2), np.nan, np.float32)
    assert summarise_auc_by_fold([repeat._replace(folds=None)], None) == {}
    assert summarise_auc_by_fold([repeat._replace(probabilities=diverged)], None) == {}

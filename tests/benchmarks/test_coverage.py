"""The interval of an AUC covers the truth about as often as it says, in some simulated sets."""

import numpy as np
import pytest

from benchmarks.coverage import (
    LABELS,
    N_SUBJECTS,
    Trial,
    compute_coverage,
    simulate_scores,
    simulate_training,
)

N_SETS = 40


def test_coverage_is_the_share_of_intervals_around_the_truth() -> None:
    trials = [Trial(0.7, 0.8, 0.75), Trial(0.7, 0.8, 0.81), Trial(0.7, 0.8, 0.7)]
    assert compute_coverage(trials) == pytest.approx(2 / 3)


def test_simulated_labels_are_of_two_equal_classes() -> None:
    assert np.bincount(LABELS).tolist() == [N_SUBJECTS / 2] * 2


@pytest.mark.slow
def test_interval_of_known_scores_covers_the_truth() -> None:
    trials = [simulate_scores(seed) for seed in range(N_SETS)]
    assert 0.87 <= compute_coverage(trials) <= 1
    # It is no wider than it has to be.
    assert np.mean([trial.high - trial.low for trial in trials]) < 0.2


@pytest.mark.slow
def test_interval_of_trainings_covers_the_truth_mostly() -> None:
    trainings = [simulate_training(seed) for seed in range(N_SETS // 4)]
    assert compute_coverage([training.all_repeats for training in trainings]) >= 0.7

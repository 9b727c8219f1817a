"""Count how often the 95 % interval of an AUC covers the truth: `python -m benchmarks.coverage`.

Each data set is simulated, so its true AUC is known in a closed form. It takes some minutes.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from mri_stages.console import show_progress
from mri_stages.evaluation.roc_auc import compute_auc_interval
from mri_stages.storage.predictions import Predictions

N_SETS = 500
N_SUBJECTS = 200
N_FOLDS = 5
N_REPEATS = 5
NEGATIVE_LABEL = 0

# Known scores: normal, in both classes. A repeat's AUC deviates by 0.03, a subject's score by 0.5.
MEAN_DIFFERENCE = 1.1  # of the classes, in deviations of a subject's own score
REPEAT_DEVIATION = 0.15  # of that difference
NOISE_DEVIATION = 0.5  # of a subject's score in one repeat

# Logistic regression: normal features of deviation 1, whose means differ in some.
N_FEATURES = 20
N_TELLING_FEATURES = 4
FEATURE_DIFFERENCE = 0.6  # of the classes, in each telling feature

LABELS = np.arange(N_SUBJECTS) % 2

Floats = NDArray[np.float64]
T = TypeVar("T")


class Trial(NamedTuple):
    """Intervals and truth of one data set."""

    low: float
    high: float
    truth: float


class Training(NamedTuple):
    """The trials of a cross-validated logistic regression. The truth is that of its trainings."""

    one_repeat: Trial
    all_repeats: Trial


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--sets", type=int, default=N_SETS, help="simulated data sets of each kind")
    n_sets = parser.parse_args().sets

    trials = run_trials(simulate_scores, n_sets, "known scores")
    show_coverage(f"known scores, {N_REPEATS} repeats", trials)

    trainings = run_trials(simulate_training, n_sets, "logistic regression")
    for name, own in (
        ("1 repeat", [training.one_repeat for training in trainings]),
        (f"{N_REPEATS} repeats", [training.all_repeats for training in trainings]),
    ):
        recipe = float(np.mean([trial.truth for trial in own]))
        any_sample = [trial._replace(truth=recipe) for trial in own]
        show_coverage(f"logistic regression, {name}, AUC of its own trainings", own)
        show_coverage(f"logistic regression, {name}, mean AUC of the recipe", any_sample)


def run_trials(simulate: Callable[[int], T], n_sets: int, label: str) -> list[T]:
    """Return the trial of each seed, on all cores."""
    trials = []
    with ProcessPoolExecutor(os.cpu_count()) as pool, show_progress(n_sets, label, "set") as step:
        for trial in pool.map(simulate, range(n_sets)):
            trials.append(trial)
            step(1)
    return trials


def show_coverage(name: str, trials: Sequence[Trial]) -> None:
    share = compute_coverage(trials)
    deviation = (share * (1 - share) / len(trials)) ** 0.5
    truth = np.mean([trial.truth for trial in trials])
    width = np.mean([trial.high - trial.low for trial in trials])
    print(
        f"{name}: covered {share:.1%} of {len(trials)} (standard error {deviation:.1%}), "
        f"true AUC {truth:.3f}, mean width {width:.3f}"
    )


def compute_coverage(trials: Sequence[Trial]) -> float:
    """Return the share of trials whose interval covers the truth."""
    return float(np.mean([trial.low <= trial.truth <= trial.high for trial in trials]))


def simulate_scores(seed: int) -> Trial:
    """Return the trial of scores with a known AUC, which differs from repeat to repeat.

    The truth is its mean over all repeats that there could be.
    """
    rng = np.random.default_rng(seed)
    own_scores = rng.normal(size=N_SUBJECTS)
    differences = MEAN_DIFFERENCE + REPEAT_DEVIATION * rng.normal(size=N_REPEATS)
    noise = NOISE_DEVIATION * rng.normal(size=(N_REPEATS, N_SUBJECTS))
    scores = own_scores + differences[:, None] * LABELS + noise

    # The difference of a positive and a negative score is normal.
    variance = 2 * (1 + NOISE_DEVIATION**2) + REPEAT_DEVIATION**2
    truth = float(norm.cdf(MEAN_DIFFERENCE / variance**0.5))
    return build_trial(expit(scores), truth)


def build_trial(probabilities: Floats, truth: float) -> Trial:
    """Return the trial of the probabilities (R, S) of the positive class in each repeat."""
    numbers = np.arange(N_SUBJECTS)
    repeats = []
    for p in probabilities:
        both = np.stack([1 - p, p], axis=1).astype(np.float32)
        repeats.append(Predictions(numbers, numbers, LABELS, both))
    interval = compute_auc_interval(repeats, NEGATIVE_LABEL)
    return Trial(interval.low, interval.high, truth)


def simulate_training(seed: int) -> Training:
    """Return the trials of a logistic regression, cross-validated as the stage does.

    The truth is the mean AUC of its trainings on an infinite sample of new subjects.
    """
    rng = np.random.default_rng(seed)
    differences = np.zeros(N_FEATURES)
    differences[:N_TELLING_FEATURES] = FEATURE_DIFFERENCE
    features = rng.normal(size=(N_SUBJECTS, N_FEATURES)) + LABELS[:, None] * differences

    probabilities = np.empty((N_REPEATS, N_SUBJECTS))
    aucs = np.empty((N_REPEATS, N_FOLDS))
    with threadpool_limits(1):
        for repeat in range(N_REPEATS):
            fold_seed = seed * N_REPEATS + repeat
            splitter = StratifiedKFold(N_FOLDS, shuffle=True, random_state=fold_seed)
            for fold, (train, test) in enumerate(splitter.split(features, LABELS)):
                model = LogisticRegression(tol=1e-8).fit(features[train], LABELS[train])
                probabilities[repeat, test] = model.predict_proba(features[test])[:, 1]
                # Its scores of a class are normal, since the features are.
                weights = model.coef_[0]
                distance = weights @ differences / np.linalg.norm(weights)
                aucs[repeat, fold] = norm.cdf(distance / 2**0.5)
    return Training(
        build_trial(probabilities[:1], float(aucs[0].mean())),
        build_trial(probabilities, float(aucs.mean())),
    )


if __name__ == "__main__":
    main()

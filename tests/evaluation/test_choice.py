"""The choice inside the folds, by plain predictions, and where there is nothing to choose."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from mri_stages.baselines.nearest_neighbours import find_nearest_neighbours
from mri_stages.baselines.new_subjects import (
    NewPredictions,
    build_task,
    predict_by_brightness,
    predict_nearest_neighbour,
)
from mri_stages.config.schema import Params
from mri_stages.evaluation.choice import (
    Candidate,
    choose_models,
    compute_inner_auc,
    join_best_predictions,
    list_choices,
)
from mri_stages.evaluation.fold_auc import compute_auc_by_fold, summarise_auc_by_fold
from mri_stages.preprocessing.folds import assign_folds_of_repeats
from mri_stages.preprocessing.nested_folds import assign_inner_folds
from mri_stages.storage.choices import Choice
from mri_stages.storage.dataset import AllRows, Info
from mri_stages.storage.inner_predictions import OuterFold
from mri_stages.storage.neighbours import NeighbourTable, name_subject_folds
from mri_stages.storage.predictions import Predictions, average_repeats_by_subject
from stages.cross_validate import Repeat, list_inner_tasks, predict_inner, predict_repeat
from stages.neighbours import list_inner_groupings
from tests.helpers.params import apply_changes, default_params

# Eight subjects of one row, in two folds; of the second repeat, they are other folds.
LABELS = np.arange(8) % 2
FOLDS = [np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([1, 1, 0, 0, 1, 1, 0, 0])]
PLACES = [OuterFold(0, 0), OuterFold(0, 1)]

# The probability of the second class for each label, and its AUC.
RIGHT = (0.2, 0.9)  # 1
WRONG = (0.9, 0.2)  # 0
EQUAL = (0.5, 0.5)  # 0.5
UNKNOWN = (np.nan, np.nan)  # none

N_SUBJECTS = 40
SLICES = 2
SHAPE = (1, 6, 6)
CLASSES = ["a", "b"]
LEARNING_RATES = {"slow": 0.01, "quick": 0.1, "hasty": 0.3}  # of one tiny network
PERMUTATIONS = range(5)  # seeds
PARAMS = Params.model_validate(
    apply_changes(
        default_params(),
        {
            "cross_validation.folds": 4,
            "cross_validation.inner_folds": 3,
            "models.small.batch_size": 8,
        },
    )
)


class Scores(NamedTuple):
    """Of one permutation, the AUC by fold and its interval."""

    chosen: dict[str, Any]  # of the choice inside the folds
    best: dict[str, Any]  # of the candidate that looks best afterwards


def permute_labels(seed: int) -> AllRows:
    """Return the same images for each seed, with other labels of the subjects."""
    rng = np.random.default_rng(0)
    n_values = int(np.prod(SHAPE))
    subjects = np.repeat(np.arange(N_SUBJECTS), SLICES)
    images = rng.normal(128, 30, (N_SUBJECTS, n_values))[subjects]
    images += rng.normal(0, 15, images.shape)
    pixels = images.clip(0, 255).astype(np.uint8)
    labels = np.random.default_rng(seed).permutation(np.arange(N_SUBJECTS) % 2)[subjects]
    n_train = len(pixels) // 2
    return AllRows([pixels[:n_train], pixels[n_train:]], labels, subjects)


def predict_candidates(rows: AllRows, folder: Path) -> dict[str, Candidate]:
    """Return two baselines and three networks, on the folds and on the inner folds."""
    options = PARAMS.cross_validation
    folds = assign_folds_of_repeats(rows, SHAPE, options)
    inner_folds = assign_inner_folds(rows, SHAPE, folds, options)
    task = build_task(rows, folds, len(CLASSES), None, inner_folds)
    predictions = {
        "brightness": predict_by_brightness(task),
        "nearest_neighbour": predict_nearest_neighbour(task, find_neighbours(rows, folds)),
    }

    info = Info(image_shape=SHAPE, classes=CLASSES, counts={})
    repeat = Repeat(0, 1, folds[0], options.seed)
    tasks = list_inner_tasks(repeat, inner_folds[0])
    for name, lr in LEARNING_RATES.items():
        model = PARAMS.models["small"].model_copy(update={"lr": lr})
        outer = predict_repeat(model, info, rows, repeat, folder / name)
        inner = predict_inner(model, info, rows, tasks, folder / name)
        predictions[name] = NewPredictions(outer, inner)
    return {
        name: Candidate(average_repeats_by_subject(outer), inner)
        for name, (outer, inner) in predictions.items()
    }


def find_neighbours(rows: AllRows, folds: Sequence[NDArray[np.int64]]) -> NeighbourTable:
    options = PARAMS.cross_validation
    groupings = {name_subject_folds(0): folds[0]}
    groupings |= list_inner_groupings(rows, SHAPE, folds, options)
    by_grouping = find_nearest_neighbours(
        np.concatenate(rows.parts), groupings, reference=name_subject_folds(0)
    )
    return NeighbourTable(np.arange(len(rows.labels)), by_grouping)


def score_permutation(seed: int, folder: Path) -> Scores:
    candidates = predict_candidates(permute_labels(seed), folder)
    best_names = choose_models(candidates, None)
    chosen = summarise_auc_by_fold(join_best_predictions(candidates, best_names), None)
    best = max(
        (candidate.repeats for candidate in candidates.values()),
        key=lambda repeats: compute_auc_by_fold(repeats, None) or 0,
    )
    return Scores(chosen, summarise_auc_by_fold(best, None))


def predict(p: tuple[float, float], folds: NDArray[np.int64]) -> Predictions:
    """Return predictions of as many subjects as folds, of which the labels alternate."""
    labels = LABELS[: len(folds)]
    positive = np.array(p, np.float32)[labels]
    rows = np.arange(len(folds))
    return Predictions(rows, rows, labels, np.stack([1 - positive, positive], axis=1), folds)


def make_candidate(*inner: tuple[float, float], outer: tuple[float, float] = EQUAL) -> Candidate:
    """Return a candidate with these inner predictions for the first folds of the first repeat."""
    places = PLACES[: len(inner)]
    inner_folds = np.array([0, 0, 1, 1])
    return Candidate(
        repeats=[predict(outer, folds) for folds in FOLDS],
        inner={place: predict(p, inner_folds) for place, p in zip(places, inner, strict=True)},
    )


def test_choose_models_takes_the_best_of_each_fold() -> None:
    candidates = {"a": make_candidate(RIGHT, WRONG), "b": make_candidate(EQUAL, EQUAL)}
    assert choose_models(candidates, None) == {PLACES[0]: "a", PLACES[1]: "b"}


def test_choose_models_of_equal_ones_takes_the_first() -> None:
    candidates = {"b": make_candidate(RIGHT), "a": make_candidate(RIGHT)}
    assert choose_models(candidates, None) == {PLACES[0]: "b"}


def test_choose_models_takes_one_with_a_score_before_one_without() -> None:
    candidates = {"a": make_candidate(UNKNOWN), "b": make_candidate(), "c": make_candidate(WRONG)}
    assert choose_models(candidates, None) == {PLACES[0]: "c"}


def test_choose_models_without_a_score_chooses_none() -> None:
    assert choose_models({"a": make_candidate(UNKNOWN)}, None) == {PLACES[0]: ""}


def test_inner_auc_counts_each_subject_once() -> None:
    """By rows, the last subject's three rows would make the AUC lower than 1."""
    subjects = np.array([0, 1, 2, 2, 2, 3, 4, 5, 5, 5])
    positive = np.array([0.4, 0.3, 0.3, 0.3, 1] * 2, np.float32)
    predictions = Predictions(
        rows=np.arange(10),
        subjects=subjects,
        labels=(subjects % 3 == 2).astype(np.int64),
        probabilities=np.stack([1 - positive, positive], axis=1),
        folds=np.repeat([0, 1], 5),
        repeats=np.repeat([3, 4], 5),
    )
    candidate = Candidate([], {PLACES[0]: predictions})
    assert compute_inner_auc(candidate, PLACES[0], None) == 1
    assert compute_inner_auc(candidate, PLACES[1], None) is None


def test_join_best_predictions_takes_each_fold_of_its_model() -> None:
    candidates = {"a": make_candidate(outer=RIGHT), "b": make_candidate(outer=WRONG)}
    best_names = {
        OuterFold(0, 0): "a",
        OuterFold(0, 1): "b",
        OuterFold(1, 0): "b",
        OuterFold(1, 1): "a",
    }
    joined = join_best_predictions(candidates, best_names)
    right_rows = [FOLDS[0] == 0, FOLDS[1] == 1]
    for predictions, right_mask, folds in zip(joined, right_rows, FOLDS, strict=True):
        expected = np.where(right_mask, np.array(RIGHT)[LABELS], np.array(WRONG)[LABELS])
        np.testing.assert_allclose(predictions.probabilities[:, 1], expected, rtol=1e-6)
        np.testing.assert_array_equal(predictions.folds, folds)
    assert candidates["a"].repeats[0].probabilities[7, 1] == np.float32(RIGHT[1])


def test_list_choices_has_the_auc_of_the_outer_fold() -> None:
    candidate = make_candidate(outer=RIGHT)
    repeat = candidate.repeats[1]
    one_class = repeat._replace(labels=np.where(FOLDS[1] == 1, 1, LABELS))
    candidates = {"a": candidate._replace(repeats=[candidate.repeats[0], one_class])}
    candidates["b"] = make_candidate(outer=WRONG)
    best_names = {OuterFold(0, 0): "a", OuterFold(0, 1): "b", OuterFold(1, 1): "a"}
    assert list_choices(candidates, best_names, None) == [
        Choice(0, 0, "a", 1),
        Choice(0, 1, "b", 0),
        Choice(1, 1, "a", None),
    ]


@pytest.mark.slow
def test_choice_inside_the_folds_finds_nothing_in_permuted_labels(tmp_path: Path) -> None:
    all_scores = [score_permutation(seed, tmp_path / str(seed)) for seed in PERMUTATIONS]
    assert all(scores.chosen["auc_by_fold_low"] <= 0.5 for scores in all_scores)
    n_chosen_above = sum(scores.chosen["auc_by_fold"] > 0.5 for scores in all_scores)
    n_best_above = sum(scores.best["auc_by_fold"] > 0.5 for scores in all_scores)
    assert n_best_above > n_chosen_above

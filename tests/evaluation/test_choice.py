"""The choice inside the folds, where there is nothing to choose: on labels that were permuted."""

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
from mri_stages.evaluation.choice import Candidate, choose_models, join_best_predictions
from mri_stages.evaluation.fold_auc import compute_auc_by_fold, summarise_auc_by_fold
from mri_stages.preprocessing.folds import assign_folds_of_repeats
from mri_stages.preprocessing.nested_folds import assign_inner_folds
from mri_stages.storage.dataset import AllRows, Info
from mri_stages.storage.neighbours import NeighbourTable, name_subject_folds
from mri_stages.storage.predictions import average_repeats_by_subject
from stages.cross_validate import Repeat, list_inner_tasks, predict_inner, predict_repeat
from stages.neighbours import list_inner_groupings
from tests.helpers.params import apply_changes, default_params

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


@pytest.mark.slow
def test_choice_inside_the_folds_finds_nothing_in_permuted_labels(tmp_path: Path) -> None:
    all_scores = [score_permutation(seed, tmp_path / str(seed)) for seed in PERMUTATIONS]
    assert all(scores.chosen["auc_by_fold_low"] <= 0.5 for scores in all_scores)
    n_chosen_above = sum(scores.chosen["auc_by_fold"] > 0.5 for scores in all_scores)
    n_best_above = sum(scores.best["auc_by_fold"] > 0.5 for scores in all_scores)
    assert n_best_above > n_chosen_above

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mri_stages.console import print_once
from mri_stages.errors import InputError
from mri_stages.storage.history import Epoch
from mri_stages.training.optimization import compute_weighted_cross_entropy
from mri_stages.training.validation import (
    choose_validation_rows,
    count_epochs_since_best,
    score_validation_rows,
)
from tests.helpers.networks import Views
from tests.helpers.plain_training import make_recipe

CLASSES = ["a", "b", "c", "d"]

# 40 subjects of 3 rows, in random order; class c has one subject.
ORDER = np.random.default_rng(0).permutation(120)
SUBJECTS = np.repeat(np.arange(40), 3)[ORDER]
LABELS = np.where(SUBJECTS < 30, 0, np.where(SUBJECTS < 39, 1, 2))


def choose_rows(validation: float, seed: int = 4) -> NDArray[np.bool_]:
    recipe = make_recipe(validation=validation, seed=seed)
    mask = choose_validation_rows(recipe, LABELS, SUBJECTS, CLASSES)
    assert mask is not None
    return mask


def test_choose_validation_rows_takes_whole_subjects() -> None:
    mask = choose_rows(0.2)
    assert not {*SUBJECTS[mask]} & {*SUBJECTS[~mask]}


def test_choose_validation_rows_takes_a_share_of_each_class() -> None:
    mask = choose_rows(0.2)
    n_subjects = [len(np.unique(SUBJECTS[mask & (label == LABELS)])) for label in range(3)]
    assert n_subjects == [6, 2, 0]


def test_choose_validation_rows_leaves_one_subject_to_train_on() -> None:
    labels = np.array([0, 0, 1, 1])
    mask = choose_validation_rows(make_recipe(validation=0.9), labels, np.arange(4), CLASSES)
    assert mask is not None
    assert [mask[labels == label].sum() for label in (0, 1)] == [1, 1]


def test_choose_validation_rows_depends_on_the_seed() -> None:
    assert not np.array_equal(choose_rows(0.2, seed=0), choose_rows(0.2, seed=1))


def test_choose_validation_rows_without_ids_takes_rows() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    mask = choose_validation_rows(make_recipe(validation=0.5), labels, None, CLASSES)
    assert mask is not None
    assert [mask[labels == label].sum() for label in (0, 1)] == [2, 1]


def test_choose_validation_rows_is_none_without_validation() -> None:
    assert choose_validation_rows(make_recipe(), LABELS, SUBJECTS, CLASSES) is None


def test_choose_validation_rows_refuses_a_share_of_no_row() -> None:
    recipe = make_recipe(validation=0.1)
    with pytest.raises(InputError, match=r"validation is 0\.1"):
        choose_validation_rows(recipe, np.array([0, 0, 1, 1]), None, CLASSES)


def test_choose_validation_rows_names_a_class_without_any(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_once.cache_clear()
    choose_rows(0.2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert " c " in lines[0]


def test_score_validation_rows_scores_only_them() -> None:
    torch.manual_seed(0)
    network = Views().train()
    images = torch.randn(150, 3, 2, 2)
    labels = torch.arange(150) % 3
    indices = torch.arange(5, 150, 2)
    weights = torch.tensor([1.0, 2.0, 3.0])
    loss, accuracy = score_validation_rows(
        network, images, labels, indices, weights, compute_weighted_cross_entropy
    )

    with torch.no_grad():
        logits = network.eval()(images[indices])
    expected = nn.functional.cross_entropy(logits, labels[indices], weights)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert accuracy == (logits.argmax(1) == labels[indices]).double().mean()


def make_history(*losses: float | None) -> list[Epoch]:
    return [Epoch(i, 0.0, 0.0, 0.0, loss, 0.5) for i, loss in enumerate(losses, start=1)]


HISTORIES = [
    (make_history(3.0, 1.0, 2.0), 1),
    (make_history(1.0, 1.0), 1),  # since the first of equal losses
    (make_history(math.nan, 5.0, math.inf), 1),
    (make_history(2.0, 1.0), 0),
    (make_history(math.nan, math.inf), 2),
    (make_history(None, None), 2),
]


@pytest.mark.parametrize(("history", "since"), HISTORIES)
def test_count_epochs_since_best(history: list[Epoch], since: int) -> None:
    assert count_epochs_since_best(history) == since

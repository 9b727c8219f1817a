from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from mri_stages.training.optimization import (
    compute_class_weights,
    compute_weighted_cross_entropy,
    is_plain_sgd,
    make_schedule,
)
from tests.helpers.plain_training import make_recipe

LABELS = torch.tensor([0, 0, 0, 1, 1, 3])
BALANCED = make_recipe(class_weights="balanced")


def test_compute_class_weights_equals_scikit_learn() -> None:
    weights = compute_class_weights(BALANCED, LABELS, n_classes=4)
    assert weights is not None
    classes = np.array([0, 1, 3])
    expected = compute_class_weight("balanced", classes=classes, y=LABELS.numpy())
    np.testing.assert_allclose(weights[classes], expected, rtol=1e-6)


def test_compute_class_weights_of_an_absent_class_is_finite() -> None:
    weights = compute_class_weights(BALANCED, LABELS, n_classes=5)
    assert weights is not None
    assert weights.shape == (5,)
    assert weights.isfinite().all()


def test_compute_class_weights_is_none_by_default() -> None:
    assert compute_class_weights(make_recipe(), LABELS, n_classes=4) is None


def test_weighted_cross_entropy_equals_pytorch() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    expected = nn.functional.cross_entropy(logits, LABELS, weights)
    torch.testing.assert_close(compute_weighted_cross_entropy(logits, LABELS, weights), expected)


def test_weighted_cross_entropy_without_weights_is_the_mean() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.cross_entropy(logits, LABELS)
    torch.testing.assert_close(compute_weighted_cross_entropy(logits, LABELS, None), expected)


def test_is_plain_sgd_of_the_default() -> None:
    assert is_plain_sgd(make_recipe())


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adam"},
        {"momentum": 0.1},
        {"weight_decay": 0.1},
        {"schedule": "cosine"},
        {"warmup_epochs": 1},
        {"loss": "own"},
        {"augment": {"shift": 0, "flip": False}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_is_plain_sgd_is_false_after_a_change(changes: dict[str, object]) -> None:
    assert not is_plain_sgd(make_recipe(**changes))


def test_weighted_cross_entropy_smooths_labels_as_pytorch() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.cross_entropy(logits, LABELS, label_smoothing=0.3)
    for class_weights in (None, torch.ones(4)):
        loss = compute_weighted_cross_entropy(logits, LABELS, class_weights, label_smoothing=0.3)
        torch.testing.assert_close(loss, expected)


def list_rates(n_steps: int, **changes: Any) -> list[float]:
    """Return the learning rate of each step, in shares of `lr`."""
    recipe = make_recipe(**changes)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    schedule = make_schedule(recipe, optimizer, n_steps)
    assert schedule is not None
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"] / recipe.lr)
        optimizer.step()
        schedule.step()
    return rates


def test_make_schedule_warms_up_linearly() -> None:
    rates = list_rates(6, epochs=3, warmup_epochs=2)
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_make_schedule_begins_cosine_after_the_warm_up() -> None:
    rates = list_rates(8, epochs=4, warmup_epochs=2, schedule="cosine")
    assert rates[4:] == pytest.approx(list_rates(4, epochs=4, schedule="cosine"))


def test_make_schedule_ends_at_0() -> None:
    recipe = make_recipe(schedule="cosine")
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=recipe.lr)
    schedule = make_schedule(recipe, optimizer, n_steps=4)
    assert schedule is not None
    for _ in range(4):
        optimizer.step()
        schedule.step()
    assert schedule.get_last_lr() == [0]

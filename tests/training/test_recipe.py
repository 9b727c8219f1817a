"""Each option of a recipe, and the pairs that interact, against a plain PyTorch loop."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.networks import plain_training, recipe
from tests.training.test_loop import ROWS, assert_same_state, fresh, rows
from torch import nn

from mri_stages.config.schema import Augment
from mri_stages.errors import InputError
from mri_stages.training.augmentation import augmented
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.loop import train
from mri_stages.training.validation import choose_validation_rows

NAMES = ["a", "b", "c", "d"]
AUGMENT = {"augment": {"shift": 3, "flip": True}}
RECIPES: dict[str, dict[str, Any]] = {
    "momentum": {"momentum": 0.9},
    "weight decay": {"weight_decay": 0.1},
    "momentum, weight decay, cosine": {"momentum": 0.9, "weight_decay": 0.1, "schedule": "cosine"},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adam, weight decay": {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.1},
    "adamw, weight decay, cosine": {
        "optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine"},
    "cosine": {"schedule": "cosine"},
    "class weights": {"class_weights": "balanced"},
    "class weights, validation": {"class_weights": "balanced", "validation": 0.3},
    "shift": {"augment": {"shift": 2, "flip": False}},
    "flip": {"augment": {"shift": 0, "flip": True}},
    "augmentation, shuffle": {**AUGMENT, "shuffle": True},
    "validation": {"validation": 0.3},
    "shuffle": {"shuffle": True},
    "validation, shuffle": {"validation": 0.3, "shuffle": True},
    "validation that gets worse": {"validation": 0.3, "lr": 3.0},
    "all": {
        "optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine",
        "class_weights": "balanced", **AUGMENT, "shuffle": True, "validation": 0.3},
}  # fmt: skip


@pytest.mark.parametrize("name", ["no_bias", "batchnorm_dropout"])  # folded where it can be
@pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
def test_train_with_a_recipe_equals_a_plain_loop_also_when_resumed(
    tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    x, y = rows()
    r = recipe(**{"lr": 0.1, "batch_size": 5, "epochs": 3, "seed": 4, **changes})
    chosen = choose_validation_rows(r, y.numpy(), None, NAMES)
    held_out = None if chosen is None else torch.from_numpy(chosen)
    expected = fresh(name)  # right before its training: dropout draws from the same generator
    plain = plain_training(expected, x, y, r, held_out)
    ours = fresh(name)
    history = train(ours, x, y, r, held_out=held_out)
    np.testing.assert_allclose(np.array(history, float), np.array(plain, float), rtol=1e-4)
    assert_same_state(ours, expected)

    for _ in range(2):  # the second resumes from the last checkpoint, after two epochs of three
        resumed, checkpoint = fresh(name), Checkpoint(tmp_path / "checkpoint", seconds=0)
        again = train(resumed, x, y, r, checkpoint=checkpoint, held_out=held_out)
    assert again == history
    assert_same_state(resumed, ours, rtol=0, atol=0)


HELD_OUT = torch.arange(ROWS) % 3 == 0


def test_validation_keeps_the_best_epoch_and_patience_ends_the_training() -> None:
    x, y = rows()
    r = recipe(lr=0.5, epochs=12, validation=0.3)
    losses: list[Any] = [
        e.validation_loss for e in train(fresh("resnet"), x, y, r, held_out=HELD_OUT)
    ]
    waits = [i - int(np.argmin(losses[: i + 1])) for i in range(12)]
    end = waits.index(2)
    assert 3 < end < 11  # else the seeds prove nothing
    kept, at_best = fresh("resnet"), fresh("resnet")
    patient = r.model_copy(update={"patience": 2})
    assert len(train(kept, x, y, patient, held_out=HELD_OUT)) == end + 1
    shorter = r.model_copy(update={"epochs": end - 1})
    train(at_best, x, y, shorter, held_out=HELD_OUT)
    assert_same_state(kept, at_best, rtol=0, atol=0)


class Breaking(nn.Module):
    """A network that learns for seven steps, and then gives NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.steps = nn.Linear(864, 4).double(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += self.training
        logits: torch.Tensor = self.linear(x.flatten(1))
        return logits * (torch.nan if self.steps > 7 else 1)


def test_validation_keeps_the_best_weights_of_a_run_that_diverges_later() -> None:
    x, y = rows()
    network = Breaking()
    history = train(network, x, y, recipe(epochs=9, validation=0.3), held_out=HELD_OUT)
    assert [math.isnan(epoch.train_loss) for epoch in history] == [False, False, True]
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    without = Breaking()
    train(without, x, y, recipe(epochs=9))
    assert all(parameter.isnan().all() for parameter in without.parameters())


def test_augmented_moves_each_image_on_its_own_and_keeps_its_values() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.arange(2 * 6 * 7.0).view(1, 2, 6, 7).repeat(200, 1, 1, 1)
    found = augmented(images, Augment(shift=1, flip=True), generator)
    kinds = {tuple(image.flatten().tolist()) for image in found}
    assert len(kinds) == 3 * 3 * 2
    assert augmented(images, Augment(shift=0, flip=False), generator).equal(images)


def test_validation_rows_are_a_share_of_the_subjects_of_each_class() -> None:
    subjects = np.repeat(np.arange(40), 3)
    labels = np.where(subjects < 30, 0, np.where(subjects < 39, 1, 2))  # class 2: one subject
    order = np.random.default_rng(0).permutation(len(labels))
    chosen = choose_validation_rows(recipe(validation=0.2), labels[order], subjects[order], NAMES)
    assert chosen is not None
    held_out = {*subjects[order][chosen].tolist()}
    assert not held_out & {*subjects[order][~chosen].tolist()}
    assert [sum(labels[3 * s] == k for s in held_out) for k in range(3)] == [6, 2, 0]
    other = choose_validation_rows(
        recipe(validation=0.2, seed=1), labels[order], subjects[order], NAMES
    )
    assert other is not None
    assert not np.array_equal(chosen, other)
    by_row = choose_validation_rows(
        recipe(validation=0.5), np.array([0, 0, 0, 0, 1, 1]), None, NAMES
    )
    assert by_row is not None
    assert by_row.sum() == 3
    assert choose_validation_rows(recipe(), labels, subjects, NAMES) is None
    with pytest.raises(InputError, match="validation"):
        choose_validation_rows(recipe(validation=0.1), np.array([0, 0, 1, 1]), None, NAMES)


def test_train_balances_classes_where_the_last_one_is_only_held_out() -> None:
    y = torch.tensor([0, 0, 1, 2])
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    r = recipe(class_weights="balanced", validation=0.2, epochs=1, batch_size=2)
    (epoch,) = train(network, torch.ones(4, 1, 2, 2), y, r, held_out=y == 2)
    assert epoch.validation_loss is not None


def test_train_refuses_a_shift_out_of_the_image() -> None:
    r = recipe(augment={"shift": 2, "flip": False})
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(InputError, match=r"augment\.shift"):
        train(network, torch.ones(4, 1, 3, 2), torch.tensor([0, 1, 0, 1]), r)

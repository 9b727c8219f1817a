"""The training loop against a plain PyTorch loop over batches of rows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mri_stages.console import listen_to_progress
from mri_stages.errors import InputError
from mri_stages.models import make_network
from mri_stages.storage.history import Epoch
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.device import has_gpu, set_up_device
from mri_stages.training.loop import TrainingRun, train
from mri_stages.training.validation import choose_validation_rows
from tests.helpers.networks import ZOO
from tests.helpers.plain_training import (
    N_ROWS,
    assert_same_state,
    make_recipe,
    make_rows,
    make_zoo_network,
    train_plainly,
)

CLASSES = ["a", "b", "c", "d"]
VALIDATION_MASK = torch.arange(N_ROWS) % 3 == 0
AUGMENT = {"augment": {"shift": 3, "flip": True}}
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
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
    "rotation": {"augment": {"rotation": 30}},
    "brightness": {"augment": {"brightness": 0.5}},
    "contrast": {"augment": {"contrast": 0.5}},
    "all built-in augmentation": {
        "augment": {"shift": 2, "flip": True, "rotation": 30, "brightness": 0.2, "contrast": 0.2}},
    "own augmentation": {"augment": "own", "shuffle": True},
    "own loss": {"loss": "own"},
    "own loss, class weights, validation": {
        "loss": "own", "class_weights": "balanced", "validation": 0.3},
    "label smoothing": {"label_smoothing": 0.3},
    "label smoothing, class weights, validation": {
        "label_smoothing": 0.3, "class_weights": "balanced", "validation": 0.3},
    "warm-up": {"warmup_epochs": 2},
    "warm-up, cosine": {"warmup_epochs": 1, "schedule": "cosine"},
    "validation": {"validation": 0.3},
    "shuffle": {"shuffle": True},
    "validation, shuffle": {"validation": 0.3, "shuffle": True},
    "validation that gets worse": {"validation": 0.3, "lr": 3.0},
    "all": {
        "optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": "cosine",
        "class_weights": "balanced", **AUGMENT, "shuffle": True, "validation": 0.3},
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("own_parts")
every_recipe = pytest.mark.parametrize("changes", RECIPES.values(), ids=RECIPES)
two_networks = pytest.mark.parametrize("name", ["no_bias", "batchnorm_dropout"])  # condensed or not


def assert_same_history(history: list[Epoch], expected: list[Epoch], rtol: float = 1e-4) -> None:
    np.testing.assert_allclose(np.array(history, float), np.array(expected, float), rtol=rtol)


def make_mask(recipe: Any, labels: torch.Tensor) -> torch.Tensor | None:
    mask = choose_validation_rows(recipe, labels.numpy(), None, CLASSES)
    return None if mask is None else torch.from_numpy(mask)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_train_equals_a_plain_loop(name: str, equal: bool, constant: bool) -> None:
    images, labels = make_rows(equal, constant)
    recipe = make_recipe(epochs=3)
    expected = make_zoo_network(name)
    expected_history = train_plainly(expected, images, labels, recipe)

    network = make_zoo_network(name)
    history = train(network, images, labels, recipe)

    assert_same_state(network, expected)
    assert_same_history(history, expected_history)


@two_networks
@every_recipe
def test_train_with_a_recipe_equals_a_plain_loop(name: str, changes: dict[str, Any]) -> None:
    images, labels = make_rows()
    recipe = make_recipe(**{"epochs": 3, **changes})
    mask = make_mask(recipe, labels)
    expected = make_zoo_network(name)
    expected_history = train_plainly(expected, images, labels, recipe, mask)

    network = make_zoo_network(name)
    history = train(network, images, labels, recipe, validation_mask=mask)

    assert_same_state(network, expected)
    assert_same_history(history, expected_history)


@pytest.mark.parametrize("name", ["no_bias", "resnet"])
@pytest.mark.parametrize("class_weights", [None, "balanced"])
def test_train_in_float32_equals_a_plain_loop(name: str, class_weights: str | None) -> None:
    images, labels = make_rows()
    images = images.float()
    recipe = make_recipe(epochs=2, lr=0.01, class_weights=class_weights)
    expected = make_zoo_network(name).float()
    expected_history = train_plainly(expected, images, labels, recipe)

    network = make_zoo_network(name).float()
    history = train(network, images, labels, recipe)

    # bf16 would be wrong by 1e-3.
    assert_same_state(network, expected, rtol=1e-4, atol=1e-5)
    assert_same_history(history, expected_history)


@two_networks
@every_recipe
def test_train_resumes_to_the_same_weights(
    tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    images, labels = make_rows()
    recipe = make_recipe(**{"epochs": 3, **changes})
    mask = make_mask(recipe, labels)
    expected = make_zoo_network(name)
    expected_history = train(expected, images, labels, recipe, validation_mask=mask)

    # No checkpoint follows the last epoch: the second run resumes after two epochs of three.
    path = tmp_path / "checkpoint"
    for _ in range(2):
        network = make_zoo_network(name)
        checkpoint = Checkpoint(path, seconds=0)
        history = train(
            network, images, labels, recipe, validation_mask=mask, checkpoint=checkpoint
        )

    assert history == expected_history
    assert_same_state(network, expected, rtol=0, atol=0)


def test_train_in_channels_last_resumes_to_the_same_weights(tmp_path: Path) -> None:
    images, labels = make_rows()
    recipe = make_recipe(epochs=2, shuffle=True, validation=0.3)
    expected = make_zoo_network("resnet")
    run = TrainingRun(expected, images, labels, recipe)
    assert run.layout == torch.channels_last
    train(expected, images, labels, recipe, validation_mask=VALIDATION_MASK)

    path = tmp_path / "checkpoint"
    for _ in range(2):
        network = make_zoo_network("resnet")
        checkpoint = Checkpoint(path, seconds=0)
        train(
            network,
            images,
            labels,
            recipe,
            validation_mask=VALIDATION_MASK,
            checkpoint=checkpoint,
        )
    assert_same_state(network, expected, rtol=0, atol=0)


def test_train_resumes_after_the_epochs_of_the_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checkpoint"
    for _ in range(2):
        capsys.readouterr()
        checkpoint = Checkpoint(path, seconds=0)
        train(make_zoo_network("no_bias"), *make_rows(), make_recipe(), checkpoint=checkpoint)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 2/2"]


def test_train_writes_no_checkpoint_after_its_last_epoch(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    recipe = make_recipe(epochs=1)
    checkpoint = Checkpoint(path, seconds=0)
    train(make_zoo_network("no_bias"), *make_rows(), recipe, checkpoint=checkpoint)
    assert not path.exists()


@pytest.mark.parametrize("name", ["no_bias", "resnet"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_train_stops_at_a_nan_loss(name: str, shuffle: bool) -> None:
    images, labels = make_rows()
    images = images.clone()
    images[12, 0, 8, 8] = torch.nan
    network = make_zoo_network(name)
    (last,) = train(network, images, labels, make_recipe(epochs=4, shuffle=shuffle))
    assert math.isnan(last.train_loss)
    assert 0 <= last.train_accuracy <= 1
    assert network.eval()(images).isnan().all()


def train_on_nan(n_rows: int) -> Epoch:
    """Train in batches of one row, of which the first is NaN; return the only epoch."""
    images = torch.ones(n_rows, 1, 2, 2)
    images[0] = torch.nan
    labels = (torch.arange(n_rows) + 3) % 4
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    (row,) = train(network, images, labels, make_recipe(epochs=2, batch_size=1))
    return row


@pytest.mark.parametrize("n_rows", [48, 52, 400])  # the loop looks for NaN every 50 steps
def test_train_counts_rows_after_a_nan_loss_as_class_0(n_rows: int) -> None:
    row = train_on_nan(n_rows)
    assert math.isnan(row.train_loss)
    assert math.isnan(row.last_batch_loss)
    assert row.train_accuracy == 0.25


class CountingNetwork(nn.Module):
    """A network that gives NaN after `n_good_steps` training steps, and counts all of them."""

    def __init__(self, n_good_steps: int) -> None:
        super().__init__()
        self.linear = nn.Linear(864, 4).double()
        self.n_good_steps = n_good_steps
        self.n_steps = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.n_steps += 1
        logits: torch.Tensor = self.linear(x.flatten(1))
        if self.n_steps > self.n_good_steps:
            logits = logits * torch.nan
        return logits


def test_train_looks_for_nan_every_50_steps() -> None:
    network = CountingNetwork(n_good_steps=0)
    images = torch.zeros(120, 3, 16, 18, dtype=torch.float64)
    train(network, images, torch.arange(120) % 4, make_recipe(batch_size=1))
    assert network.n_steps == 50


def test_train_goes_on_after_an_infinite_loss() -> None:
    network: Any = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    network[1].weight.data = torch.tensor([[3e38], [-3e38]])
    images = torch.ones(2, 1, 1, 1)
    history = train(network, images, torch.tensor([1, 1]), make_recipe(epochs=3))
    assert [epoch.train_loss for epoch in history] == [math.inf] * 3
    assert network[1].weight.isfinite().all()


def test_train_sets_overflowed_weights_to_nan() -> None:
    network: Any = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    network[1].weight.data = torch.tensor([[3e10], [-3e10]])
    images = torch.full((2, 1, 1, 1), 1e10)
    (row,) = train(network, images, torch.tensor([1, 1]), make_recipe(epochs=1, lr=1e30))
    assert math.isfinite(row.train_loss)
    assert network[1].weight.isnan().all()
    assert network[1].bias.isnan().all()


def test_train_leaves_whole_numbers_alone_after_a_divergence() -> None:
    images, labels = make_rows()
    network: Any = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(864, 4)).double()
    (row,) = train(network, images * torch.nan, labels, make_recipe())
    assert math.isnan(row.train_loss)
    assert network[0].num_batches_tracked == 5


class Stateless(nn.Identity):
    """A module whose extra state is None."""

    def get_extra_state(self) -> None:
        return None

    def set_extra_state(self, state: object) -> None:
        pass


def test_train_diverges_with_an_extra_state_of_none() -> None:
    images, labels = make_rows()
    network: Any = nn.Sequential(Stateless(), nn.Flatten(), nn.Linear(864, 4)).double()
    train(network, images * torch.nan, labels, make_recipe())
    assert network[2].weight.isnan().all()


def test_train_with_bf16_rounds_products_and_keeps_float32() -> None:
    images, labels = make_rows()
    exact = make_zoo_network("no_bias").float()
    rounded = make_zoo_network("no_bias").float()
    train(exact, images.float(), labels, make_recipe())
    train(rounded, images.float(), labels, make_recipe(precision="bf16"))
    assert_same_state(exact, rounded, rtol=0.05, atol=0.01)  # also compares the dtypes
    for parameter, expected in zip(exact.parameters(), rounded.parameters(), strict=True):
        assert not torch.equal(parameter, expected)


@pytest.mark.parametrize(("quiet", "n_lines"), [(False, 3), (True, 0)])
def test_train_prints_a_line_per_epoch_unless_quiet(
    quiet: bool, n_lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    train(make_zoo_network("no_bias"), *make_rows(), make_recipe(epochs=3), quiet=quiet)
    assert len(capsys.readouterr().out.splitlines()) == n_lines


def test_train_announces_the_losses_of_each_epoch() -> None:
    announced: list[dict[str, float]] = []
    recipe = make_recipe(epochs=2, validation=0.3)
    with listen_to_progress(lambda parts, progress: announced.append(dict(progress.losses))):
        network = make_zoo_network("no_bias")
        history = train(network, *make_rows(), recipe, validation_mask=VALIDATION_MASK)
    expected = [{"train": row.train_loss, "validation": row.validation_loss} for row in history]
    assert announced == [{}, *expected]


def test_train_frees_the_gradients() -> None:
    network = make_zoo_network("resnet")
    train(network, *make_rows(), make_recipe(epochs=1))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_train_prints_the_epoch_that_it_kept(capsys: pytest.CaptureFixture[str]) -> None:
    network = make_zoo_network("resnet")
    recipe = make_recipe(lr=0.5, epochs=6, validation=0.3)
    history = train(network, *make_rows(), recipe, validation_mask=VALIDATION_MASK)
    losses: list[Any] = [row.validation_loss for row in history]
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert f"epoch {int(np.argmin(losses)) + 1} of 6" in last_line


def test_train_keeps_the_weights_of_convolutions_contiguous() -> None:
    network = make_zoo_network("resnet")
    train(network, *make_rows(), make_recipe(epochs=1))
    assert all(parameter.is_contiguous() for parameter in network.parameters())


class CountingConvolution(nn.Module):
    """A network that counts its passes in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(448, 4)).double()
        self.n_predictions = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            self.n_predictions += 1
        logits: torch.Tensor = self.layers(x)
        return logits


def count_predictions(n_epochs: int) -> int:
    network = CountingConvolution()
    recipe = make_recipe(epochs=n_epochs, validation=0.3)
    train(network, *make_rows(), recipe, validation_mask=VALIDATION_MASK)
    return network.n_predictions


def test_train_chooses_the_layout_of_validation_once() -> None:
    assert count_predictions(n_epochs=4) - count_predictions(n_epochs=1) == 3


@pytest.mark.parametrize("patience", [1, 2])
def test_train_stops_after_epochs_of_patience(patience: int) -> None:
    images, labels = make_rows()
    recipe = make_recipe(lr=0.5, epochs=12, validation=0.3)
    mask = VALIDATION_MASK
    whole = train(make_zoo_network("resnet"), images, labels, recipe, validation_mask=mask)
    losses: list[Any] = [row.validation_loss for row in whole]
    waits = [i - int(np.argmin(losses[: i + 1])) for i in range(12)]
    expected_end = waits.index(patience)
    assert 1 < expected_end < 11  # else the seeds prove nothing

    patient = recipe.model_copy(update={"patience": patience})
    history = train(make_zoo_network("resnet"), images, labels, patient, validation_mask=mask)
    assert history == whole[: expected_end + 1]


def test_train_keeps_the_weights_of_the_best_epoch() -> None:
    images, labels = make_rows()
    recipe = make_recipe(lr=0.5, epochs=6, validation=0.3)
    mask = VALIDATION_MASK
    network = make_zoo_network("resnet")
    history = train(network, images, labels, recipe, validation_mask=mask)
    losses: list[Any] = [row.validation_loss for row in history]
    best_epoch = int(np.argmin(losses)) + 1
    assert 1 < best_epoch < 6  # else the seeds prove nothing

    expected = make_zoo_network("resnet")
    shorter = recipe.model_copy(update={"epochs": best_epoch})
    train(expected, images, labels, shorter, validation_mask=mask)
    assert_same_state(network, expected, rtol=0, atol=0)


def test_train_keeps_the_best_weights_of_a_run_that_diverges_later() -> None:
    network = CountingNetwork(n_good_steps=7)
    recipe = make_recipe(epochs=9, validation=0.3)
    history = train(network, *make_rows(), recipe, validation_mask=VALIDATION_MASK)
    assert [math.isnan(epoch.train_loss) for epoch in history] == [False, False, True]
    assert all(parameter.isfinite().all() for parameter in network.parameters())


def test_train_without_validation_keeps_no_weights_of_a_divergence() -> None:
    network = CountingNetwork(n_good_steps=7)
    train(network, *make_rows(), make_recipe(epochs=9))
    assert all(parameter.isnan().all() for parameter in network.parameters())


def test_train_balances_classes_of_which_one_is_only_in_validation() -> None:
    labels = torch.tensor([0, 0, 1, 2])
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    recipe = make_recipe(class_weights="balanced", validation=0.2, epochs=1, batch_size=2)
    (row,) = train(network, torch.ones(4, 1, 2, 2), labels, recipe, validation_mask=labels == 2)
    assert row.validation_loss is not None


def test_training_run_starts_its_bar_after_the_resumed_epochs() -> None:
    run = TrainingRun(make_zoo_network("no_bias"), *make_rows(), make_recipe(epochs=3))
    run.history = [Epoch(1, 1.0, 1.0, 0.5)]
    with run.make_bar() as bar:
        assert (bar.n, bar.total) == (5, 15)


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="no CUDA device here")
@pytest.mark.parametrize(
    "arch", ["simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2", "resnet", "small_cnn"]
)
@pytest.mark.parametrize("lr", [0.01, 1e30])
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_train_on_a_gpu_takes_the_steps_of_the_cpu_and_repeats(
    arch: str, lr: float, cuda_graphs: bool
) -> None:
    recipe = make_recipe(epochs=3, lr=lr, cuda_graphs=cuda_graphs)
    device = set_up_device(threads=1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(23, 1, 36, 40, generator=generator).expand(-1, 3, -1, -1)
    labels = torch.arange(23) % 4
    networks: list[nn.Module] = []
    histories: list[list[Epoch]] = []
    for place in (torch.device("cpu"), device, device):
        network = make_network(arch, (3, 36, 40), 4, seed=0).to(place)
        histories.append(train(network, images, labels, recipe))
        networks.append(network.cpu())
    assert str(histories[1]) == str(histories[2])
    assert len(histories[0]) == len(histories[1]) == (3 if lr < 1 else 1)
    assert_same_state(networks[0], networks[1], atol=1e-5)
    assert_same_state(networks[1], networks[2], rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="no CUDA device here")
def test_train_on_a_gpu_with_validation_equals_the_cpu() -> None:
    recipe = make_recipe(epochs=3, validation=0.3, class_weights="balanced")
    histories: list[list[Epoch]] = []
    for device in (torch.device("cpu"), set_up_device(threads=1)):
        network = make_zoo_network("resnet").to(device)
        histories.append(train(network, *make_rows(), recipe, validation_mask=VALIDATION_MASK))
    assert_same_history(histories[1], histories[0])


@pytest.mark.parametrize("batch_size", [1, 11, 22])
def test_train_names_a_batch_size_that_leaves_one_row(batch_size: int) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(864, 4), nn.BatchNorm1d(4)).double()
    with pytest.raises(InputError, match=f"batch_size is {batch_size}, .* 23 rows"):
        train(network, *make_rows(), make_recipe(batch_size=batch_size))


def test_train_refuses_a_shift_out_of_the_image() -> None:
    recipe = make_recipe(augment={"shift": 2, "flip": False})
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(InputError, match=r"augment\.shift"):
        train(network, torch.ones(4, 1, 3, 2), torch.tensor([0, 1, 0, 1]), recipe)

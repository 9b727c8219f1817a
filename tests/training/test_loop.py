"""The training loop against a plain PyTorch loop over batches of rows."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.networks import ZOO, plain_training, recipe
from torch import nn

from mri_stages.config.schema import ARCHITECTURES
from mri_stages.errors import InputError
from mri_stages.models import make_network
from mri_stages.storage.history import Epoch
from mri_stages.training.checkpoint import Checkpoint
from mri_stages.training.device import has_gpu, set_up_device
from mri_stages.training.loop import train

ROWS, CLASSES, SHAPE = 23, 4, (3, 16, 18)
OPTIONS: dict[str, Any] = {"lr": 0.1, "batch_size": 5}


def fresh(name: str) -> nn.Module:
    """Return a network in float64, so that no kind of CPU rounds its way to other weights."""
    torch.manual_seed(5)
    return ZOO[name](SHAPE, CLASSES).double()


def rows(equal: bool = True, constant: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images, and labels of classes that are not equally frequent."""
    generator = torch.Generator().manual_seed(2)
    channels = 1 if equal else 3
    x = torch.randn(ROWS, channels, *SHAPE[1:], generator=generator, dtype=torch.float64)
    if constant:
        x[:, :, :5] = 0
    return x.expand(-1, 3, -1, -1), (torch.arange(ROWS) % 5).clamp(max=CLASSES - 1)


def assert_same_state(a: nn.Module, b: nn.Module, rtol: float = 1e-6, atol: float = 1e-9) -> None:
    states = dict(a.state_dict()), dict(b.state_dict())
    torch.testing.assert_close(*states, rtol=rtol, atol=atol, equal_nan=True)  # names the tensor


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_train_equals_a_plain_loop(tmp_path: Path, name: str, equal: bool, constant: bool) -> None:
    x, y = rows(equal, constant)
    expected = fresh(name)  # right before its training, as dropout draws from the same generator
    plain = plain_training(expected, x, y, recipe(epochs=3, **OPTIONS))
    ours = fresh(name)
    history = train(ours, x, y, recipe(epochs=3, **OPTIONS))
    assert_same_state(ours, expected)
    np.testing.assert_allclose(np.array(history, float), np.array(plain, float), rtol=1e-4)
    for stop in (2, 3):  # a run writes no checkpoint after its last epoch: 3 resumes after epoch 1
        resumed, checkpoint = fresh(name), Checkpoint(tmp_path / "checkpoint", seconds=0)
        resumed_history = train(
            resumed, x, y, recipe(epochs=stop, **OPTIONS), checkpoint=checkpoint
        )
        assert checkpoint.path.exists()
    assert resumed_history == history
    assert_same_state(resumed, ours, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["no_bias", "resnet"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_train_stops_at_a_nan_loss_and_predicts_class_0(name: str, shuffle: bool) -> None:
    x, y = rows()
    x = x.clone()
    x[12, 0, 8, 8] = torch.nan
    network = fresh(name)
    (last,) = train(network, x, y, recipe(epochs=4, **OPTIONS | {"shuffle": shuffle}))
    assert math.isnan(last.train_loss)
    assert 0 <= last.train_accuracy <= 1
    assert network.eval()(x).isnan().all()


def test_train_counts_the_rows_after_a_nan_loss_as_class_0() -> None:
    x, y = torch.ones(400, 1, 2, 2), (torch.arange(400) + 3) % 4
    x[0] = torch.nan  # the first of 400 batches; the loop looks for NaN now and then
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    (last,) = train(network, x, y, recipe(epochs=2, **OPTIONS | {"batch_size": 1}))
    assert math.isnan(last.train_loss)
    assert math.isnan(last.last_batch_loss)
    assert last.train_accuracy == 0.25


def test_train_goes_on_after_an_infinite_loss_and_sets_overflowed_weights_to_nan() -> None:
    network: Any = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    network[1].weight.data = torch.tensor([[3e38], [-3e38]])
    x, y = torch.ones(2, 1, 1, 1), torch.tensor([1, 1])
    history = train(network, x, y, recipe(epochs=3, **OPTIONS))
    assert [epoch.train_loss for epoch in history] == [math.inf] * 3
    assert network[1].weight.isfinite().all()
    network[1].weight.data /= 1e28
    (last,) = train(network, 1e10 * x, y, recipe(epochs=1, **OPTIONS | {"lr": 1e30}))  # one step
    assert math.isfinite(last.train_loss)
    assert network[1].weight.isnan().all()


def test_train_with_bf16_rounds_products_and_keeps_weights_float32() -> None:
    exact, rounded = fresh("no_bias").float(), fresh("no_bias").float()
    x, y = rows()
    train(exact, x.float(), y, recipe(epochs=2, **OPTIONS))
    train(rounded, x.float(), y, recipe(epochs=2, precision="bf16", **OPTIONS))
    assert_same_state(exact, rounded, rtol=0.05, atol=0.01)  # also compares the dtypes
    for a, b in zip(exact.parameters(), rounded.parameters(), strict=True):
        assert not torch.equal(a, b)


def test_train_prints_one_line_per_epoch_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet, lines in ((False, 3), (True, 0)):
        train(fresh("no_bias"), *rows(), recipe(epochs=3, **OPTIONS), quiet=quiet)
        assert len(capsys.readouterr().out.splitlines()) == lines


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="no CUDA device here")
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("lr", [0.01, 1e30])
def test_train_on_a_gpu_takes_the_steps_of_the_cpu_and_repeats(arch: str, lr: float) -> None:
    device = set_up_device(threads=1)
    x = torch.randn(23, 1, 36, 40, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    y = torch.arange(23) % 4
    networks, histories = [], list[list[Epoch]]()
    for place in (torch.device("cpu"), device, device):
        network = make_network(arch, (3, 36, 40), 4, seed=0).to(place)
        histories.append(train(network, x, y, recipe(epochs=3, **OPTIONS | {"lr": lr})))
        networks.append(network.cpu())
    assert str(histories[1]) == str(histories[2])
    assert len(histories[0]) == len(histories[1]) == (3 if lr < 1 else 1)
    assert_same_state(networks[0], networks[1], atol=1e-5)
    assert_same_state(networks[1], networks[2], rtol=0, atol=0)


@pytest.mark.parametrize("batch_size", [1, 11, 22])
def test_train_names_a_batch_size_that_leaves_one_row_to_batchnorm(batch_size: int) -> None:
    x, y = rows()
    network = nn.Sequential(nn.Flatten(), nn.Linear(864, 4), nn.BatchNorm1d(4)).double()
    train(network, x, y, recipe(epochs=1, **OPTIONS))
    with pytest.raises(InputError, match=f"batch_size is {batch_size}, .* 23 rows"):
        train(network, x, y, recipe(epochs=1, **OPTIONS | {"batch_size": batch_size}))

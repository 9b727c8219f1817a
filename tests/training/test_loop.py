"""The training loop against plain PyTorch: torch.optim.SGD over batches of rows."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from src.models import make_network
from src.params import ARCHITECTURES
from src.training.checkpoint import Checkpoint
from src.training.device import set_up_device
from src.training.loop import Epoch, train
from tests.zoo import ZOO

ROWS, CLASSES, SHAPE = 23, 4, (3, 16, 18)


def fresh(name: str) -> nn.Module:
    torch.manual_seed(5)
    return ZOO[name](SHAPE, CLASSES)


def rows(equal: bool = True, constant: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images with equal or different channels, with or without constant pixels."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(ROWS, 1 if equal else 3, *SHAPE[1:], generator=generator)
    if constant:
        x[:, :, :5] = 0
    return x.expand(-1, 3, -1, -1), torch.arange(ROWS) % CLASSES


def plain_training(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, lr: float, size: int, epochs: int
) -> tuple[list[list[float]], list[float]]:
    """Train as the notebook does: log-softmax, and cross-entropy, which applies it again."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    losses: list[list[float]] = []
    accuracies: list[float] = []
    for _ in range(epochs):
        losses.append([])
        correct = 0
        for start in range(0, len(x), size):
            outputs = nn.functional.log_softmax(network(x[start : start + size]), dim=1)
            loss = nn.functional.cross_entropy(outputs, y[start : start + size])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
            correct += int((outputs.argmax(1) == y[start : start + size]).sum())
        accuracies.append(correct / len(x))
    return losses, accuracies


def assert_same_state(a: nn.Module, b: nn.Module) -> None:
    for (name, ours), theirs in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
def test_train_equals_a_plain_loop_also_when_resumed(
    tmp_path: Path, name: str, equal: bool, constant: bool
) -> None:
    x, y = rows(equal, constant)
    path = tmp_path / "checkpoint"
    expected = fresh(name)  # right before its training, as dropout draws from the same generator
    losses, accuracies = plain_training(expected, x, y, lr=0.1, size=5, epochs=3)
    options: dict[str, Any] = {"lr": 0.1, "batch_size": 5, "shuffle": False, "seed": 0}
    ours = fresh(name)
    history = train(ours, x, y, epochs=3, **options)
    assert_same_state(ours, expected)
    assert [epoch.train_accuracy for epoch in history] == accuracies
    for epoch, of_batches in zip(history, losses, strict=True):
        sizes = [5, 5, 5, 5, 3]  # the smaller last batch is kept, and weighs less in the mean
        mean = sum(s * loss for s, loss in zip(sizes, of_batches, strict=True)) / ROWS
        assert epoch.train_loss == pytest.approx(mean, rel=1e-4)
        assert epoch.last_batch_loss == pytest.approx(of_batches[-1], rel=1e-4)
    for stop in (2, 3):  # a run writes no checkpoint after its last epoch: 3 resumes after epoch 1
        resumed = fresh(name)
        resumed_history = train(
            resumed, x, y, epochs=stop, checkpoint=Checkpoint(path, seconds=0), **options
        )
        assert path.exists()
    assert resumed_history == history
    for key, value in resumed.state_dict().items():
        assert torch.equal(value, ours.state_dict()[key]), key


@pytest.mark.parametrize("name", ["no_bias", "resnet"])  # folded, and as it is
def test_train_draws_a_new_seeded_order_every_epoch_with_shuffle(name: str) -> None:
    x, y = rows()
    ours, again, by_hand = fresh(name), fresh(name), fresh(name)
    options: dict[str, Any] = {"lr": 0.1, "batch_size": 5}
    for network in (ours, again):
        train(network, x, y, epochs=2, shuffle=True, seed=9, **options)
    generator = torch.Generator().manual_seed(9)
    for _ in range(2):
        order = torch.randperm(ROWS, generator=generator)
        plain_training(by_hand, x[order], y[order], 0.1, 5, 1)
    assert_same_state(ours, by_hand)
    for a, b in zip(ours.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["no_bias", "resnet"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_train_stops_at_a_nan_loss_and_predicts_class_0(name: str, shuffle: bool) -> None:
    x, y = rows()
    x = x.clone()
    x[12, 0, 8, 8] = torch.nan
    network = fresh(name)
    (last,) = train(network, x, y, lr=0.1, batch_size=5, epochs=4, shuffle=shuffle, seed=0)
    assert math.isnan(last.train_loss)
    assert 0 <= last.train_accuracy <= 1
    logits = network.eval()(x)
    assert logits.isnan().all()
    assert (logits.argmax(1) == 0).all()


def test_train_counts_the_rows_after_a_nan_loss_as_class_0() -> None:
    x, y = torch.ones(400, 1, 2, 2), torch.arange(400) % 4
    x[0] = torch.nan  # the first of 400 batches; the loop looks for NaN now and then
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    (last,) = train(network, x, y, lr=0.1, batch_size=1, epochs=2, shuffle=False, seed=0)
    assert math.isnan(last.train_loss)
    assert math.isnan(last.last_batch_loss)
    assert last.train_accuracy == 0.25


def test_train_goes_on_after_an_infinite_loss() -> None:
    linear = nn.Linear(1, 2)
    network = nn.Sequential(nn.Flatten(), linear)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3e38], [-3e38]]))
    x, y = torch.ones(2, 1, 1, 1), torch.tensor([1, 1])
    history = train(network, x, y, lr=0.01, batch_size=1, epochs=3, shuffle=False, seed=0)
    assert [epoch.train_loss for epoch in history] == [math.inf] * 3


def test_train_sets_weights_that_overflowed_to_nan() -> None:
    network: Any = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    x = torch.full((1, 1, 1, 2), 1e10)
    y = network(x).argmin(1)  # so that the loss is large
    train(network, x, y, lr=1e30, batch_size=1, epochs=1, shuffle=False, seed=0)  # one step
    assert network[1].weight.isnan().all()


def test_train_with_bf16_rounds_products_and_keeps_weights_float32() -> None:
    x, y = rows()
    exact, rounded = fresh("no_bias"), fresh("no_bias")
    options: dict[str, Any] = {"lr": 0.1, "batch_size": 5, "epochs": 2, "shuffle": False, "seed": 0}
    train(exact, x, y, **options)
    train(rounded, x, y, precision="bf16", **options)
    for a, b in zip(exact.parameters(), rounded.parameters(), strict=True):
        assert b.dtype == torch.float32
        assert not torch.equal(a, b)
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.01)


def test_train_prints_one_line_per_epoch_unless_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = rows()
    options: dict[str, Any] = {"lr": 0.1, "batch_size": 5, "epochs": 3, "shuffle": False, "seed": 0}
    train(fresh("no_bias"), x, y, **options)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == [
        f"epoch {i}/3" for i in (1, 2, 3)
    ]
    train(fresh("no_bias"), x, y, quiet=True, **options)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("lr", [0.01, 1e30])
def test_train_on_a_gpu_takes_the_steps_of_the_cpu_and_repeats(arch: str, lr: float) -> None:
    device = set_up_device(threads=1)
    x = torch.randn(23, 1, 36, 40, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    y = torch.arange(23) % 4
    networks, histories = [], list[list[Epoch]]()
    for place in (torch.device("cpu"), device, device):
        networks.append(make_network(arch, (3, 36, 40), 4, seed=0).to(place))
        options: dict[str, Any] = {
            "lr": lr,
            "batch_size": 5,
            "epochs": 3,
            "shuffle": False,
            "seed": 0,
        }
        histories.append(train(networks[-1], x, y, **options))
    assert str(histories[1]) == str(histories[2])
    assert len(histories[0]) == len(histories[1]) == (3 if lr < 1 else 1)
    for cpu, gpu, again in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(cpu, gpu.cpu(), rtol=1e-4, atol=1e-5, equal_nan=True)
        torch.testing.assert_close(gpu, again, rtol=0, atol=0, equal_nan=True)

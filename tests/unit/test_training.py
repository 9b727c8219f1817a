"""The one training loop against PyTorch's plain pieces."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from src.device import set_up_device
from src.networks import NETWORKS
from src.params import Arch
from src.training import train

ROWS, CLASSES = 23, 3


def fresh_network() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, CLASSES))


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(ROWS, 3, 2, 2, generator=generator)
    return x, torch.randint(0, CLASSES, (ROWS,), generator=generator)


def notebook_training(
    network: nn.Module, x: torch.Tensor, y: torch.Tensor, lr: float, size: int, epochs: int
) -> tuple[list[list[float]], list[float]]:
    """The notebook's way: log-softmax in the network, cross-entropy (another one) on top."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    losses: list[list[float]] = []
    accuracies: list[float] = []
    for _ in range(epochs):
        losses.append([])
        correct = 0
        for start in range(0, len(x), size):
            outputs = nn.functional.log_softmax(network(x[start : start + size]), dim=1)
            loss = nn.CrossEntropyLoss()(outputs, y[start : start + size])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
            correct += int((outputs.argmax(1) == y[start : start + size]).sum())
        accuracies.append(correct / len(x))
    return losses, accuracies


def test_equals_the_notebooks_loop(rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = rows
    ours, plain = fresh_network(), fresh_network()
    history = train(ours, x, y, lr=0.1, batch_size=5, epochs=4, shuffle=False, seed=0)
    losses, accuracies = notebook_training(plain, x, y, 0.1, 5, 4)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert [epoch.train_accuracy for epoch in history] == accuracies
    for epoch, batch_losses in zip(history, losses, strict=True):
        sizes = [5, 5, 5, 5, 3]  # the smaller last batch is kept, and weighs less in the mean
        mean = sum(s * loss for s, loss in zip(sizes, batch_losses, strict=True)) / ROWS
        assert epoch.train_loss == pytest.approx(mean, rel=1e-5)
        assert epoch.last_batch_loss == pytest.approx(batch_losses[-1], rel=1e-5)
    assert [epoch.epoch for epoch in history] == [0, 1, 2, 3]


def test_shuffling_draws_a_new_seeded_order_every_epoch(
    rows: tuple[torch.Tensor, torch.Tensor],
) -> None:
    x, y = rows
    ours, again, by_hand = fresh_network(), fresh_network(), fresh_network()
    train(ours, x, y, lr=0.1, batch_size=5, epochs=2, shuffle=True, seed=9)
    train(again, x, y, lr=0.1, batch_size=5, epochs=2, shuffle=True, seed=9)
    generator = torch.Generator().manual_seed(9)
    for _ in range(2):
        order = torch.randperm(ROWS, generator=generator)
        train(by_hand, x[order], y[order], lr=0.1, batch_size=5, epochs=1, shuffle=False, seed=0)
    for a, b, c in zip(*(n.parameters() for n in (ours, again, by_hand)), strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a, c, rtol=0, atol=1e-7)  # unfolded between the epochs: rounds


def test_a_nan_loss_ends_the_run_with_the_predictions_of_training_on(
    rows: tuple[torch.Tensor, torch.Tensor],
) -> None:
    x, y = rows
    stopped, trained_on = fresh_network(), fresh_network()
    (last,) = train(stopped, x, y, lr=1e30, batch_size=5, epochs=4, shuffle=False, seed=0)
    _, accuracies = notebook_training(trained_on, x, y, 1e30, 5, 4)
    assert math.isnan(last.train_loss)
    assert last.train_accuracy == accuracies[0]  # over all rows, those after the stop too
    with torch.no_grad():
        for network in (stopped, trained_on):
            logits = network(x)
            assert logits.isnan().all()
            assert (logits.argmax(1) == 0).all()


def test_an_infinite_loss_ends_nothing() -> None:
    linear = nn.Linear(1, 2)
    network = nn.Sequential(nn.Flatten(), linear)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3e38], [-3e38]]))
    x, y = torch.ones(2, 1, 1, 1), torch.tensor([1, 1])
    history = train(network, x, y, lr=0.01, batch_size=1, epochs=3, shuffle=False, seed=0)
    assert [epoch.train_loss for epoch in history] == [math.inf] * 3


def test_bf16_rounds_the_products_and_keeps_the_weights_float32(
    rows: tuple[torch.Tensor, torch.Tensor],
) -> None:
    x, y = rows
    exact, rounded = fresh_network(), fresh_network()
    for network, bf16 in ((exact, False), (rounded, True)):
        train(network, x, y, lr=0.1, batch_size=5, epochs=2, shuffle=False, seed=0, bf16=bf16)
    for a, b in zip(exact.parameters(), rounded.parameters(), strict=True):
        assert b.dtype == torch.float32
        assert not torch.equal(a, b)
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("arch", get_args(Arch))
@pytest.mark.parametrize("lr", [0.01, 1e30])
def test_a_gpu_takes_the_steps_of_the_cpu_and_repeats_to_the_bit(arch: Arch, lr: float) -> None:
    device = set_up_device(threads=1)
    x = torch.randn(23, 1, 36, 40, generator=torch.Generator().manual_seed(0)).expand(-1, 3, -1, -1)
    y = torch.arange(23) % 4
    networks = []
    histories = []
    for place in (torch.device("cpu"), device, device):
        torch.manual_seed(0)
        networks.append(NETWORKS[arch]((3, 36, 40), 4).to(place))
        histories.append(
            train(networks[-1], x, y, lr=lr, batch_size=5, epochs=3, shuffle=False, seed=0)
        )
    assert str(histories[1]) == str(histories[2])
    assert len(histories[0]) == len(histories[1]) == (3 if lr < 1 else 1)
    for cpu, gpu, again in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(cpu, gpu.cpu(), rtol=1e-4, atol=1e-5, equal_nan=True)
        torch.testing.assert_close(gpu, again, rtol=0, atol=0, equal_nan=True)

"""The fast path against the plain network and plain SGD."""

import copy
from typing import get_args

import pytest
import torch
from torch import nn

from src.folding import Twin, active_features
from src.networks import NETWORKS
from src.params import Arch

SHAPE, ROWS, BATCH = (3, 36, 40), 23, 5


def images(equal: bool, constant: bool, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 1 if equal else 3, *SHAPE[1:], generator=generator, dtype=dtype)
    if constant:
        x[:, :, :6] = 0  # a background, scaled
    return x.expand(-1, 3, -1, -1)


def take_steps(
    forward: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, steps: int
) -> None:
    y = torch.arange(ROWS) % 4
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))  # the last is smaller
    for step in range(steps):
        batch, labels = batches[step % len(batches)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(forward(batch), labels).backward()
        optimizer.step()


@pytest.mark.parametrize("arch", get_args(Arch))
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(("dtype", "steps", "lr"), [
    (torch.float32, 10, 0.01),
    (torch.float64, 50, 0.01),
    (torch.float64, 50, 1e-8),
])  # fmt: skip
def test_a_twin_takes_the_steps_of_the_plain_network(
    arch: Arch, equal: bool, constant: bool, dtype: torch.dtype, steps: int, lr: float
) -> None:
    torch.manual_seed(0)
    network = NETWORKS[arch](SHAPE, 4).to(dtype)
    plain = copy.deepcopy(network)
    start = copy.deepcopy(network.state_dict())
    x = images(equal, constant, dtype)
    take_steps(plain, torch.optim.SGD(plain.parameters(), lr=lr), x, steps)
    twin = Twin(network, x, lr)
    take_steps(twin, twin.optimizer(lr), x, steps)
    twin.unfold()
    for name, weight in network.state_dict().items():
        expected = plain.state_dict()[name]
        if dtype == torch.float32:
            assert (weight - expected).abs().max() < 1e-5 * expected.abs().max(), name
        else:  # the updates: at 1e-8 weights hardly move, so equal weights would prove nothing
            move, expected_move = weight - start[name], expected - start[name]
            assert (move - expected_move).abs().max() < 1e-5 * expected_move.abs().max(), name


def test_weights_of_constant_pixels_stay_as_they_were_drawn() -> None:
    network = NETWORKS["SimpleNN2"](SHAPE, 4)
    linear = next(layer for layer in network if isinstance(layer, nn.Linear))
    before = linear.weight.detach().clone()
    x = images(equal=True, constant=True, dtype=torch.float32)
    twin = Twin(network, x, lr=0.1)
    take_steps(twin, twin.optimizer(0.1), x, 5)
    twin.unfold()
    moved = torch.ne(linear.weight, before).view(128, *SHAPE)
    assert not moved[:, :, :6].any()
    assert moved[:, :, 6:].float().mean() > 0.99


def test_active_features_are_those_that_are_not_always_0() -> None:
    x = torch.zeros(600, 1, 2, 3)
    x[599, 0, 1, 2] = 1  # in the last chunk only
    x[0, 0, 0, 1] = -1
    assert active_features(x).tolist() == [1, 5]

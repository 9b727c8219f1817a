"""The fast path against the plain network and plain SGD."""

import copy
import math
import statistics
from typing import get_args

import pytest
import torch
from torch import nn

from src.folding import PlainSGD, Twin, active_features
from src.networks import NETWORKS
from src.params import Arch
from src.phantoms import phantoms
from src.training import train

SHAPE, ROWS, BATCH = (3, 36, 40), 23, 5


def images(equal: bool, constant: bool, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 1 if equal else 3, *SHAPE[1:], generator=generator, dtype=dtype)
    if constant:
        x[:, :, :6] = 0  # a background, scaled
    return x.expand(-1, 3, -1, -1)


def take_steps(
    forward: nn.Module, optimizer: torch.optim.Optimizer | PlainSGD, x: torch.Tensor, steps: int
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


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("arch", ["ConvNN1", "ConvNN2"])
def test_a_weight_that_is_not_finite_shows_in_the_logits_as_in_the_plain_network(
    arch: Arch, value: float
) -> None:
    x = images(equal=True, constant=False, dtype=torch.float32)
    torch.manual_seed(0)
    network = NETWORKS[arch](SHAPE, 4)
    for name, weight in network.named_parameters():
        if weight.ndim == 4:  # a convolution's
            spoilt = copy.deepcopy(network)
            with torch.no_grad():
                spoilt.get_parameter(name)[0, 0, 0, 0] = value
                expected = spoilt(x)
                assert value == -math.inf or not expected.isfinite().all()  # ReLU ends the one
                torch.testing.assert_close(Twin(spoilt, x, 0.01)(x), expected, equal_nan=True)


def test_a_twin_keeps_the_settings_of_layers_that_no_model_here_uses() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2, padding=1, dilation=2),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.MaxPool2d(2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(4 * 3 * 4, 4),
    )
    x = images(equal=True, constant=False, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(Twin(network, x, 0.01)(x), network(x))
    for layer in (nn.Conv2d(3, 6, 5, groups=3), nn.Linear(3 * 36 * 40, 4, bias=False)):
        with pytest.raises(ValueError, match=r"a first convolution|a linear layer"):
            Twin(nn.Sequential(layer), x, 0.01)


def test_accuracy_differs_from_the_plain_recipes_by_less_than_between_seeds() -> None:
    images, labels = phantoms(24, 10, 36, 36, seed=0)
    x = torch.from_numpy(images).reshape(240, 1, 36, 36) / 255
    x = ((x - x.mean(0)) / (x.std(0) + 1e-6)).expand(-1, 3, -1, -1)
    y = torch.from_numpy(labels).repeat_interleave(10)
    order = torch.randperm(240, generator=torch.Generator().manual_seed(0))
    x, y, x_test, y_test = x[order[:120]], y[order[:120]], x[order[120:]], y[order[120:]]
    accuracies: dict[str, list[float]] = {"plain": [], "ours": []}
    for seed in range(5):
        for recipe, of_all in accuracies.items():
            torch.manual_seed(seed)
            network = NETWORKS["SimpleNN2"]((3, 36, 36), 4)
            if recipe == "ours":
                train(network, x, y, lr=0.01, batch_size=15, epochs=10, shuffle=False, seed=0)
            else:
                optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
                for _ in range(10):
                    for batch, target in zip(x.split(15), y.split(15), strict=True):
                        optimizer.zero_grad()
                        nn.functional.cross_entropy(network(batch), target).backward()
                        optimizer.step()
            with torch.no_grad():
                of_all.append(float((network(x_test).argmax(1) == y_test).float().mean()))
    plain, ours = accuracies.values()
    assert min(plain) > 0.5  # it learns
    assert abs(statistics.mean(plain) - statistics.mean(ours)) <= max(statistics.stdev(plain), 0.01)


def test_active_features_are_those_that_are_not_always_0() -> None:
    x = torch.zeros(600, 1, 2, 3)
    x[599, 0, 1, 2] = 1  # in the last chunk only
    x[0, 0, 0, 1] = -1
    assert active_features(x).tolist() == [1, 5]

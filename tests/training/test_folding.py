"""The folded network against the plain network and plain SGD."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from src.models import make_network
from src.training.folding import FoldedNetwork, active_features, fold, reason_not_to_fold
from tests.zoo import ZOO

SHAPE, ROWS, BATCH = (3, 36, 40), 23, 5
NOTEBOOK = ("simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2")


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


@pytest.mark.parametrize("arch", NOTEBOOK)
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(("steps", "lr"), [(30, 0.01), (30, 1e-8)])
def test_folded_network_takes_the_steps_of_the_plain_network(
    arch: str, equal: bool, constant: bool, steps: int, lr: float
) -> None:
    network = make_network(arch, SHAPE, 4, seed=0).double()
    plain = copy.deepcopy(network)
    start = copy.deepcopy(network.state_dict())
    x = images(equal, constant, torch.float64)
    take_steps(plain, torch.optim.SGD(plain.parameters(), lr=lr), x, steps)
    folded = fold(network, x)
    assert folded is not None
    take_steps(folded, torch.optim.SGD(folded.parameter_groups(lr), lr=lr, fused=True), x, steps)
    folded.unfold()
    for name, weight in network.state_dict().items():
        expected = plain.state_dict()[name]
        # The updates: at 1e-8 weights hardly move, so equal weights would prove nothing.
        move, expected_move = weight - start[name], expected - start[name]
        assert (move - expected_move).abs().max() < 1e-5 * expected_move.abs().max(), name


def test_folded_network_is_smaller_and_leaves_weights_of_constant_pixels_alone() -> None:
    network: Any = make_network("simple_nn2", SHAPE, 4, seed=0)
    before = network[1].weight.detach().clone()
    x = images(equal=True, constant=True, dtype=torch.float32)
    folded = FoldedNetwork(network, x)
    assert folded.first.weight.numel() == 128 * 30 * 40  # one channel, 30 of 36 lines
    take_steps(folded, torch.optim.SGD(folded.parameter_groups(0.1), lr=0.1), x, 5)
    folded.unfold()
    moved = torch.ne(network[1].weight, before).view(128, *SHAPE)
    assert not moved[:, :, :6].any()
    assert moved[:, :, 6:].float().mean() > 0.9


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_folded_network_gives_the_logits_of_the_plain_network_with_a_weight_that_is(
    value: float,
) -> None:
    network: Any = make_network("conv_nn2", SHAPE, 4, seed=0)
    with torch.no_grad():
        network[3].weight[0, 0, 0, 0] = value
    x = images(equal=True, constant=False, dtype=torch.float32)
    expected = network(x)
    folded = FoldedNetwork(network, x)
    torch.testing.assert_close(folded(x), expected, equal_nan=True, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch", NOTEBOOK)
def test_reason_not_to_fold_is_none_for_the_notebooks_networks(arch: str) -> None:
    assert reason_not_to_fold(make_network(arch, SHAPE, 4, seed=0)) is None


@pytest.mark.parametrize("name", [name for name in ZOO if name != "no_bias"])
def test_reason_not_to_fold_is_given_for_a_network_that_is_not_known_to_be_exact(
    name: str,
) -> None:
    assert reason_not_to_fold(ZOO[name](SHAPE, 4))


def change_forward(network: Any) -> None:
    network[1].forward = lambda x: x.flatten(1)[:, :9]


CHANGES: dict[str, Callable[[Any], object]] = {
    "frozen bias": lambda n: n[1].bias.requires_grad_(False),
    "hook": lambda n: n[3].register_forward_hook(lambda *_: None),
    "hook before": lambda n: n[1].register_forward_pre_hook(lambda *_: None),
    "hook of the network": lambda n: n.register_full_backward_hook(lambda *_: None),
    "hook of a gradient": lambda n: n[1].weight.register_hook(lambda g: g),
    "hook after a gradient": lambda n: n[1].weight.register_post_accumulate_grad_hook(
        lambda _: None
    ),
    "parametrization": lambda n: parametrizations.orthogonal(n[3]),
    "old weight_norm": lambda n: weight_norm(n[1]),
    "tied weights": lambda n: setattr(n[3], "weight", n[5].weight),
    "the same layer twice": lambda n: n.append(n[5]),
    "own forward": change_forward,
    "flatten from 2": lambda n: n.__setitem__(0, nn.Flatten(2)),
    "tanh": lambda n: n.append(nn.Tanh()),
    "indices": lambda n: n.append(nn.MaxPool2d(1, return_indices=True)),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_reason_not_to_fold_is_given_after_a_change(change: str) -> None:
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)
    )
    assert reason_not_to_fold(network) is None
    CHANGES[change](network)
    assert reason_not_to_fold(network)


@pytest.mark.parametrize(
    "first", [nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")]
)
def test_reason_not_to_fold_is_given_for_a_first_convolution(first: nn.Module) -> None:
    assert reason_not_to_fold(nn.Sequential(first, nn.Flatten(), nn.Linear(4, 2)))
    assert reason_not_to_fold(nn.Sequential()) is not None


def test_fold_says_in_one_line_that_it_leaves_a_network_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert fold(ZOO["resnet"](SHAPE, 4), images(True, True, torch.float32)) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert "ResNet" in line


def test_active_features_are_those_that_are_not_0_in_every_row() -> None:
    x = torch.zeros(600, 2, 3)
    x[599, 0, 1] = 1e-30
    x[0, 1, 2] = -1
    assert active_features(x).tolist() == [1, 5]

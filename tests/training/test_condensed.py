"""The folded network against the plain network and plain SGD."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.helpers.networks import ZOO, recipe
from torch import nn
from torch.nn.utils import weight_norm

from mri_stages.console import print_once
from mri_stages.models import make_network
from mri_stages.training.condensed import FoldedNetwork, active_features, fold, reason_not_to_fold

SHAPE, ROWS, BATCH = (3, 36, 40), 23, 5


def images(equal: bool, constant: bool, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 1 if equal else 3, *SHAPE[1:], generator=generator, dtype=dtype)
    if constant:
        x[:, :, :6] = 0  # a background, scaled
    return x.expand(-1, 3, -1, -1)


def take_steps(network: nn.Module, optimizer: torch.optim.SGD, x: torch.Tensor, steps: int) -> None:
    y = torch.arange(ROWS) % 4
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))  # the last is smaller
    for step in range(steps):
        batch, labels = batches[step % len(batches)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch), labels).backward()
        optimizer.step()


@pytest.mark.parametrize("arch", ["simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2"])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("lr", [0.01, 1e-8])
def test_folded_network_equals_plain(arch: str, equal: bool, constant: bool, lr: float) -> None:
    network = make_network(arch, SHAPE, 4, seed=0).double()
    plain = copy.deepcopy(network)
    start = copy.deepcopy(network.state_dict())
    x = images(equal, constant, torch.float64)
    take_steps(plain, torch.optim.SGD(plain.parameters(), lr=lr), x, steps=30)
    folded = fold(network, x, recipe())
    assert folded is not None
    optimizer = torch.optim.SGD(folded.parameter_groups(lr), lr=lr, fused=True)
    take_steps(folded, optimizer, x, steps=30)
    folded.unfold()
    for name, weight in network.state_dict().items():
        # The updates: at 1e-8 weights hardly move, so equal weights would prove nothing.
        move, expected = weight - start[name], plain.state_dict()[name] - start[name]
        assert (move - expected).abs().max() < 1e-5 * expected.abs().max(), name


def test_folded_network_is_smaller_and_leaves_weights_of_constant_pixels_alone() -> None:
    network: Any = make_network("simple_nn2", SHAPE, 4, seed=0)
    before = network[1].weight.detach().clone()
    x = images(equal=True, constant=True)
    folded = FoldedNetwork(network, x)
    assert folded.first.weight.numel() == 128 * 30 * 40  # one channel, 30 of 36 lines
    take_steps(folded, torch.optim.SGD(folded.parameter_groups(0.1), lr=0.1), x, 5)
    folded.unfold()
    moved = torch.ne(network[1].weight, before).view(128, *SHAPE)
    assert not moved[:, :, :6].any()
    assert moved[:, :, 6:].float().mean() > 0.9


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_folded_network_with_a_weight_not_finite_gives_the_plain_logits(value: float) -> None:
    network: Any = make_network("conv_nn2", SHAPE, 4, seed=0)
    network[3].weight.data[0, 0, 0, 0] = value
    x = images(equal=True, constant=False)
    expected = network(x)  # before the fold
    torch.testing.assert_close(FoldedNetwork(network, x)(x), expected, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in ZOO if name != "no_bias"])
def test_fold_says_once_why_not(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    network = ZOO[name](SHAPE, 4)
    print_once.cache_clear()
    for _ in range(2):  # two seeds of a study
        assert fold(network, images(equal=True, constant=True), recipe()) is None
    assert capsys.readouterr().out.count(str(reason_not_to_fold(network))) == 1


def test_fold_says_that_another_recipe_is_trained_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_once.cache_clear()
    network = make_network("simple_nn2", SHAPE, 4, seed=0)
    assert fold(network, images(equal=True, constant=True), recipe(momentum=0.9)) is None
    assert "SGD" in capsys.readouterr().out


CHANGES: dict[str, Callable[[Any], object]] = {
    "frozen bias": lambda n: n[1].bias.requires_grad_(False),
    "hook": lambda n: n[3].register_forward_hook(lambda *_: None),
    "hook of the network": lambda n: n.register_full_backward_hook(lambda *_: None),
    "hook of a gradient": lambda n: n[1].weight.register_hook(lambda g: g),
    "hook after a gradient": lambda n: n[1].weight.register_post_accumulate_grad_hook(print),
    "old weight_norm": lambda n: weight_norm(n[1]),
    "the same layer twice": lambda n: n.append(n[3]),
    "own forward": lambda n: setattr(n[1], "forward", torch.relu),
    "flatten from 2": lambda n: n.__setitem__(0, nn.Flatten(2)),
    "groups": lambda n: n.insert(0, nn.Conv2d(4, 4, 3, groups=2)),
    "circular": lambda n: n.insert(0, nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")),
    "reordered weights": lambda n: setattr(n[1].weight, "data", n[1].weight.t().contiguous().t()),
    "no layer": lambda n: n.__delitem__(slice(None)),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_reason_not_to_fold_is_given_after_a_change(change: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 4))
    assert reason_not_to_fold(network) is None
    CHANGES[change](network)
    assert reason_not_to_fold(network)


def test_active_features_are_those_that_are_not_0_in_every_row() -> None:
    x = torch.zeros(600, 2, 3)
    x[599, 0, 1] = 1e-30
    x[0, 1, 2] = -1
    assert active_features(x).tolist() == [1, 5]

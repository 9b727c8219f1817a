"""The condensed network against the plain network and plain SGD."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm

from mri_stages.console import print_once
from mri_stages.models import make_network
from mri_stages.training.condensed import (
    CondensedNetwork,
    condense,
    explain_why_not_condensed,
    find_active_features,
    move_pooling_before_relu,
)
from mri_stages.training.optimization import Optimizer
from tests.helpers.networks import ZOO
from tests.helpers.plain_training import make_recipe

SHAPE = (3, 36, 40)
N_ROWS = 23
BATCH_SIZE = 5


def make_images(
    equal: bool = True, constant: bool = True, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    channels = 1 if equal else 3
    images = torch.randn(N_ROWS, channels, *SHAPE[1:], generator=generator, dtype=dtype)
    if constant:
        images[:, :, :6] = 0  # a background, scaled
    return images.expand(-1, 3, -1, -1)


def take_steps(
    network: nn.Module, optimizer: Optimizer, images: torch.Tensor, n_steps: int
) -> None:
    labels = torch.arange(N_ROWS) % 4
    batches = list(zip(images.split(BATCH_SIZE), labels.split(BATCH_SIZE), strict=True))
    for step in range(n_steps):
        batch_images, batch_labels = batches[step % len(batches)]  # the last one is smaller
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch_images), batch_labels).backward()
        optimizer.step()


@pytest.mark.parametrize("arch", ["simple_nn1", "simple_nn2", "conv_nn1", "conv_nn2"])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("lr", [0.01, 1e-8])
def test_condensed_network_equals_plain(arch: str, equal: bool, constant: bool, lr: float) -> None:
    network = make_network(arch, SHAPE, 4, seed=0).double()
    plain = copy.deepcopy(network)
    start = copy.deepcopy(network.state_dict())
    images = make_images(equal, constant, torch.float64)
    take_steps(plain, torch.optim.SGD(plain.parameters(), lr=lr), images, n_steps=30)

    condensed = condense(network, images, make_recipe())
    assert condensed is not None
    take_steps(condensed, condensed.make_optimizer(lr), images, n_steps=30)
    condensed.expand()

    for name, weight in network.state_dict().items():
        # The updates: at 1e-8 weights hardly move, so equal weights would prove nothing.
        move = weight - start[name]
        expected = plain.state_dict()[name] - start[name]
        assert (move - expected).abs().max() < 1e-5 * expected.abs().max(), name


def test_condensed_network_has_one_channel_and_no_constant_pixel() -> None:
    network: Any = make_network("simple_nn2", SHAPE, 4, seed=0)
    condensed = CondensedNetwork(network, make_images())
    assert condensed.first.weight.numel() == 128 * 30 * 40  # 30 of 36 lines


def test_condensed_convolution_has_one_channel() -> None:
    network: Any = make_network("conv_nn2", SHAPE, 4, seed=0)
    condensed = CondensedNetwork(network, make_images())
    assert condensed.first.weight.shape == (16, 1, 5, 5)


def test_expand_leaves_weights_of_constant_pixels_alone() -> None:
    network: Any = make_network("simple_nn2", SHAPE, 4, seed=0)
    before = network[1].weight.detach().clone()
    images = make_images()
    condensed = CondensedNetwork(network, images)
    take_steps(condensed, condensed.make_optimizer(0.1), images, n_steps=5)
    condensed.expand()
    moved_mask = torch.ne(network[1].weight, before).view(128, *SHAPE)
    assert not moved_mask[:, :, :6].any()
    assert moved_mask[:, :, 6:].float().mean() > 0.9


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_condensed_network_of_a_weight_not_finite_gives_plain_logits(value: float) -> None:
    network: Any = make_network("conv_nn2", SHAPE, 4, seed=0)
    network[3].weight.data[0, 0, 0, 0] = value
    images = make_images(constant=False)
    expected = network(images)
    condensed = CondensedNetwork(network, images)
    torch.testing.assert_close(condensed(images), expected, equal_nan=True)


def test_move_pooling_before_relu_swaps_each_pair() -> None:
    names = ["ReLU", "MaxPool2d", "Conv2d", "ReLU", "MaxPool2d", "Flatten", "ReLU", "Linear"]
    arguments = {"MaxPool2d": [2], "Conv2d": [1, 1, 3], "Linear": [1, 1]}
    layers = [getattr(nn, name)(*arguments.get(name, [])) for name in names]
    reordered = [type(layer).__name__ for layer in move_pooling_before_relu(layers)]
    swapped = ["MaxPool2d", "ReLU", "Conv2d", "MaxPool2d", "ReLU", "Flatten", "ReLU", "Linear"]
    assert reordered == swapped


@pytest.mark.parametrize("name", [name for name in ZOO if name != "no_bias"])
def test_condense_says_once_why_not(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    network = ZOO[name](SHAPE, 4)
    print_once.cache_clear()
    for _ in range(2):  # two seeds of a study
        assert condense(network, make_images(), make_recipe()) is None
    assert capsys.readouterr().out.count(str(explain_why_not_condensed(network))) == 1


def test_condense_says_that_a_recipe_is_not_plain_sgd(capsys: pytest.CaptureFixture[str]) -> None:
    print_once.cache_clear()
    network = make_network("simple_nn2", SHAPE, 4, seed=0)
    assert condense(network, make_images(), make_recipe(momentum=0.9)) is None
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
    "flatten to 1": lambda n: n.__setitem__(0, nn.Flatten(1, 2)),
    "groups": lambda n: n.insert(0, nn.Conv2d(4, 4, 3, groups=2)),
    "circular": lambda n: n.insert(0, nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")),
    "reordered weights": lambda n: setattr(n[1].weight, "data", n[1].weight.t().contiguous().t()),
    "no layer": lambda n: n.__delitem__(slice(None)),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_explain_why_not_condensed_after_a_change(change: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 4))
    assert explain_why_not_condensed(network) is None
    CHANGES[change](network)
    assert explain_why_not_condensed(network)


def test_find_active_features_are_not_0_in_every_row() -> None:
    images = torch.zeros(600, 2, 3)
    images[599, 0, 1] = 1e-30
    images[0, 1, 2] = -1
    assert find_active_features(images).tolist() == [1, 5]

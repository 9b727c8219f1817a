"""Plain SGD takes the steps of torch.optim.SGD, to the bit."""

import copy

import pytest
import torch
from torch import nn

from mri_stages.training.optimization import Optimizer, make_optimizer
from mri_stages.training.plain_sgd import PlainSgd
from tests.helpers.plain_training import assert_same_state, make_recipe

IMAGES = torch.randn(7, 19, generator=torch.Generator().manual_seed(0))


def make_two_layers() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(19, 11), nn.Linear(11, 5))


def take_steps(network: nn.Module, optimizer: Optimizer) -> None:
    for _ in range(4):
        optimizer.zero_grad()
        network(IMAGES).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("fused", [None, True])
@pytest.mark.parametrize("weight_decay", [0, 0.3])
def test_plain_sgd_equals_pytorch(fused: bool | None, weight_decay: float) -> None:
    network = make_two_layers()
    expected = copy.deepcopy(network)
    groups = [(layer.parameters(), lr) for layer, lr in zip(network, (0.1, 0.7), strict=True)]
    take_steps(network, PlainSgd(groups, weight_decay, fused))

    expected_groups = [
        {"params": layer.parameters(), "lr": lr}
        for layer, lr in zip(expected, (0.1, 0.7), strict=True)
    ]
    optimizer = torch.optim.SGD(expected_groups, weight_decay=weight_decay, fused=fused)
    take_steps(expected, optimizer)
    assert_same_state(network, expected, rtol=0, atol=0)


def test_plain_sgd_leaves_frozen_parameters() -> None:
    network = make_two_layers()
    network[0].requires_grad_(False)
    expected = copy.deepcopy(network[0])
    take_steps(network, PlainSgd([(network.parameters(), 0.1)], weight_decay=0.3))
    assert_same_state(network[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "is_plain"),
    [
        ({}, True),
        ({"weight_decay": 0.1}, True),
        ({"momentum": 0.9}, False),
        ({"schedule": "cosine"}, False),
        ({"epochs": 3, "warmup_epochs": 1}, False),
        ({"optimizer": "adam"}, False),
    ],
)
def test_make_optimizer_is_plain_sgd(changes: dict[str, object], is_plain: bool) -> None:
    optimizer = make_optimizer(make_recipe(**changes), make_two_layers().parameters())
    assert isinstance(optimizer, PlainSgd) == is_plain

"""Twelve networks that people bring, and one that takes contiguous images only."""

from collections.abc import Callable
from math import prod

import torch
from torch import nn
from torch.nn.utils import parametrizations

from mri_stages.models import resnet

Make = Callable[[tuple[int, int, int], int], nn.Module]


class Centre(nn.Module):
    """Maps 0 to -1, so a pixel that is 0 in every row has a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x - 1


class Own(nn.Module):
    """A module with a forward of its own, a view, and no Sequential at the top."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x).flatten().view(len(x), -1)
        return logits


class Views(nn.Module):
    """A network with its own forward, which takes contiguous images only."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.linear = nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(self.drop(self.norm(x.view(len(x), 12))))
        return logits


def flat(shape: tuple[int, int, int], classes: int, bias: bool = True) -> list[nn.Module]:
    return [nn.Linear(prod(shape), 16, bias=bias), nn.ReLU(), nn.Linear(16, classes)]


def pooled(width: int, classes: int) -> list[nn.Module]:
    return [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def frozen_stem(shape: tuple[int, int, int], classes: int) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), *flat(shape, classes))
    network[1].requires_grad_(False)
    return network


def weight_norm(shape: tuple[int, int, int], classes: int) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), *flat(shape, classes))
    parametrizations.weight_norm(network[1])
    return network


ZOO: dict[str, Make] = {
    "batchnorm_dropout": lambda shape, k: nn.Sequential(
        nn.Conv2d(shape[0], 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.5), *pooled(8, k)),
    "resnet": lambda shape, k: Own(resnet.make_network(shape, k)),
    "nested_stem": lambda shape, k: nn.Sequential(
        nn.Sequential(nn.Conv2d(shape[0], 8, 3)), nn.Sequential(*pooled(8, k))),
    "centre_first": lambda shape, k: nn.Sequential(Centre(), nn.Flatten(), *flat(shape, k)),
    "frozen_stem": frozen_stem,
    "weight_norm": weight_norm,
    "batchnorm_first": lambda shape, k: nn.Sequential(
        nn.BatchNorm2d(shape[0]), nn.Conv2d(shape[0], 8, 3), *pooled(8, k)),
    "average_pool_first": lambda shape, k: nn.Sequential(
        nn.AvgPool2d(2), nn.Flatten(), *flat((shape[0], shape[1] // 2, shape[2] // 2), k)),
    "no_bias": lambda shape, k: nn.Sequential(nn.Flatten(), *flat(shape, k, bias=False)),
    "reflect_padding": lambda shape, k: nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1, padding_mode="reflect"), *pooled(8, k)),
    "dropout_on_pixels": lambda shape, k: nn.Sequential(
        nn.Dropout(0.3), nn.Flatten(), *flat(shape, k)),
    "group_norm": lambda shape, k: nn.Sequential(
        nn.Conv2d(shape[0], 8, 3), nn.GroupNorm(2, 8), *pooled(8, k)),
}  # fmt: skip

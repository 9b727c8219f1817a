from typing import Any

import pytest
import torch
from torch import nn

from mri_stages.training.layout import (
    choose_batch_layout,
    choose_training_layout,
    reorder_batch,
)
from mri_stages.training.predict import predict_logits

IMAGES = torch.randn(40, 1, 12, 10, generator=torch.Generator().manual_seed(0)).expand(
    -1, 3, -1, -1
)


class Reordering(nn.Module):
    """Flattens what a convolution gives in a way of its own."""

    n_calls: torch.Tensor

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4 * 10 * 8, 3)
        self.register_buffer("n_calls", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.n_calls.add_(1)
        features = self.conv(images)
        match self.way:
            case "view":
                rows = features.view(len(features), -1)
            case "as_strided":
                rows = features.as_strided((len(features), 320), (320, 1))
            case _:
                rows = features.flatten(1)
        logits: torch.Tensor = self.linear(rows)
        return logits


def test_layout_of_a_convolution_is_channels_last() -> None:
    assert choose_batch_layout(Reordering("flatten"), IMAGES) == torch.channels_last


def test_layout_of_linear_layers_is_contiguous() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(360, 3))
    assert choose_batch_layout(network, IMAGES) == torch.contiguous_format


@pytest.mark.parametrize("way", ["view", "as_strided"])
def test_layout_is_contiguous_where_a_network_needs_it(way: str) -> None:
    network = Reordering(way)
    assert choose_batch_layout(network, IMAGES) == torch.contiguous_format
    expected = Reordering("flatten")(IMAGES.contiguous()).detach()
    torch.testing.assert_close(predict_logits(network, IMAGES), expected)


@pytest.mark.parametrize("way", ["flatten", "view"])
def test_choice_of_a_layout_keeps_the_buffers(way: str) -> None:
    network = Reordering(way)
    choose_batch_layout(network, IMAGES)
    assert network.n_calls == 0


class PassGradient(torch.autograd.Function):
    """The identity, with a backward pass that fails for channels_last."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor) -> torch.Tensor:
        return features.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient.view(len(gradient), -1).view(gradient.shape)


class LoseGradient(torch.autograd.Function):
    """The identity, with a backward pass that is 0 for channels_last."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor) -> torch.Tensor:
        return features.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient if gradient.is_contiguous() else torch.zeros_like(gradient)


class LosingGradient(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        lost: torch.Tensor = LoseGradient.apply(features)  # type: ignore[no-untyped-call]
        return lost


class CachingScale(nn.Module):
    """Keeps a tensor of its first call, as a network with a grid of positions does."""

    scale: torch.Tensor | None = None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if self.scale is None:
            self.scale = torch.linspace(0.5, 1, features.shape[-1])
        return features * self.scale


class PassingGradient(nn.Module):
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        passed: torch.Tensor = PassGradient.apply(features)  # type: ignore[no-untyped-call]
        return passed


def make_convolutions(middle: nn.Module) -> nn.Sequential:
    """Return a network with a module between two convolutions."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), middle, nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(192, 3)
    )


@pytest.mark.parametrize("middle", [nn.ReLU(), nn.BatchNorm2d(4), nn.Dropout2d(0.5)], ids=repr)
def test_training_layout_of_a_convolution_is_channels_last(middle: nn.Module) -> None:
    assert choose_training_layout(make_convolutions(middle), IMAGES) == torch.channels_last


@pytest.mark.parametrize("middle", [PassingGradient(), LosingGradient(), nn.Dropout(0.5)], ids=repr)
def test_training_layout_is_contiguous_where_steps_differ(middle: nn.Module) -> None:
    network = make_convolutions(middle)
    assert choose_batch_layout(network, IMAGES) == torch.channels_last
    assert choose_training_layout(network, IMAGES) == torch.contiguous_format


@pytest.mark.parametrize("way", ["view", "as_strided"])
def test_training_layout_is_contiguous_where_a_network_needs_it(way: str) -> None:
    assert choose_training_layout(Reordering(way), IMAGES) == torch.contiguous_format


def test_choice_of_a_training_layout_leaves_the_network_alone() -> None:
    network: Any = make_convolutions(nn.BatchNorm2d(4))
    choose_training_layout(network, IMAGES)
    assert network[1].num_batches_tracked == 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_choice_of_a_training_layout_leaves_random_numbers_alone() -> None:
    network = make_convolutions(nn.Dropout(0.5))
    state = torch.get_rng_state()
    choose_training_layout(network, IMAGES)
    assert torch.equal(torch.get_rng_state(), state)


def test_choice_of_a_layout_leaves_no_tensor_in_the_network() -> None:
    """One that inference mode made would end the first backward pass."""
    network = make_convolutions(CachingScale())
    choose_batch_layout(network, IMAGES)
    network(IMAGES).sum().backward()


@pytest.mark.parametrize("n_channels", [1, 3])
def test_reordered_batch_is_convolved_in_channels_last(n_channels: int) -> None:
    batch = IMAGES[:, :n_channels].contiguous()
    reordered = reorder_batch(batch, torch.channels_last)
    assert torch.equal(reordered, batch)
    outputs = nn.Conv2d(n_channels, 4, 3)(reordered)
    assert outputs.is_contiguous(memory_format=torch.channels_last)
    assert not outputs.is_contiguous()

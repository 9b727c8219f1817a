import pytest
import torch
from torch import nn

from mri_stages.training.layout import choose_batch_layout
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

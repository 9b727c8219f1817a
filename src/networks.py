"""The notebook's networks, their sizes derived from the data.

All take images (N, C, H, W) and give logits (N, K): no softmax at the end, no training inside.
At (3, 208, 176) and four classes they are the notebook's, layer by layer.
"""

from collections.abc import Callable
from itertools import pairwise
from math import prod

from torch import nn

from src.cli import InputError
from src.params import Arch

Shape = tuple[int, int, int]  # channels, height, width of one image


def fully_connected(*widths: int) -> list[nn.Module]:
    """Linear layers from each width to the next, ReLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def convolutions(*channels: int) -> list[nn.Module]:
    """Blocks of 5x5 convolution (no padding), ReLU and 2x2 max pooling."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        layers += [nn.Conv2d(n_in, n_out, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return layers


def pixels_left(image_shape: Shape, blocks: int, arch: str) -> int:
    """Pixels of each channel behind `blocks` of `convolutions`; InputError if there are none."""
    _, height, width = image_shape
    smallest = 1
    for _ in range(blocks):
        height, width = (height - 4) // 2, (width - 4) // 2
        smallest = 2 * smallest + 4
    if min(height, width) < 1:
        raise InputError(
            f"{arch}: images of {image_shape[1]} x {image_shape[2]} pixels are too small, expected "
            f"at least {smallest} x {smallest}; take larger images, or remove the models of this "
            "arch from params.yaml"
        )
    return height * width


class SimpleNN1(nn.Sequential):
    def __init__(self, image_shape: Shape, n_classes: int) -> None:
        widths = (prod(image_shape), 1024, 512, 256, 128, 64, n_classes)
        super().__init__(nn.Flatten(), *fully_connected(*widths))


class SimpleNN2(nn.Sequential):
    def __init__(self, image_shape: Shape, n_classes: int) -> None:
        super().__init__(nn.Flatten(), *fully_connected(prod(image_shape), 128, n_classes))


class ConvNN1(nn.Sequential):
    def __init__(self, image_shape: Shape, n_classes: int) -> None:
        features = 16 * pixels_left(image_shape, 2, "ConvNN1")
        super().__init__(
            *convolutions(image_shape[0], 8, 16),
            nn.Flatten(),
            *fully_connected(features, 3000, n_classes),
        )


class ConvNN2(nn.Sequential):
    def __init__(self, image_shape: Shape, n_classes: int) -> None:
        features = 64 * pixels_left(image_shape, 3, "ConvNN2")
        super().__init__(
            *convolutions(image_shape[0], 16, 32, 64),
            nn.Flatten(),
            *fully_connected(features, 128, n_classes),
        )


NETWORKS: dict[Arch, Callable[[Shape, int], nn.Sequential]] = {
    "SimpleNN1": SimpleNN1,
    "SimpleNN2": SimpleNN2,
    "ConvNN1": ConvNN1,
    "ConvNN2": ConvNN2,
}

"""What several architectures are built from."""

from itertools import pairwise

from torch import nn

from src.cli import InputError
from src.storage.arrays import Shape as Shape


def fully_connected(*widths: int) -> list[nn.Module]:
    """Return linear layers from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def convolutions(*channels: int) -> list[nn.Module]:
    """Return blocks of 5x5 convolution (no padding), ReLU and 2x2 max pooling."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        layers += [nn.Conv2d(n_in, n_out, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return layers


def pixels_left(image_shape: Shape, blocks: int, arch: str) -> int:
    """Return the pixels per channel after `blocks` of `convolutions`; InputError if none."""
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

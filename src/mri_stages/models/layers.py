"""What several architectures are built from."""

from itertools import pairwise

from torch import nn

from mri_stages.errors import InputError
from mri_stages.storage.arrays import Shape as Shape


def make_linear_layers(*widths: int) -> list[nn.Module]:
    """Return linear layers from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def make_conv_blocks(*channels: int) -> list[nn.Module]:
    """Return blocks of 5x5 convolution (no padding), ReLU and 2x2 max pooling."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        layers += [nn.Conv2d(n_in, n_out, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return layers


def count_pixels_left(image_shape: Shape, blocks: int) -> int:
    """Return the pixels per channel after `blocks` of `make_conv_blocks`."""
    _, height, width = image_shape
    for _ in range(blocks):
        height = (height - 4) // 2
        width = (width - 4) // 2
    return height * width


def check_size(image_shape: Shape, smallest: int, arch: str) -> None:
    """Raise InputError if a side of the images has fewer than `smallest` pixels."""
    _, height, width = image_shape
    if min(height, width) < smallest:
        raise InputError(
            f"{arch}: images of {height} x {width} pixels are too small, expected at least "
            f"{smallest} x {smallest}; import them with --resize, or remove the models of this arch"
        )

"""The notebook's Conv_NN1: two convolutions, then two linear layers."""

from torch import nn

from mri_stages.models.layers import (
    Shape,
    check_size,
    count_pixels_left,
    make_conv_blocks,
    make_linear_layers,
)


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    check_size(image_shape, 16, "conv_nn1")
    return nn.Sequential(
        *make_conv_blocks(image_shape[0], 8, 16),
        nn.Flatten(),
        *make_linear_layers(16 * count_pixels_left(image_shape, blocks=2), 3000, n_classes),
    )

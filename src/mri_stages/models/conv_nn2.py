"""The notebook's Conv_NN2, Conv_NN3 and Conv_NN4: three convolutions, then two linear layers."""

from torch import nn

from mri_stages.models.layers import (
    Shape,
    check_size,
    count_pixels_left,
    make_conv_blocks,
    make_linear_layers,
)


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    check_size(image_shape, 36, "conv_nn2")
    return nn.Sequential(
        *make_conv_blocks(image_shape[0], 16, 32, 64),
        nn.Flatten(),
        *make_linear_layers(64 * count_pixels_left(image_shape, blocks=3), 128, n_classes),
    )

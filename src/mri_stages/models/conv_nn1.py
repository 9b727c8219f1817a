"""The notebook's Conv_NN1: two convolutions, then two linear layers."""

from torch import nn

from mri_stages.models.layers import Shape, check_size, convolutions, fully_connected, pixels_left


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    check_size(image_shape, 16, "conv_nn1")
    return nn.Sequential(
        *convolutions(image_shape[0], 8, 16),
        nn.Flatten(),
        *fully_connected(16 * pixels_left(image_shape, blocks=2), 3000, n_classes),
    )

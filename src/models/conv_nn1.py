"""The notebook's Conv_NN1: two convolutions, then two linear layers."""

from torch import nn

from src.models.layers import Shape, convolutions, fully_connected, pixels_left


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    features = 16 * pixels_left(image_shape, 2, "conv_nn1")
    return nn.Sequential(
        *convolutions(image_shape[0], 8, 16),
        nn.Flatten(),
        *fully_connected(features, 3000, n_classes),
    )

"""The notebook's Conv_NN2, Conv_NN3 and Conv_NN4: three convolutions, then two linear layers."""

from torch import nn

from src.models.layers import Shape, convolutions, fully_connected, pixels_left


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    features = 64 * pixels_left(image_shape, 3, "conv_nn2")
    return nn.Sequential(
        *convolutions(image_shape[0], 16, 32, 64),
        nn.Flatten(),
        *fully_connected(features, 128, n_classes),
    )

"""The notebook's SimpleNN2: two linear layers."""

from math import prod

from torch import nn

from mri_stages.models.layers import Shape, make_linear_layers


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *make_linear_layers(prod(image_shape), 128, n_classes))

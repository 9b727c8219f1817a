"""The notebook's SimpleNN1: six linear layers."""

from math import prod

from torch import nn

from mri_stages.models.layers import Shape, make_linear_layers


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    widths = (prod(image_shape), 1024, 512, 256, 128, 64, n_classes)
    return nn.Sequential(nn.Flatten(), *make_linear_layers(*widths))

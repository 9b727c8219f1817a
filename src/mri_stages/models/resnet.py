"""A small residual network (He et al. 2015, arXiv:1512.03385), for images from 16 x 16 pixels.

Large images are first averaged over squares of pixels, to a shorter side of 64 to 127 pixels.
"""

from itertools import pairwise

import torch
from torch import nn

from mri_stages.models.layers import Shape, check_size

SHORTER_SIDE = 64  # pixels, at least
WIDTHS = (16, 32, 64, 96)  # channels of each stage; every stage halves the sides


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which a 1x1 convolution fits to their output."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Conv2d(n_in, n_out, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.residual(x) + self.shortcut(x))


def make_network(image_shape: Shape, n_classes: int) -> nn.Module:
    channels, height, width = image_shape
    check_size(image_shape, 16, "resnet")
    blocks = [Block(n_in, n_out) for n_in, n_out in pairwise(WIDTHS)]
    return nn.Sequential(
        nn.AvgPool2d(max(1, min(height, width) // SHORTER_SIDE)),
        nn.Conv2d(channels, WIDTHS[0], 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(WIDTHS[0]),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(WIDTHS[-1], n_classes),
    )

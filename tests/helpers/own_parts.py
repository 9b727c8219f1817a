"""An architecture's file with a loss and an augmentation of its own.

The fixture `own_parts` of tests/training/conftest.py puts it among the architectures.
"""

from math import prod

import torch
from torch import nn


def make_network(image_shape: tuple[int, int, int], n_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(image_shape), n_classes))


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return images (n, C, H, W) with noise, of other strength for each image."""
    strengths = torch.rand(len(images), 1, 1, 1, generator=generator)
    noise = torch.randn(images.shape, generator=generator)
    return images + (strengths * noise).to(images)


def loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the focal loss (Lin et al. 2017, arXiv:1708.02002) with gamma 2."""
    log_p = logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)
    row_losses = -((1 - log_p.exp()) ** 2) * log_p
    if weights is None:
        return row_losses.mean()
    return (weights[labels] * row_losses).sum() / weights[labels].sum()

"""The architectures: `NAME.py` here defines `make_network(image_shape, n_classes)`.

`arch: NAME` in params.yaml names the file. A network takes images (N, C, H, W) float32 and gives
logits (N, K), without softmax. Any nn.Module will do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import torch
from torch import nn

from mri_stages.errors import InputError
from mri_stages.models.layers import Shape


def make_network(arch: str, image_shape: Shape, n_classes: int, seed: int) -> nn.Module:
    """Return a fresh network; `seed` alone decides its initial weights, not the model's name."""
    make = getattr(import_module(f"mri_stages.models.{arch}"), "make_network", None)
    if make is None:
        raise InputError(
            f"src/mri_stages/models/{arch}.py: no function make_network(image_shape, n_classes)"
        )
    torch.manual_seed(seed)
    network: nn.Module = make(image_shape, n_classes)
    _check_logits(network, arch, image_shape, n_classes)
    return network


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put the network in eval mode, and each of its modules back in its own mode afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _check_logits(network: nn.Module, arch: str, image_shape: Shape, n_classes: int) -> None:
    """Raise InputError unless one image gives K logits; leave network and random state alone."""
    with torch.random.fork_rng(devices=[]), torch.no_grad(), eval_mode(network):
        logits = network(torch.zeros(1, *image_shape))
    found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if found != (1, n_classes):
        raise InputError(
            f"src/mri_stages/models/{arch}.py: {found} for one image, expected logits "
            f"(1, {n_classes})"
        )

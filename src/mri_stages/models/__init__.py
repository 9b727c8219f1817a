"""The architectures: each file NAME.py defines `make_network(image_shape, n_classes)`.

`arch: NAME` in params.yaml names the file. A network takes images (N, C, H, W) float32 and returns
logits (N, K), without softmax. It may be any nn.Module.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import torch
from torch import nn

from mri_stages.errors import InputError
from mri_stages.models.layers import Shape

MakeNetwork = Callable[[Shape, int], nn.Module]


def make_network(arch: str, image_shape: Shape, n_classes: int, seed: int) -> nn.Module:
    """Return a fresh network; `seed` alone decides its initial weights, not the model's name.

    image_shape: (C, H, W). InputError if the file has no `make_network`, or if the network does
    not return K logits for an image.
    """
    make = import_architecture(arch)
    torch.manual_seed(seed)
    network = make(image_shape, n_classes)
    check_logits(network, arch, image_shape, n_classes)
    return network


def import_architecture(arch: str) -> MakeNetwork:
    """Return the function `make_network` of the architecture's file; InputError if it has none."""
    module = import_module(f"mri_stages.models.{arch}")
    make: MakeNetwork | None = getattr(module, "make_network", None)
    if make is None:
        raise InputError(
            f"src/mri_stages/models/{arch}.py: no function make_network(image_shape, n_classes)"
        )
    return make


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


def check_logits(network: nn.Module, arch: str, image_shape: Shape, n_classes: int) -> None:
    """Raise InputError unless one image gives K logits; leave network and random state alone."""
    with torch.random.fork_rng(devices=[]), torch.no_grad(), eval_mode(network):
        output = network(torch.zeros(1, *image_shape))

    is_tensor = isinstance(output, torch.Tensor)
    description = tuple(output.shape) if is_tensor else type(output).__name__
    if description != (1, n_classes):
        raise InputError(
            f"src/mri_stages/models/{arch}.py: {description} for one image, expected logits "
            f"(1, {n_classes})"
        )

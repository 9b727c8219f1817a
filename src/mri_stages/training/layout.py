"""The order of a batch's values in memory in which a network computes fastest."""

import copy
from typing import NamedTuple

import torch
from torch import nn

from mri_stages.models import keep_random_state
from mri_stages.training.images import Images
from mri_stages.training.network_checks import outputs_differ

N_TRIED_ROWS = 2


def choose_batch_layout(network: nn.Module, images: Images) -> torch.memory_format:
    """Return the layout of batches to predict.

    It is channels_last if the network has a Conv2d, is on a CPU, and gives the same outputs in it;
    else contiguous.

    images: (N, C, H, W), of which only shape and dtype count: equal networks get equal layouts.
    A copy of the network is tried, in eval mode.
    """
    if has_convolution_on_cpu(network) and predicts_alike_in_channels_last(network, images):
        return torch.channels_last
    return torch.contiguous_format


def choose_training_layout(network: nn.Module, images: Images) -> torch.memory_format:
    """Return the layout of batches to train with, by the same rule.

    images: as in `choose_batch_layout`. Copies of the network are tried, with a backward pass.
    """
    if has_convolution_on_cpu(network) and trains_alike_in_channels_last(network, images):
        return torch.channels_last
    return torch.contiguous_format


def reorder_batch(batch: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    """Return a batch (n, C, H, W) in this layout.

    The values of a single channel lie alike in both layouts. PyTorch then computes in channels_last
    only if the strides say so, which `contiguous` leaves as they are.
    """
    batch = batch.contiguous(memory_format=layout)
    n_rows, n_channels, height, width = batch.shape
    if layout == torch.channels_last and n_channels == 1:
        return batch.as_strided((n_rows, 1, height, width), (height * width, 1, width, 1))
    return batch


def has_convolution_on_cpu(network: nn.Module) -> bool:
    device = next(network.parameters()).device
    has_convolution = any(isinstance(module, nn.Conv2d) for module in network.modules())
    return has_convolution and device.type == "cpu"


def predicts_alike_in_channels_last(network: nn.Module, images: Images) -> bool:
    """Return whether the network gives the same outputs for a batch in either layout.

    A network that calls `view` after a convolution fails for one in channels_last.
    """
    batch = make_batch(images)
    try:
        expected = try_prediction(network, batch)
        outputs = try_prediction(network, reorder_batch(batch, torch.channels_last))
    except Exception:  # of a user's file, of any kind: the prediction itself shows what matters
        return False
    return not outputs_differ(network, outputs, expected)


def trains_alike_in_channels_last(network: nn.Module, images: Images) -> bool:
    """Return whether a step of the network has the same outputs and gradients in either layout.

    Dropout of the pixels of an image draws its random numbers in the order of memory, so a network
    that has it would take other steps than those of the ordinary layout.
    """
    batch = make_batch(images)
    try:
        expected = try_step(network, batch)
        step = try_step(network, reorder_batch(batch, torch.channels_last))
    except Exception:  # of a user's file, of any kind: the training itself shows what matters
        return False
    if outputs_differ(network, step.outputs, expected.outputs):
        return False
    return not outputs_differ(network, step.gradients, expected.gradients)


def make_batch(images: Images) -> torch.Tensor:
    """Return a few rows (n, C, H, W) with the shape and dtype of `images`."""
    shape = (N_TRIED_ROWS, *images.shape[1:])
    n_values = torch.Size(shape).numel()
    return torch.linspace(-1, 1, n_values, dtype=images.dtype).view(shape)


def try_prediction(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return the outputs (n, K) of a copy of the network in eval mode."""
    network = copy.deepcopy(network).eval()
    with keep_random_state(torch.device("cpu")), torch.inference_mode():
        outputs: torch.Tensor = network(batch)
    return outputs


class TriedStep(NamedTuple):
    """What a step computes."""

    outputs: torch.Tensor  # (n, K)
    gradients: torch.Tensor  # (1, P), of all parameters


def try_step(network: nn.Module, batch: torch.Tensor) -> TriedStep:
    """Return what a step of a copy of the network computes."""
    network = copy.deepcopy(network)
    with keep_random_state(torch.device("cpu")):
        outputs: torch.Tensor = network(batch)
        # The sum of outputs after a softmax has no gradient, so each output has a weight.
        weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype)
        (outputs.flatten() * weights).sum().backward()
    gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
    return TriedStep(outputs.detach(), torch.cat(gradients)[None])

"""The order of a batch's values in memory in which a network computes fastest."""

import torch
from torch import nn

from mri_stages.models import keep_random_state
from mri_stages.training.images import Images
from mri_stages.training.network_checks import keep_buffers, outputs_differ

N_TRIED_ROWS = 2


def choose_batch_layout(network: nn.Module, images: Images) -> torch.memory_format:
    """Return channels_last if the network has a Conv2d, is on a CPU, and takes it; else contiguous.

    images: (N, C, H, W), of which only shape and dtype count: equal networks get equal layouts.
    The network is tried as it is, so it should be in eval mode; its buffers do not change.
    """
    device = next(network.parameters()).device
    has_convolution = any(isinstance(module, nn.Conv2d) for module in network.modules())
    if has_convolution and device.type == "cpu" and takes_channels_last(network, images):
        return torch.channels_last
    return torch.contiguous_format


@torch.inference_mode()
def takes_channels_last(network: nn.Module, images: Images) -> bool:
    """Return whether the network gives the same outputs for a batch in either layout.

    A network that calls `view` after a convolution fails for one in channels_last.
    """
    shape = (N_TRIED_ROWS, *images.shape[1:])
    n_values = torch.Size(shape).numel()
    batch = torch.linspace(-1, 1, n_values, dtype=images.dtype).view(shape)
    with keep_random_state(torch.device("cpu")), keep_buffers(network):
        expected = network(batch)
        try:
            outputs = network(batch.contiguous(memory_format=torch.channels_last))
        except RuntimeError:
            return False
    return not outputs_differ(network, outputs, expected)

"""The logits of a network, computed in batches. Nothing else computes logits in batches."""

import torch
from torch import nn

from mri_stages.models import Ensemble, eval_mode, join_networks
from mri_stages.training.condensed import explain_why_not_reduced, reduce_channels
from mri_stages.training.images import (
    Images,
    drop_equal_channels,
    have_equal_channels,
    iterate_batches,
)
from mri_stages.training.layout import choose_batch_layout, reorder_batch


@torch.inference_mode()
def predict_logits(
    network: nn.Module,
    images: Images,
    indices: torch.Tensor | None = None,
    batch_size: int = 16,
    layout: torch.memory_format | None = None,
) -> torch.Tensor:
    """Return the logits (n, K) of a network in eval mode, on the CPU; leave its modes as they are.

    images: (N, C, H, W), on any device; they stay as they are, also where a network changes its
    input in place. indices: (n,), of the rows to predict; without it, all. layout: what
    `choose_batch_layout` returned for such images; without it, it is asked here.
    The logits have the network's dtype, but at least float32.
    """
    device = next(network.parameters()).device
    if layout is None:
        layout = choose_batch_layout(network, images)
    faster_network, stored_images = drop_needless_work(network, images)
    batches = iterate_batches(stored_images, batch_size, device, indices)
    with eval_mode(network):
        logits = torch.cat(
            [faster_network(reorder_batch(batch.clone(), layout)) for batch in batches]
        )
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).cpu()


def drop_needless_work(network: nn.Module, images: Images) -> tuple[nn.Module, Images]:
    """Return a network and images with the same logits, within rounding, and less arithmetic.

    Equal channels are read once, and pooling comes before ReLU, where condensed.py knows that this
    is exact; else both come back as they are. The network is valid until `network` is trained.
    """
    members = list(network) if isinstance(network, Ensemble) else [network]
    if any(explain_why_not_reduced(member) is not None for member in members):
        return network, images

    n_copies = images.shape[1] if have_equal_channels(images) else 1
    reduced = [reduce_channels(member, n_copies) for member in members]
    return join_networks(reduced), drop_equal_channels(images)

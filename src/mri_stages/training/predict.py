"""The logits of a network, computed in batches. Nothing else computes logits in batches."""

import torch
from torch import nn

from mri_stages.models import eval_mode
from mri_stages.training.images import Images, iterate_batches
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
    batches = iterate_batches(images, batch_size, device, indices)
    if layout is None:
        layout = choose_batch_layout(network, images)
    with eval_mode(network):
        logits = torch.cat([network(reorder_batch(batch.clone(), layout)) for batch in batches])
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).cpu()

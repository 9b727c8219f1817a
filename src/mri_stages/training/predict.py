"""The predictions of a network."""

import torch
from torch import nn


@torch.inference_mode()
def predict_logits(network: nn.Module, x: torch.Tensor, batch_size: int = 16) -> torch.Tensor:
    """Return logits (N, K) float32 on the CPU for images `x` (N, C, H, W); leave eval mode on."""
    device = next(network.eval().parameters()).device
    batches = (batch.to(device).contiguous() for batch in x.split(batch_size))
    return torch.cat([network(batch).float().cpu() for batch in batches])

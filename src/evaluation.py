"""What a network predicts, and at what loss."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


@torch.inference_mode()
def predict_logits(network: nn.Module, x: torch.Tensor, batch_size: int = 16) -> torch.Tensor:
    """Logits (N, K) float32 on the CPU for images `x` (N, C, H, W), in eval mode, in batches.

    In channels_last, the fastest layout of convolutions, which the weights keep.
    """
    device, layout = next(network.parameters()).device, torch.channels_last
    network.eval().to(memory_format=layout)  # type: ignore[call-overload]
    batches = (batch.to(device).contiguous(memory_format=layout) for batch in x.split(batch_size))
    return torch.cat([network(batch).cpu() for batch in batches])


def mean_cross_entropy(logits: torch.Tensor, y: NDArray[np.int64]) -> float:
    """Of logits (N, K) and labels (N,), added up in float64; may be infinite or NaN."""
    return float(nn.functional.cross_entropy(logits.double(), torch.from_numpy(y)))

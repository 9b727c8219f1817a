"""What a network predicts, and what the predictions are worth."""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, recall_score
from torch import nn

from src.intervals import interval


@torch.inference_mode()
def predict_logits(network: nn.Module, x: torch.Tensor, batch_size: int = 64) -> torch.Tensor:
    """Logits (N, K) float32 on the CPU for images `x` (N, C, H, W), in eval mode, in batches."""
    device = next(network.parameters()).device
    network.eval()
    return torch.cat([network(batch.to(device)).cpu() for batch in x.split(batch_size)])


def score(
    logits: torch.Tensor, y: NDArray[np.int64], subjects: NDArray[np.int64] | None
) -> dict[str, float]:
    """The metrics of one model from its logits (N, K), labels and subject ids (N,).

    Balanced accuracy and macro F1 are means over the classes that the test rows hold. `loss` is
    the mean cross-entropy, added up in float64, and may not be finite.
    """
    predicted = logits.argmax(1).numpy()
    present = np.unique(y)
    low, high = interval(predicted == y, subjects)
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "low": low,
        "high": high,
        "balanced": float(recall_score(y, predicted, labels=present, average="macro")),
        "macro_f1": float(
            f1_score(y, predicted, labels=present, average="macro", zero_division=0.0)
        ),
        "loss": float(nn.functional.cross_entropy(logits.double(), torch.from_numpy(y))),
    }

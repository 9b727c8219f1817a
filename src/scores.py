"""What predictions are worth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, recall_score

from src.intervals import interval


def score(
    predicted: NDArray[np.int64],
    y: NDArray[np.int64],
    subjects: NDArray[np.int64] | None,
    scored: Sequence[int],
) -> dict[str, float]:
    """Metrics of predicted labels (N,) against labels and, where known, subject ids (N,).

    Accuracy with its 95 % interval is over all rows. Balanced accuracy and macro F1 are means over
    the classes `scored`, and left out where these are none.
    """
    low, high = interval(predicted == y, subjects)
    metrics = {"accuracy": float(accuracy_score(y, predicted)), "low": low, "high": high}
    if not scored:
        return metrics
    over = {"labels": list(scored), "average": "macro", "zero_division": 0.0}
    return {
        **metrics,
        "balanced": float(recall_score(y, predicted, **over)),
        "macro_f1": float(f1_score(y, predicted, **over)),
    }

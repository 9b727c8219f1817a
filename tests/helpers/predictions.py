"""Drawn predictions, for tests of metrics and curves."""

import numpy as np

from mri_stages.storage.predictions import Predictions


def draw_predictions(n: int = 90, seed: int = 0, n_classes: int = 3) -> Predictions:
    """Return predictions of ten rows per subject, better than chance, with many equal scores."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n, n_classes)).round(1) + np.eye(n_classes)[labels]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(np.arange(n), np.arange(n) // 10, labels, p.astype(np.float32))

"""Seeded samples that keep the share of each kind."""

import numpy as np
from numpy.typing import NDArray


def sample_each_kind(kinds: NDArray[np.int64], max_kept: int, n_total: int) -> NDArray[np.int64]:
    """Return indices into `kinds` (U,): the share `max_kept` / `n_total` of each, at least one.

    The indices are in ascending order of kinds; those of one kind are in the order of the draw.
    """
    rng = np.random.default_rng(0)
    samples = []
    for kind in np.unique(kinds):
        candidates = np.flatnonzero(kinds == kind)
        n_samples = max(1, len(candidates) * max_kept // n_total)
        samples.append(rng.choice(candidates, n_samples, replace=False))
    return np.concatenate(samples)

"""Which differences between models are larger than the luck of a start."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy.stats import ttest_ind

from src.pairs import LEVEL, holm
from src.study_cells import Cell, numbers


def model_differences(
    models: Mapping[str, Sequence[Cell]],
) -> list[tuple[str, str, float, float, float, bool]]:
    """Each pair of models: mean held-out accuracies over the seeds, p, and whether p < 0.05.

    p by Welch's t test, Holm-corrected over the pairs: it asks how often seeds alone would set two
    models so far apart, all on the same held-out rows. What other rows would say it does not ask.
    With one seed, or two models that no seed moves, there is no luck to compare with: p is 1.
    """
    accuracies = {name: numbers(cells, "held_out_accuracy") for name, cells in models.items()}
    pairs = list(combinations(accuracies, 2))
    corrected = holm([welch(accuracies[a], accuracies[b]) for a, b in pairs])
    return [
        (a, b, float(np.mean(accuracies[a])), float(np.mean(accuracies[b])), p, p < LEVEL)
        for (a, b), p in zip(pairs, corrected, strict=True)
    ]


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    if min(len(a), len(b)) < 2 or len({*a}) == len({*b}) == 1:
        return 1.0
    return float(ttest_ind(a, b, equal_var=False).pvalue)

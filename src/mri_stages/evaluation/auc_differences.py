"""Differences of AUC between models on the same new subjects, with intervals and p values."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mri_stages.evaluation.confidence import (
    average_repeats,
    compute_complete_interval,
    draw_shares_of_repeats,
    draw_weights,
)
from mri_stages.evaluation.holm import PValue, correct_rows
from mri_stages.evaluation.roc_auc import compute_weighted_aucs
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import Difference

Repeats = Sequence[Predictions]  # of one model; each of them has every unit once
RepeatsByModel = Mapping[str, Repeats]
Areas = NDArray[np.float64]  # (R, 1 + B) of R repeats: the AUC, and that of each of B resamples
Unit = tuple[int, int]  # a subject (without ids, a row), and one of its classes


def compare_aucs(
    networks: RepeatsByModel, baselines: RepeatsByModel, negative_label: int | None
) -> list[Difference]:
    """Return the difference of each network from each baseline, and from each later network.

    Two models are compared on the units that both score. A pair without an AUC there is left out.
    p is corrected (Holm) over the networks for each baseline, and over the pairs of networks.
    """
    families = [[(network, baseline) for network in networks] for baseline in baselines]
    families.append(list(combinations(networks, 2)))
    table = AreaTable({**networks, **baselines}, negative_label)

    differences = []
    for family in families:
        rows = [table.compare(first, second) for first, second in family]
        differences += correct_rows([row for row in rows if row is not None])
    return differences


class AreaTable:
    """The AUCs of models on sets of units, each computed once.

    All sets of the same units have the same resamples, since these are seeded: so the areas of two
    models are paired.
    """

    def __init__(self, repeats_by_model: RepeatsByModel, negative_label: int | None) -> None:
        self.repeats_by_model = repeats_by_model
        self.negative_label = negative_label
        self.positions = {
            name: locate_units(repeats[0]) for name, repeats in repeats_by_model.items()
        }
        self.areas: dict[tuple[str, tuple[Unit, ...]], Areas] = {}

    def compare(self, first: str, second: str) -> Difference | None:
        """Return the difference on the units that both score; None where there is no AUC."""
        positions = self.positions[second]
        units = tuple(unit for unit in self.positions[first] if unit in positions)
        if not units:
            return None
        first_areas = self.compute_areas(first, units)
        second_areas = self.compute_areas(second, units)
        n_repeats = min(len(first_areas), len(second_areas))
        differences = first_areas[:n_repeats] - second_areas[:n_repeats]
        value = float(differences[:, 0].mean())
        if np.isnan(value):
            return None

        resampled = resample_repeats(differences[:, 1:])
        interval = compute_complete_interval(resampled)
        if interval is None:
            return Difference(first, second, value, None, None, 1.0, len(units))
        p, is_floor = compute_bootstrap_p(resampled)
        return Difference(
            first, second, value, interval.low, interval.high, p, len(units), is_floor
        )

    def compute_areas(self, name: str, units: tuple[Unit, ...]) -> Areas:
        """Return the areas (R, 1 + B) of a model on these units."""
        key = (name, units)
        if key not in self.areas:
            repeats = select_units(self.repeats_by_model[name], units)
            self.areas[key] = compute_areas(repeats, self.negative_label)
        return self.areas[key]


def locate_units(predictions: Predictions) -> dict[Unit, int]:
    """Return the position of each unit, in ascending order of units."""
    ids = predictions.rows if predictions.subjects is None else predictions.subjects
    units = list(zip(ids.tolist(), predictions.labels.tolist(), strict=True))
    positions = {unit: position for position, unit in enumerate(units)}
    return {unit: positions[unit] for unit in sorted(units)}


def select_units(repeats: Repeats, units: Sequence[Unit]) -> list[Predictions]:
    """Return the predictions of these units, in this order, for each repeat."""
    selected = []
    for predictions in repeats:
        positions = locate_units(predictions)
        indices = np.array([positions[unit] for unit in units], np.int64)
        columns = [None if column is None else column[indices] for column in predictions]
        selected.append(Predictions._make(columns))
    return selected


def compute_areas(repeats: Repeats, negative_label: int | None) -> Areas:
    """Return the AUC of each of R repeats, and of each of B seeded resamples: (R, 1 + B).

    An area is NaN where there are no positives or no negatives.
    """
    n_units = len(repeats[0].labels)
    weights_of_blocks = [np.ones((1, n_units)), *draw_weights(n_units, repeats[0].subjects)]
    with np.errstate(invalid="ignore"):  # 0 / 0 in a resample of one class
        areas = [
            compute_weighted_aucs(repeats, negative_label, weights) for weights in weights_of_blocks
        ]
    return np.concatenate(areas, axis=1)


def resample_repeats(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each resample (B,) the mean over R - 1 drawn repeats of values (R, B)."""
    n_repeats, n_resamples = values.shape
    shares = draw_shares_of_repeats(n_repeats, n_resamples, np.random.default_rng(1))
    means: NDArray[np.float64] = average_repeats(values[None], shares)[0]
    return means


def compute_bootstrap_p(resampled: NDArray[np.float64]) -> PValue:
    """Return the two-sided p of no difference, from resampled differences (B,).

    It is twice the share of resamples at or beyond 0, so it agrees with the percentile interval.
    One is added to counts, as in a permutation test: p is never 0.
    """
    known = resampled[~np.isnan(resampled)]
    n_beyond = min((known <= 0).sum(), (known >= 0).sum())
    p = float(min(1.0, 2 * (1 + n_beyond) / (1 + len(known))))
    return PValue(p, bool(n_beyond == 0 and p < 1))

"""A baseline of brightness: it knows how grey the pixels of a unit are, and not where they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mri_stages.baselines.regression import predict_by_regression
from mri_stages.baselines.units import Units, sum_by_unit
from mri_stages.storage.arrays import iterate_chunks, to_pixels

N_BINS = 8
PENALTY = 1.0  # C of scikit-learn

Floats = NDArray[np.float64]
Parts = Sequence[NDArray[Any]]  # stored rows (n, D), N in all


class GreyLevels:
    """The grey levels of units (U,), from stored rows (N, D).

    means, deviations, lows, highs: (U,) over all pixels of all rows of a unit.
    """

    def __init__(self, parts: Parts, units: Units) -> None:
        self.parts = parts
        self.units = units
        n_units = len(units.first_rows)
        row_counts = np.bincount(units.unit_of_row, minlength=n_units)
        self.n_pixels = row_counts * parts[0].shape[1]
        self._shares: dict[tuple[float, float], Floats] = {}  # by range

        # Sums and squares add up in float64.
        row_lows, row_highs, row_sums, row_squares = measure_rows(parts)
        self.means = sum_by_unit(row_sums, units) / self.n_pixels
        mean_squares = sum_by_unit(row_squares, units) / self.n_pixels
        self.deviations = np.sqrt(np.maximum(mean_squares - self.means**2, 0))
        self.lows = np.full(n_units, np.inf)
        np.minimum.at(self.lows, units.unit_of_row, row_lows)
        self.highs = np.full(n_units, -np.inf)
        np.maximum.at(self.highs, units.unit_of_row, row_highs)

    def select(self, indices: NDArray[np.int64]) -> "SelectedLevels":
        """Return the grey levels of some units (n,)."""
        return SelectedLevels(self, indices)

    def compute_features(self, low: float, high: float) -> Floats:
        """Return mean, deviation and the shares of pixels in equal bins of a range: (U, 2 + B).

        A pixel outside the range counts in the bin next to it. The pixels are counted once for
        each range; folds mostly have the same one.
        """
        if (low, high) not in self._shares:
            counts = count_in_bins(self.parts, np.linspace(low, high, N_BINS + 1)[1:-1])
            shares = sum_by_unit(counts, self.units) / self.n_pixels[:, None]
            self._shares[low, high] = shares
        return np.column_stack([self.means, self.deviations, self._shares[low, high]])


class SelectedLevels:
    """The grey levels of some units (n,) of all."""

    def __init__(self, levels: GreyLevels, indices: NDArray[np.int64]) -> None:
        self.levels = levels
        self.indices = indices
        self.lows = levels.lows[indices]
        self.highs = levels.highs[indices]

    def compute_features(self, low: float, high: float) -> Floats:
        """Return the features (n, 2 + B) of these units."""
        return self.levels.compute_features(low, high)[self.indices]


def measure_rows(parts: Parts) -> tuple[Floats, Floats, Floats, Floats]:
    """Return least and greatest pixel, sum, and sum of squares of each row: four times (N,)."""
    blocks = []
    for part in parts:
        for chunk in iterate_chunks(len(part), 8 * part.shape[1], "grey levels"):
            pixels = to_pixels(part[chunk]).astype(np.float64)
            block = [pixels.min(1), pixels.max(1), pixels.sum(1), (pixels**2).sum(1)]
            blocks.append(np.stack(block))
    lows, highs, sums, squares = np.concatenate(blocks, axis=1)
    return lows, highs, sums, squares


def count_in_bins(parts: Parts, edges: Floats) -> NDArray[np.int64]:
    """Return for each row how many pixels are in each bin (N, B), given the B - 1 inner edges.

    A pixel that is equal to an edge is above it.
    """
    counts_above = []
    for part in parts:
        for chunk in iterate_chunks(len(part), 4 * part.shape[1], "grey levels"):
            pixels = to_pixels(part[chunk])
            above = [(pixels >= float(edge)).sum(1) for edge in edges]
            counts_above.append(np.stack(above, axis=1))
    above_edges = np.concatenate(counts_above)
    n_pixels = np.full((len(above_edges), 1), parts[0].shape[1])
    return -np.diff(above_edges, axis=1, prepend=n_pixels, append=0)


def predict_brightness(
    levels: GreyLevels | SelectedLevels,
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    n_classes: int,
) -> NDArray[np.float32]:
    """Return class probabilities (U, K), those of each fold from a fit on the other folds.

    Range, mean and deviation of the features are those of the other folds too.
    """
    probabilities = np.zeros((len(labels), n_classes), np.float32)
    # Small matrices: more threads would only wait, and add in another order.
    with threadpool_limits(1):
        for fold in np.unique(folds):
            train_mask = folds != fold
            low = float(levels.lows[train_mask].min())
            high = float(levels.highs[train_mask].max())
            features = levels.compute_features(low, high)
            scaler = StandardScaler().fit(features[train_mask])
            probabilities[~train_mask] = predict_by_regression(
                scaler.transform(features[train_mask]),
                labels[train_mask],
                scaler.transform(features[~train_mask]),
                n_classes,
                PENALTY,
            )
    return probabilities

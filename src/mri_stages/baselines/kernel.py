"""A baseline of similarity: kernel logistic regression on the mean image of each unit.

The kernel of two images at distance d is exp(-width * d^2 / m); m is the median of d^2 between
training units. A width is inverse: a large one makes only very similar images similar.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mri_stages.baselines.inner_folds import InnerSplit, list_inner_folds, split_inner_folds
from mri_stages.baselines.regression import predict_by_regression
from mri_stages.evaluation.roc_auc import compute_auc
from mri_stages.storage.predictions import Predictions

MAX_UNITS = 2000  # the work grows with their cube
N_INNER_FOLDS = 3
WIDTHS = (0.3, 1.0, 3.0)
PIXEL_BLOCK = 4096  # pixels of all images that are in memory as float64 at a time
PENALTIES = (0.1, 1.0, 10.0)  # C of scikit-learn: a small one is a strong penalty

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Probabilities = NDArray[np.float32]


class Setting(NamedTuple):
    """What inner folds choose."""

    width: float
    penalty: float


SETTINGS = [Setting(width, penalty) for width, penalty in product(WIDTHS, PENALTIES)]
STRONGEST_SETTING = SETTINGS[0]


def compute_squared_distances(images: NDArray[Any]) -> Floats:
    """Return the squared Euclidean distances (U, U) of images (U, D), in float64."""
    n_units, n_pixels = images.shape
    products = np.zeros((n_units, n_units))
    with threadpool_limits(1):  # more threads would add in another order
        for start in range(0, n_pixels, PIXEL_BLOCK):
            pixels = images[:, start : start + PIXEL_BLOCK].astype(np.float64)
            pixels -= pixels.mean(0)  # near 0 the differences below lose no digits
            products += pixels @ pixels.T
    lengths = products.diagonal()
    return np.maximum(lengths[:, None] + lengths - 2 * products, 0)


def predict_kernel(
    distances: Floats,
    labels: Integers,
    folds: Integers,
    n_classes: int,
    negative_label: int | None,
) -> Probabilities:
    """Return class probabilities (U, K), those of each fold from a fit on the other folds.

    distances: (U, U) squared. Width and penalty are those with the highest AUC of inner folds.
    negative_label: as in `compute_auc`.
    """
    probabilities = np.zeros((len(labels), n_classes), np.float32)
    with threadpool_limits(1):
        for fold in np.unique(folds):
            train = np.flatnonzero(folds != fold)
            test = np.flatnonzero(folds == fold)
            train_distances = distances[np.ix_(train, train)]
            train_labels = labels[train]
            setting = choose_setting(train_distances, train_labels, n_classes, negative_label)
            split = InnerSplit(train, test)
            probabilities[test] = fit_and_predict(distances, labels, split, n_classes, setting)
    return probabilities


def choose_setting(
    distances: Floats, labels: Integers, n_classes: int, negative_label: int | None
) -> Setting:
    """Return the setting with the highest AUC of inner folds, the first of equal ones.

    Without any inner folds it is the one with the smoothest kernel and the strongest penalty.
    """
    n_folds = min(N_INNER_FOLDS, int(np.bincount(labels).max()))
    if n_folds < 2:
        return STRONGEST_SETTING
    splits = split_inner_folds(labels, n_folds)
    folds = list_inner_folds(splits, len(labels))

    aucs = []
    for probabilities in predict_with_settings(distances, labels, splits, n_classes):
        predictions = Predictions(np.arange(len(labels)), None, labels, probabilities, folds)
        aucs.append(compute_auc(predictions, negative_label) or 0)
    return SETTINGS[int(np.argmax(aucs))]


def predict_with_settings(
    distances: Floats, labels: Integers, splits: Sequence[InnerSplit], n_classes: int
) -> NDArray[np.float32]:
    """Return probabilities (settings, U, K), those of each inner fold from the others."""
    probabilities = np.zeros((len(SETTINGS), len(labels), n_classes), np.float32)
    for split in splits:
        for width in WIDTHS:
            # The components are the same for all penalties.
            x_train, x_test = compute_kernel_components(distances, split, width)
            for index, setting in enumerate(SETTINGS):
                if setting.width == width:
                    probabilities[index, split.test] = predict_by_regression(
                        x_train, labels[split.train], x_test, n_classes, setting.penalty
                    )
    return probabilities


def fit_and_predict(
    distances: Floats, labels: Integers, split: InnerSplit, n_classes: int, setting: Setting
) -> Probabilities:
    """Return probabilities (n, K) of the test units of a split, from a fit on its others."""
    x_train, x_test = compute_kernel_components(distances, split, setting.width)
    return predict_by_regression(x_train, labels[split.train], x_test, n_classes, setting.penalty)


def compute_kernel_components(
    distances: Floats, split: InnerSplit, width: float
) -> tuple[Floats, Floats]:
    """Return features of the training and of the test units whose dot products are the kernel.

    A penalty of their weights is that of the function in the kernel's space: logistic regression on
    them is kernel logistic regression. Directions without length are left out.
    """
    train_distances = distances[np.ix_(split.train, split.train)]
    scale = find_scale(train_distances)
    train_kernel = np.exp(-width / scale * train_distances)
    test_kernel = np.exp(-width / scale * distances[np.ix_(split.test, split.train)])

    values, vectors = np.linalg.eigh(train_kernel)
    smallest_value = values[-1] * len(values) * np.finfo(np.float64).eps
    kept_mask = values > smallest_value
    lengths = np.sqrt(values[kept_mask])
    vectors = vectors[:, kept_mask]
    return vectors * lengths, test_kernel @ vectors / lengths


def find_scale(distances: Floats) -> float:
    """Return the median of the squared distances (n, n) between two units; 1 if all are equal.

    Where most units are equal, it is the mean.
    """
    pairs = distances[np.triu_indices(len(distances), 1)]
    if len(pairs) == 0:
        return 1.0
    return float(np.median(pairs)) or float(pairs.mean()) or 1.0

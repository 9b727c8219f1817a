"""A linear baseline: logistic regression on the mean image of each subject."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mri_stages.baselines.inner_folds import InnerSplit, list_inner_folds, split_inner_folds
from mri_stages.baselines.regression import fit_classes
from mri_stages.evaluation.roc_auc import compute_auc
from mri_stages.storage.arrays import select_rows, to_pixels
from mri_stages.storage.predictions import Predictions

N_INNER_FOLDS = 5
PENALTIES = 10.0 ** np.arange(-2, 3)  # C of scikit-learn: a small one is a strong penalty

Images = NDArray[np.float32]  # (S, D) mean images of units, as pixels
Labels = NDArray[np.int64]  # (S,)
Folds = NDArray[np.int64]  # (S,)
Components = NDArray[Any]  # (n, P)
Probabilities = NDArray[np.float32]  # (n, K)


def predict_linear(images: Images, labels: Labels, folds: Folds, n_classes: int) -> Probabilities:
    """Return class probabilities (S, K), those of each fold from a fit on the other folds.

    It is logistic regression in the principal components of the training images: lossless for a
    linear model, and much smaller than the pixels.
    """
    probabilities = np.zeros((len(labels), n_classes), np.float32)
    # Small matrices: more threads would only wait, and add in another order.
    with threadpool_limits(1):
        for fold in np.unique(folds):
            train_mask = folds != fold
            test_mask = folds == fold
            train_classes = np.unique(labels[train_mask])
            if len(train_classes) == 1:  # of a sample: there is nothing to learn but this class
                probabilities[test_mask, train_classes[0]] = 1
                continue
            penalty = choose_penalty(images[train_mask], labels[train_mask], n_classes)
            x_train, x_test = compute_components(images[train_mask], images[test_mask])
            probabilities[test_mask] = fit_and_predict_linear(
                x_train, labels[train_mask], x_test, n_classes, penalty
            )
    return probabilities


def compute_mean_images(
    parts: Sequence[NDArray[Any]], units: NDArray[np.int64], selected_units: NDArray[np.int64]
) -> Images:
    """Return the mean image (S, D), as pixels, of each of the selected units (S,).

    parts: stored rows (n, D), N in all. units: (N,), that of each row.
    """
    means = []
    for unit in selected_units:
        indices = np.flatnonzero(units == unit)
        means.append(to_pixels(select_rows(parts, indices)).mean(0))
    return np.stack(means)


def compute_components(train: Images, test: Images) -> tuple[Components, Components]:
    """Return the principal components of standardised images, of length 1 on average."""
    scaler = StandardScaler().fit(train)
    if not scaler.var_.any():  # all images are equal: there is no component
        return np.zeros((len(train), 1)), np.zeros((len(test), 1))
    kernel = KernelPCA()
    x_train = kernel.fit_transform(scaler.transform(train))
    x_test = kernel.transform(scaler.transform(test))
    length = np.sqrt((x_train**2).sum(1).mean())
    return x_train / length, x_test / length


def fit_and_predict_linear(
    x_train: Components, labels: Labels, x_test: Components, n_classes: int, penalty: float
) -> Probabilities:
    """Return probabilities (n, K) of `x_test`, 0 for classes that are not among the labels."""
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000, tol=1e-6)
    fit_classes(model, x_train, labels)
    probabilities = np.zeros((len(x_test), n_classes), np.float32)
    probabilities[:, np.unique(labels)] = model.predict_proba(x_test)
    return probabilities


def choose_penalty(images: Images, labels: Labels, n_classes: int) -> float:
    """Return the C with the highest AUC on inner folds; without any, the strongest penalty."""
    n_folds = min(N_INNER_FOLDS, int(np.bincount(labels).max()))
    if n_folds < 2:
        return float(PENALTIES[0])
    splits = split_inner_folds(labels, n_folds)
    folds = list_inner_folds(splits, len(labels))
    probabilities = predict_with_penalties(images, labels, splits, n_classes)
    aucs = []
    for penalty_probabilities in probabilities:
        predictions = Predictions(
            np.arange(len(labels)), None, labels, penalty_probabilities, folds
        )
        aucs.append(compute_auc(predictions, None) or 0)
    return float(PENALTIES[np.argmax(aucs)])


def predict_with_penalties(
    images: Images, labels: Labels, splits: Sequence[InnerSplit], n_classes: int
) -> NDArray[np.float32]:
    """Return probabilities (penalties, S, K); 0 where one class is all that is left to fit."""
    probabilities = np.zeros((len(PENALTIES), len(labels), n_classes), np.float32)
    for split in splits:
        train_labels = labels[split.train]
        if len(np.unique(train_labels)) < 2:
            continue
        x_train, x_test = compute_components(images[split.train], images[split.test])
        for index, penalty in enumerate(PENALTIES):
            probabilities[index, split.test] = fit_and_predict_linear(
                x_train, train_labels, x_test, n_classes, penalty
            )
    return probabilities

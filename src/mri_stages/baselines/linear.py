"""A linear baseline: logistic regression on the mean image of each subject."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mri_stages.evaluation.metrics import compute_auc
from mri_stages.storage.arrays import select_rows, to_pixels
from mri_stages.storage.predictions import Predictions

INNER_FOLDS = 5
PENALTIES = 10.0 ** np.arange(-2, 3)  # C of scikit-learn: a small one is a strong penalty

Images = NDArray[np.float32]  # (S, D)
Numbers = NDArray[np.int64]  # (S,)


def linear_probabilities(
    images: Images, labels: Numbers, folds: Numbers, n_classes: int
) -> NDArray[np.float32]:
    """Return class probabilities (S, K) of units (S,), those of each fold from the others.

    It is logistic regression on the mean image of each unit, in the principal components of the
    training images: they span all that its weights can be, and are fewer than the pixels.
    """
    found = np.zeros((len(labels), n_classes), np.float32)
    with threadpool_limits(1):  # small matrices: more threads only wait, and add in another order
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            penalty = best_penalty(images[train], labels[train], n_classes)
            x_train, x_test = components(images[train], images[test])
            found[test] = probabilities(x_train, labels[train], x_test, n_classes, penalty)
    return found


def mean_images(parts: Sequence[NDArray[Any]], units: Numbers, chosen: Numbers) -> Images:
    """Return the mean image (S, D), as pixels, of each of the units `chosen` (S,).

    parts: stored rows (n, D), N in all. units: (N,), that of each row.
    """
    rows = (np.flatnonzero(units == unit) for unit in chosen)
    return np.stack([to_pixels(select_rows(parts, of_unit)).mean(0) for of_unit in rows])


def components(train: Images, test: Images) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the principal components of standardised images, of length 1 on average."""
    scaler = StandardScaler().fit(train)
    if not scaler.var_.any():  # all images are equal: there is no component
        return np.zeros((len(train), 1)), np.zeros((len(test), 1))
    kernel = KernelPCA(remove_zero_eig=True)
    x = kernel.fit_transform(scaler.transform(train))
    length = np.sqrt((x**2).sum(1).mean())
    return x / length, kernel.transform(scaler.transform(test)) / length


def probabilities(
    x: NDArray[Any], labels: Numbers, x_test: NDArray[Any], n_classes: int, penalty: float
) -> NDArray[np.float32]:
    """Return probabilities (m, K), 0 for classes that are not among the labels."""
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000, tol=1e-6)
    found = np.zeros((len(x_test), n_classes), np.float32)
    found[:, np.unique(labels)] = model.fit(x, labels).predict_proba(x_test)
    return found


def best_penalty(images: Images, labels: Numbers, n_classes: int) -> float:
    """Return the C with the highest AUC on inner folds; without any, the strongest penalty."""
    n_folds = min(INNER_FOLDS, int(np.bincount(labels).max()))
    if n_folds < 2:
        return float(PENALTIES[0])
    found = np.zeros((len(PENALTIES), len(labels), n_classes), np.float32)
    folds = np.zeros_like(labels)
    inner = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of rare classes
        parts = list(inner.split(images, labels))
    for number, (train, test) in enumerate(parts):
        folds[test] = number
        if len(np.unique(labels[train])) > 1:
            x, x_test = components(images[train], images[test])
            for p, penalty in zip(found, PENALTIES, strict=True):
                p[test] = probabilities(x, labels[train], x_test, n_classes, penalty)
    of_inner = Predictions(np.arange(len(labels)), None, labels, found[0], folds)
    aucs = [compute_auc(of_inner._replace(probabilities=p), None) or 0 for p in found]
    return float(PENALTIES[np.argmax(aucs)])

"""Logistic regression on features of units, of classes that need not all be there."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mri_stages.console import print_once

# Newton's method takes a few steps where L-BFGS, for features that correlate, takes hundreds.
SOLVER = "newton-cg"
MAX_STEPS = 1000
TOLERANCE = 1e-6

Features = NDArray[Any]  # (n, P)
Labels = NDArray[np.int64]  # (n,)
Probabilities = NDArray[np.float32]  # (n, K)


def fit_classes(model: LogisticRegression, features: Features, labels: Labels) -> None:
    """Fit a model to labels (n,), also of more classes than half the rows.

    scikit-learn warns of these that they may be no classes, in every fold again. It also warns of
    each fit that stops before it converges: one line says so, once.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message="The number of unique classes")
        model.fit(features, labels)

    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            print_once(
                "note: a logistic regression of a baseline did not converge within "
                f"{model.max_iter:,} steps; its last step is used"
            )
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def predict_by_regression(
    x_train: Features, labels: Labels, x_test: Features, n_classes: int, penalty: float
) -> Probabilities:
    """Return probabilities (n, K) of `x_test` from a fit on `x_train`, whose labels are given.

    The intercept is not penalised, and all units weigh the same. penalty: C of scikit-learn, where
    a small one is strong. A class that is not among the labels has probability 0; with a single
    one, there is nothing to learn but this class.
    """
    probabilities = np.zeros((len(x_test), n_classes), np.float32)
    known_classes = np.unique(labels)
    if len(known_classes) == 1:
        probabilities[:, known_classes[0]] = 1
        return probabilities

    model = LogisticRegression(C=penalty, solver=SOLVER, max_iter=MAX_STEPS, tol=TOLERANCE)
    fit_classes(model, x_train, labels)
    probabilities[:, known_classes] = model.predict_proba(x_test)
    return probabilities

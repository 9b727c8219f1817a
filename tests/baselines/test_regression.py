"""Fits of a regression to many classes; each warning is an error in all tests."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mri_stages.baselines.regression import fit_classes

FEATURES = np.random.default_rng(0).normal(size=(24, 3))


def test_fit_classes_takes_many_classes_without_a_warning() -> None:
    model = LogisticRegression(max_iter=1000)
    fit_classes(model, FEATURES, np.arange(24) % 20)
    assert len(model.classes_) == 20


def test_fit_classes_hides_no_other_warning() -> None:
    with pytest.warns(ConvergenceWarning):
        fit_classes(LogisticRegression(max_iter=1), FEATURES, np.arange(24) % 2)

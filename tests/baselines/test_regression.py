"""Fits of a regression to many classes; each warning is an error in all tests."""

import warnings
from typing import Any, Self

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mri_stages.baselines.regression import fit_classes
from mri_stages.console import print_once

FEATURES = np.random.default_rng(0).normal(size=(24, 3))


def test_fit_classes_takes_many_classes_without_a_warning() -> None:
    model = LogisticRegression(max_iter=1000)
    fit_classes(model, FEATURES, np.arange(24) % 20)
    assert len(model.classes_) == 20


def test_fit_classes_says_once_that_fits_did_not_converge(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_once.cache_clear()
    for _ in range(2):
        fit_classes(LogisticRegression(max_iter=1), FEATURES, np.arange(24) % 2)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("note: ")


class WarningRegression(LogisticRegression):  # type: ignore[misc]
    """Warns of something else than convergence."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        warnings.warn("something else", RuntimeWarning, stacklevel=1)
        super().fit(X, y, sample_weight)
        return self


def test_fit_classes_hides_no_other_warning() -> None:
    with pytest.warns(RuntimeWarning, match="something else"):
        fit_classes(WarningRegression(), FEATURES, np.arange(24) % 2)

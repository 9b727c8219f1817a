import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mri_stages.baselines.covariates import Covariate, encode, predict_covariates

RNG = np.random.default_rng(0)
LABELS = np.arange(24) % 3
AGES = RNG.normal(70, 8, 24) + 5 * LABELS
SITES = np.array(["Bern", "Lyon", "Oslo"])[RNG.integers(0, 3, 24)]
COVARIATES = [Covariate("age", AGES), Covariate("site", SITES)]


@pytest.mark.parametrize("fold", [0, 1])
def test_covariates_equal_a_regression_by_scikit_learn(fold: int) -> None:
    folds = np.arange(24) // 12
    table = np.column_stack([AGES.astype(object), SITES.astype(object)])
    model = make_pipeline(
        make_column_transformer(
            (StandardScaler(), [0]), (OneHotEncoder(handle_unknown="ignore"), [1])
        ),
        LogisticRegression(C=1, max_iter=1000, tol=1e-8),
    )
    model.fit(table[folds != fold], LABELS[folds != fold])
    expected = model.predict_proba(table[folds == fold])
    probabilities = predict_covariates(COVARIATES, LABELS, folds, 3)
    np.testing.assert_allclose(probabilities[folds == fold], expected, atol=1e-4)


def test_numbers_have_mean_0_and_deviation_1_on_the_training_units() -> None:
    covariate = Covariate("age", np.array([1.0, 3.0, 100.0]))
    assert encode(covariate, np.array([True, True, False])).tolist() == [[-1], [1], [98]]


def test_a_text_that_no_training_unit_has_is_zero() -> None:
    covariate = Covariate("sex", np.array(["F", "M", "X"]))
    assert encode(covariate, np.array([True, True, False])).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_description_says_what_a_column_was_taken_for() -> None:
    assert Covariate("age", np.array([60.0, 71.5])).describe() == "age (numbers from 60 to 71.5)"
    assert Covariate("sex", np.array(["M", "F", "M"])).describe() == "sex (texts: F, M)"

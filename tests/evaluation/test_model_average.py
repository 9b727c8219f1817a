"""The mean of models is that of float64, and only of predictions of the same rows."""

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.evaluation.model_average import average_models
from mri_stages.storage.predictions import Predictions

FOLDS = np.array([0, 1])
REPEATS = np.array([0, 0])


def make_predictions(*positive: float) -> Predictions:
    """Return predictions of two rows with these probabilities of the second class."""
    p = np.array(positive, np.float32)
    return Predictions(
        rows=np.arange(2),
        subjects=np.array([5, 6]),
        labels=np.array([0, 1]),
        probabilities=np.stack([1 - p, p], axis=1),
        folds=FOLDS,
        repeats=REPEATS,
        kept_epochs=np.array([3, 4]),
    )


def test_average_models_is_the_mean_per_row() -> None:
    models = {
        "a": make_predictions(0.5, 0),
        "b": make_predictions(0, 1),
        "c": make_predictions(1, 1),
    }
    average = average_models(models)
    np.testing.assert_allclose(average.probabilities[:, 1], [0.5, 2 / 3], rtol=1e-7)
    np.testing.assert_allclose(average.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert average.probabilities.dtype == np.float32


def test_average_models_has_no_kept_epoch() -> None:
    average = average_models({"a": make_predictions(0.5, 0)})
    assert average.kept_epochs is None
    np.testing.assert_array_equal(average.probabilities, make_predictions(0.5, 0).probabilities)
    assert average.subjects is not None


@pytest.mark.parametrize("column", ["rows", "subjects", "labels", "folds", "repeats"])
@pytest.mark.parametrize("place", [1, 2])
def test_average_models_of_other_rows_names_the_column(column: str, place: int) -> None:
    predictions = make_predictions(0.5, 0)
    changed = predictions._replace(**{column: getattr(predictions, column)[::-1] + 1})
    models = [predictions, predictions, predictions]
    models[place] = changed
    with pytest.raises(InputError, match=rf"m{place}\.csv: {column} .*m0\.csv"):
        average_models({f"m{number}": model for number, model in enumerate(models)})


def test_average_models_of_rows_with_and_without_ids() -> None:
    predictions = make_predictions(0.5, 0)
    without_ids = predictions._replace(subjects=None)
    average = average_models({"a": without_ids, "b": without_ids})
    assert average.subjects is None
    with pytest.raises(InputError, match="subjects differ"):
        average_models({"a": predictions, "b": without_ids})

"""Inner folds: trained on the other rows of the outer fold's training set, and on no others."""

from pathlib import Path

import numpy as np
import pytest

from mri_stages.config.schema import Model
from mri_stages.storage.dataset import AllRows, Info
from mri_stages.storage.inner_predictions import OuterFold
from mri_stages.training.held_out import fit_and_predict
from mri_stages.training.inner_training import InnerTask, predict_inner_folds
from tests.helpers.params import DEFAULT_PARAMS

INFO = Info(image_shape=(1, 2, 2), classes=["Ill", "Sane"], counts={})
PIXELS = np.random.default_rng(0).integers(0, 255, (20, 4)).astype(np.uint8)
ROWS = AllRows([PIXELS[:9], PIXELS[9:]], np.arange(20) % 2, np.arange(20) // 2)
# Rows 4 to 7 are those of the outer fold.
TASK = InnerTask(OuterFold(1, 2), np.where(np.arange(20) // 4 == 1, -1, np.arange(20) // 2 % 3), 5)
MODEL = Model.model_validate(
    DEFAULT_PARAMS["train"] | {"arch": "simple_nn2", "lr": 0.1, "batch_size": 5, "epochs": 1}
)


@pytest.mark.parametrize("has_ids", [True, False])
def test_inner_folds_predict_all_rows_outside_the_fold(tmp_path: Path, has_ids: bool) -> None:
    rows = ROWS if has_ids else ROWS._replace(subjects=None)
    predictions = predict_inner_folds(MODEL, INFO, rows, TASK, tmp_path)
    indices = np.array([*range(4), *range(8, 20)])
    np.testing.assert_array_equal(predictions.rows, indices)
    np.testing.assert_array_equal(predictions.labels, ROWS.labels[indices])
    np.testing.assert_array_equal(predictions.folds, TASK.inner_folds[indices])
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (predictions.subjects is not None) == has_ids


@pytest.mark.parametrize("inner_fold", range(3))
def test_inner_fold_is_trained_on_the_other_inner_folds(tmp_path: Path, inner_fold: int) -> None:
    predictions = predict_inner_folds(MODEL, INFO, ROWS, TASK, tmp_path / "inner")
    is_other = (TASK.inner_folds >= 0) & (TASK.inner_folds != inner_fold)
    train_indices = np.random.default_rng(TASK.seed).permutation(np.flatnonzero(is_other))
    test_indices = np.flatnonzero(TASK.inner_folds == inner_fold)
    expected = fit_and_predict(MODEL, INFO, ROWS, train_indices, test_indices, tmp_path / "outer")
    own_rows = np.isin(predictions.rows, test_indices)
    np.testing.assert_array_equal(predictions.probabilities[own_rows], expected.probabilities)


def test_inner_folds_of_a_killed_run_are_not_trained_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = predict_inner_folds(MODEL, INFO, ROWS, TASK, tmp_path)
    (tmp_path / "inner-1-2-1-of-3.npy").unlink()
    capsys.readouterr()
    predictions = predict_inner_folds(MODEL, INFO, ROWS, TASK, tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if "inner fold" in line]
    assert lines == ["repeat 2, fold 3, inner fold 2 of 3"]
    np.testing.assert_array_equal(predictions.probabilities, expected.probabilities)


def test_inner_folds_remove_their_own_checkpoints(tmp_path: Path) -> None:
    for name in ("inner-1-2-0-of-3", "inner-1-2-0-of-4"):
        (tmp_path / f"{name}.1-checkpoint").touch()
    predict_inner_folds(MODEL, INFO, ROWS, TASK, tmp_path)
    assert [path.name for path in tmp_path.glob("*checkpoint")] == ["inner-1-2-0-of-4.1-checkpoint"]

"""The scores by which a sweep compares."""

import math
from pathlib import Path

import numpy as np
import pytest

from mri_stages.errors import InputError
from mri_stages.evaluation.sweep_scores import read_inner_auc, read_validation_loss
from mri_stages.storage.history import Epoch, write_history
from mri_stages.storage.inner_predictions import OuterFold, write_inner_predictions
from mri_stages.storage.predictions import Predictions

NAN = math.nan


def write_losses(path: Path, *losses_of_networks: list[float]) -> Path:
    """Write a history of networks with these validation losses."""
    history = []
    for network, losses in enumerate(losses_of_networks):
        number = network if len(losses_of_networks) > 1 else None
        for index, loss in enumerate(losses):
            history.append(Epoch(index + 1, 9, 9, 0, loss, 0, number))
    write_history(path, history)
    return path


def make_fold(p_second: list[float]) -> Predictions:
    """Return predictions of four rows in one inner fold; the last two are of the second class."""
    probabilities = np.array([[1 - p, p] for p in p_second], np.float32)
    rows = np.arange(4)
    return Predictions(rows, rows, np.array([0, 0, 1, 1]), probabilities, np.zeros(4, int))


def test_validation_loss_is_that_of_the_kept_epoch(tmp_path: Path) -> None:
    assert read_validation_loss(write_losses(tmp_path / "h.csv", [3, 1, NAN, 2])) == 1


def test_validation_loss_of_an_ensemble_is_a_mean(tmp_path: Path) -> None:
    assert read_validation_loss(write_losses(tmp_path / "h.csv", [3, 1], [2, 4])) == 1.5


def test_validation_loss_of_a_diverged_network_is_nan(tmp_path: Path) -> None:
    assert math.isnan(read_validation_loss(write_losses(tmp_path / "h.csv", [NAN, NAN])))
    assert math.isnan(read_validation_loss(write_losses(tmp_path / "h.csv", [1, 1], [NAN, NAN])))


def test_inner_auc_is_the_mean_over_outer_folds(tmp_path: Path) -> None:
    inner = {
        OuterFold(0, 0): make_fold([0.1, 0.2, 0.8, 0.9]),  # AUC 1
        OuterFold(0, 1): make_fold([0.1, 0.8, 0.2, 0.9]),  # 3 of 4 pairs
    }
    write_inner_predictions(tmp_path / "m.csv", inner, ["b", "a"])
    assert read_inner_auc(tmp_path / "m.csv", "b") == pytest.approx(0.875)


def test_inner_auc_of_a_diverged_fold_is_nan(tmp_path: Path) -> None:
    inner = {
        OuterFold(0, 0): make_fold([0.1, 0.2, 0.8, 0.9]),
        OuterFold(0, 1): make_fold([NAN, 0.8, 0.2, 0.9]),
    }
    write_inner_predictions(tmp_path / "m.csv", inner, ["b", "a"])
    assert math.isnan(read_inner_auc(tmp_path / "m.csv", "b"))


def test_inner_auc_needs_inner_predictions(tmp_path: Path) -> None:
    write_inner_predictions(tmp_path / "m.csv", {}, ["b", "a"])
    with pytest.raises(InputError):
        read_inner_auc(tmp_path / "m.csv", None)

"""The average of the cross-validated networks, from predictions on folds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.evaluation.new_subjects import Options, compute_new_subject_metrics
from mri_stages.storage.choices import read_choices, read_chosen_metrics
from mri_stages.storage.files import write_json
from mri_stages.storage.inner_predictions import OuterFold, write_inner_predictions
from mri_stages.storage.predictions import (
    Predictions,
    read_predictions,
    select_predictions,
    write_predictions,
)
from stages import combine
from tests.helpers.params import change_params

CLASSES = ["a", "b"]
LABELS = np.arange(40) % 2
DIVERGED = np.full((40, 2), np.nan, np.float32)


def draw(seed: int) -> Predictions:
    p = np.random.default_rng(seed).random(40)
    probabilities = np.stack([1 - p, p], axis=1).astype(np.float32)
    subjects = np.arange(40)
    return Predictions(subjects, subjects, LABELS, probabilities, subjects // 2 % 2)


@pytest.fixture(autouse=True)
def networks(workspace: Path) -> None:
    """Predictions of three cross-validated networks."""
    arches = {"small": "simple_nn2", "conv": "conv_nn2", "conv_again": "conv_nn2"}
    change_params(workspace, {"cross_validation.models": arches})
    write_json(paths.INFO, {"image_shape": [1, 2, 2], "classes": CLASSES, "counts": {}})
    for seed, name in enumerate(arches):
        write_predictions(paths.folds(name), draw(seed), CLASSES)


def read_average() -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(paths.new_subject_metrics("average").read_text())
    return metrics


def test_combine_averages_the_probabilities() -> None:
    combine.main()
    average = read_predictions(paths.combined("average"), CLASSES)
    expected = np.mean([draw(seed).probabilities for seed in range(3)], axis=0)
    assert np.allclose(average.probabilities, expected, atol=1e-7)
    assert average.kept_epochs is None
    metrics = compute_new_subject_metrics(average, CLASSES, Options(None, 0.5))
    assert read_average() == metrics.to_json() | {"diverged": False}
    assert "auc_by_fold" in read_average()


def test_combine_leaves_out_a_diverged_network(capsys: pytest.CaptureFixture[str]) -> None:
    diverged = draw(1)._replace(probabilities=DIVERGED)
    write_predictions(paths.folds("conv"), diverged, CLASSES)
    paths.folds("conv_again").unlink()
    write_predictions(paths.folds("conv_again"), draw(2), CLASSES)
    combine.main()
    average = read_predictions(paths.combined("average"), CLASSES)
    expected = (draw(0).probabilities + draw(2).probabilities) / 2
    assert np.allclose(average.probabilities, expected, atol=1e-7)
    assert "conv diverged" in capsys.readouterr().out


def test_combine_of_one_network_has_no_average() -> None:
    paths.folds("conv").unlink()
    write_predictions(paths.folds("conv_again"), draw(1)._replace(probabilities=DIVERGED), CLASSES)
    combine.main()
    assert read_average() == {}
    assert len(paths.combined("average").read_text().splitlines()) == 1


def test_combine_refuses_networks_of_other_folds() -> None:
    other = draw(1)._replace(folds=np.arange(40) % 2)
    write_predictions(paths.folds("conv"), other, CLASSES)
    with pytest.raises(InputError, match=str(paths.folds("conv"))):
        combine.main()


def write_inner(name: str, aucs: tuple[float, float]) -> None:
    """Write inner predictions whose AUC in each outer fold is 1 or 0, or missing (NaN)."""
    inner = {}
    outer = np.arange(40) // 2 % 2
    for fold, auc in enumerate(aucs):
        rows = np.flatnonzero(outer != fold)
        p = np.where(LABELS[rows] == 1, auc, 1 - auc)
        probabilities = np.stack([1 - p, p], axis=1).astype(np.float32)
        inner_folds = rows // 4 % 2
        inner[OuterFold(0, fold)] = Predictions(
            rows, rows, LABELS[rows], probabilities, inner_folds
        )
    write_inner_predictions(paths.inner(name), inner, CLASSES)


def test_combine_chooses_in_each_fold() -> None:
    write_inner("small", (0, 1))
    write_inner("conv", (1, 1))
    combine.main()
    choices = read_choices()
    assert [choice.model for choice in choices] == ["conv", "small"]
    aucs = []
    for fold, seed in enumerate((1, 0)):
        mask = draw(seed).folds == fold
        aucs.append(roc_auc_score(LABELS[mask], draw(seed).probabilities[mask, 1]))
    assert [choice.auc for choice in choices] == pytest.approx(aucs)
    chosen = read_chosen_metrics()
    assert chosen is not None
    assert chosen.auc_by_fold == pytest.approx(np.mean(aucs))
    assert chosen.auc_by_fold_low is not None
    assert chosen.auc_by_fold_low < chosen.auc_by_fold


def test_combine_chooses_no_model_without_an_inner_auc() -> None:
    write_inner("small", (float("nan"), 1))
    write_inner("conv", (0, float("nan")))
    combine.main()
    assert [choice.model for choice in read_choices()] == ["conv", "small"]


def test_combine_where_no_model_has_an_inner_auc(capsys: pytest.CaptureFixture[str]) -> None:
    write_inner("small", (float("nan"), 1))
    combine.main()
    assert read_chosen_metrics() is None
    assert read_choices() == []
    assert "0.0" in capsys.readouterr().out


def test_combine_chooses_no_baseline_of_a_sample() -> None:
    write_inner("small", (0, 0))
    write_inner("kernel", (1, 1))
    every = draw(4)
    write_predictions(paths.folds("kernel"), select_predictions(every, np.arange(40) < 30), CLASSES)
    combine.main()
    assert {choice.model for choice in read_choices()} == {"small"}


def test_combine_writes_no_choice_without_inner_folds() -> None:
    combine.main()
    assert paths.CHOICES.read_text() == "repeat,fold,model,auc\n"
    assert paths.new_subject_metrics("chosen").read_text() == "{}\n"

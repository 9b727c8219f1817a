"""Scores and tables of new subjects, from predictions on folds."""

import json
from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.storage.files import write_json
from mri_stages.storage.predictions import Predictions, join_repeats, write_predictions
from mri_stages.storage.records import (
    read_calibration,
    read_decision,
    read_new_subject_confusion,
    read_new_subject_roc,
)
from tests.helpers.params import change_params
from tests.helpers.stages import call_stage

KINDS = ("calibration", "confusion", "decision", "roc")
LABELS = np.arange(60) % 2


def draw_repeat(seed: int, n_classes: int = 2) -> Predictions:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(60, n_classes)) + np.eye(n_classes)[LABELS]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    folds = rng.permutation(np.arange(60) % 5)
    kept_epochs = folds + seed
    subjects = np.arange(60) // 2
    return Predictions(np.arange(60), subjects, LABELS, p.astype(np.float32), folds, kept_epochs)


def summarise(folder: Path, predictions: Predictions, classes: list[str]) -> dict[str, float]:
    """Run the stage on these predictions; return its metrics."""
    write_json(paths.INFO, {"image_shape": [1, 2, 2], "classes": classes, "counts": {}})
    write_predictions(paths.folds("small"), predictions, classes)
    call_stage(folder, "summarise", "small")
    metrics: dict[str, float] = json.loads(paths.new_subject_metrics("small").read_text())
    return metrics


def test_summarise_writes_all_tables_of_two_classes(workspace: Path) -> None:
    metrics = summarise(workspace, join_repeats([draw_repeat(1), draw_repeat(2)]), ["a", "b"])
    assert (metrics["repeats"], metrics["subjects"]) == (2, 30)
    calibration = read_calibration("small")
    assert sum(point.positives + point.negatives for point in calibration) == pytest.approx(60)
    (point,) = [point for point in read_decision("small") if point.threshold == 0.5]
    assert point.model == pytest.approx(metrics["net_benefit"])
    assert {point.name for point in read_new_subject_roc("small")} == {"b"}
    assert sum(cell.count for cell in read_new_subject_confusion("small")) == pytest.approx(60)


def test_summarise_of_three_classes_has_no_curve_of_two(workspace: Path) -> None:
    summarise(workspace, draw_repeat(1, n_classes=3), ["a", "b", "c"])
    assert read_calibration("small") == []
    assert read_decision("small") == []
    assert {point.name for point in read_new_subject_roc("small")} == {"a", "b"}
    assert len(read_new_subject_confusion("small")) == 9


def test_summarise_with_a_negative_class_has_two(workspace: Path) -> None:
    change_params(workspace, {"evaluation.negative_class": "b"})
    metrics = summarise(workspace, draw_repeat(1, n_classes=3), ["a", "b", "c"])
    assert "brier" in metrics
    assert {point.name for point in read_new_subject_roc("small")} == {"not b"}
    assert len(read_decision("small")) == 99


def test_summarise_calls_positive_from_the_threshold(workspace: Path) -> None:
    change_params(workspace, {"evaluation.threshold": 0.2})
    metrics = summarise(workspace, draw_repeat(1), ["a", "b"])
    (point,) = [point for point in read_decision("small") if point.threshold == 0.2]
    assert metrics["net_benefit"] == pytest.approx(point.model)


def test_summarise_of_a_diverged_run_has_no_curve(workspace: Path) -> None:
    predictions = draw_repeat(1)
    diverged = predictions._replace(probabilities=np.full((60, 2), np.nan, np.float32))
    metrics = summarise(workspace, join_repeats([predictions, diverged]), ["a", "b"])
    assert metrics["diverged"]
    assert "auc" not in metrics
    for kind in ("calibration", "decision", "roc"):
        assert len(paths.new_subject_plot(kind, "small").read_text().splitlines()) == 1


def test_summarise_counts_the_kept_epochs_of_all_repeats(workspace: Path) -> None:
    metrics = summarise(workspace, join_repeats([draw_repeat(1), draw_repeat(3)]), ["a", "b"])
    assert metrics["kept_epoch"] == np.median([1, 2, 3, 4, 5, 3, 4, 5, 6, 7])
    assert (metrics["kept_epoch_low"], metrics["kept_epoch_high"]) == (1, 7)


def test_summarise_without_folds_writes_headers(workspace: Path) -> None:
    no_rows = np.arange(0)
    nothing = Predictions(no_rows, None, no_rows, np.empty((0, 2), np.float32), no_rows)
    assert summarise(workspace, nothing, ["a", "b"]) == {}
    for kind in KINDS:
        assert len(paths.new_subject_plot(kind, "small").read_text().splitlines()) == 1

"""The networks of the folds on changed images, from tiny rows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.evaluation.robustness import CHANGES, sample_predictions
from mri_stages.evaluation.roc_auc import compute_auc
from mri_stages.storage.predictions import average_by_subject, read_predictions
from mri_stages.storage.records import RobustnessRow, read_robustness
from tests.helpers.flat_rows import CLASSES, LABELS, write_flat_rows
from tests.helpers.params import change_params
from tests.helpers.stages import call_stage

HEADER = f"{','.join(RobustnessRow._fields)}\n"


@pytest.fixture
def flat(workspace: Path) -> Path:
    write_flat_rows(workspace)
    change_params(workspace, {"evaluation.negative_class": "Ill"})
    return workspace


def cross_validate(folder: Path) -> None:
    call_stage(folder, "assign_folds")
    call_stage(folder, "cross_validate", "small")


def read_table(folder: Path) -> str:
    return (folder / paths.new_subject_plot("robustness", "small")).read_text()


def test_probe_begins_with_the_auc_of_unchanged_images(flat: Path) -> None:
    cross_validate(flat)
    call_stage(flat, "probe", "small")
    rows = read_robustness(read_params())["small"]
    assert len(rows) == len(CHANGES)
    sample = sample_predictions(read_predictions(paths.folds("small"), CLASSES))
    assert rows[0].auc == compute_auc(average_by_subject(sample), negative_label=0)


def test_probe_of_equal_channels_and_an_ensemble_runs(flat: Path) -> None:
    change_params(flat, {"train.ensemble": 2, "cross_validation.repeats": 2})
    cross_validate(flat)
    call_stage(flat, "probe", "small")
    assert read_table(flat).count("\n") == len(CHANGES) + 1


def test_probe_refuses_networks_of_other_predictions(
    flat: Path, stage_error: Callable[..., str]
) -> None:
    cross_validate(flat)
    files = [paths.fold_networks("small") / f"fold-{fold}.0.safetensors" for fold in range(2)]
    files[0].write_bytes(files[1].read_bytes())
    assert str(paths.fold_networks("small")) in stage_error("probe", "small")


def test_probe_without_folds_writes_a_header(flat: Path) -> None:
    for split, n_rows in (("train", 40), ("test", 20)):
        np.save(flat / f"data/flat/subjects_{split}.npy", np.zeros(n_rows, np.int64))
    cross_validate(flat)
    call_stage(flat, "probe", "small")
    assert read_table(flat) == HEADER
    assert read_robustness(read_params()) == {}


def test_probe_of_a_diverged_network_writes_a_header(flat: Path) -> None:
    change_params(flat, {"models.small.lr": 1e30})
    cross_validate(flat)
    call_stage(flat, "probe", "small")
    assert read_table(flat) == HEADER


def test_probe_of_many_classes_has_their_mean_auc(flat: Path) -> None:
    change_params(flat, {"evaluation.negative_class": None})
    cross_validate(flat)
    call_stage(flat, "probe", "small")
    sample = sample_predictions(read_predictions(paths.folds("small"), CLASSES))
    expected = compute_auc(average_by_subject(sample), negative_label=None)
    assert len(np.unique(LABELS)) == 3
    assert read_robustness(read_params())["small"][0].auc == expected

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from mri_stages import paths
from mri_stages.baselines import nearest_neighbours
from mri_stages.config.schema import BASELINES
from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.preprocessing.folds import assign_folds, derive_seed
from mri_stages.storage.predictions import (
    Predictions,
    average_by_subject,
    read_predictions,
    split_repeats,
)
from stages import baselines, neighbours
from tests.helpers.flat_rows import (
    CLASSES,
    LABELS,
    N_TRAIN,
    PIXELS,
    SUBJECTS,
    remove_subject_ids,
    write_flat_rows,
)
from tests.helpers.params import change_params

FOLDS = assign_folds(LABELS, SUBJECTS, 2, seed=0)


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)


@pytest.fixture
def scored(flat: None) -> None:
    """The outs of the stage."""
    neighbours.main()
    baselines.main()


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def read_folds(name: str) -> Predictions:
    return read_predictions(paths.folds(name), CLASSES)


@pytest.mark.usefixtures("scored")
def test_majority_has_the_accuracy_of_the_largest_class() -> None:
    metrics = read(paths.metrics("majority"))
    correct = LABELS[N_TRAIN:] == np.bincount(LABELS[:N_TRAIN]).argmax()
    assert metrics["accuracy"] == pytest.approx(correct.mean())
    interval = compute_accuracy_interval(correct, SUBJECTS[N_TRAIN:])
    assert (metrics["ci_low"], metrics["ci_high"]) == interval


@pytest.mark.usefixtures("scored")
def test_majority_has_an_auc_of_one_half() -> None:
    assert read(paths.metrics("majority"))["auc"] == 0.5


@pytest.mark.usefixtures("scored")
def test_nearest_neighbour_knows_the_subjects_of_train() -> None:
    knn = KNeighborsClassifier(1).fit(PIXELS[:N_TRAIN].astype(float), LABELS[:N_TRAIN])
    expected = knn.score(PIXELS[N_TRAIN:].astype(float), LABELS[N_TRAIN:])
    assert read(paths.metrics("nearest_neighbour"))["accuracy"] == expected == 1.0


@pytest.mark.usefixtures("scored")
def test_nearest_neighbour_on_folds_equals_scikit_learn() -> None:
    parts = [(np.flatnonzero(fold != FOLDS), np.flatnonzero(fold == FOLDS)) for fold in (0, 1)]
    pixels = PIXELS.astype(float)
    expected = cross_val_predict(KNeighborsClassifier(1), pixels, LABELS, cv=parts)
    assert read_folds("nearest_neighbour").predicted.tolist() == expected.tolist()


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("fold", [0, 1])
def test_majority_on_folds_is_that_of_the_other_folds(fold: int) -> None:
    largest = np.bincount(LABELS[fold != FOLDS]).argmax()
    assert set(read_folds("majority").predicted[fold == FOLDS]) == {largest}


@pytest.mark.usefixtures("scored")
def test_linear_has_one_row_per_subject() -> None:
    subjects = read_folds("linear").subjects
    assert subjects is not None
    assert subjects.tolist() == list(range(15))


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("name", BASELINES)
def test_baseline_is_on_the_folds_of_the_models(name: str) -> None:
    predictions = read_folds(name)
    assert predictions.folds is not None
    np.testing.assert_array_equal(predictions.folds, FOLDS[predictions.rows])
    np.testing.assert_array_equal(predictions.labels, LABELS[predictions.rows])


@pytest.mark.parametrize("name", BASELINES)
def test_baseline_has_the_folds_of_each_repeat(workspace: Path, name: str) -> None:
    change_params(workspace, {"cross_validation.repeats": 2})
    neighbours.main()
    baselines.main()
    for repeat, predictions in enumerate(split_repeats(read_folds(name))):
        folds = assign_folds(LABELS, SUBJECTS, 2, derive_seed(0, repeat))
        np.testing.assert_equal(predictions.folds, folds[predictions.rows])


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("name", BASELINES)
def test_baseline_on_new_subjects_counts_them(name: str) -> None:
    metrics = read(paths.new_subject_metrics(name))
    assert metrics["by"] == "subject"
    assert metrics["accuracy"] == average_by_subject(read_folds(name)).correct.mean()
    assert metrics["unscored_classes"] == "Unsure"  # of one subject
    assert metrics["auc_low"] <= metrics["auc"] <= metrics["auc_high"]


def test_baselines_use_the_negative_class(workspace: Path) -> None:
    neighbours.main()
    baselines.main()
    before = read(paths.new_subject_metrics("linear"))["auc"]
    change_params(workspace, {"evaluation.negative_class": "Sane"})
    baselines.main()
    assert read(paths.new_subject_metrics("linear"))["auc"] != before


def test_baselines_without_ids_have_no_linear_one(workspace: Path) -> None:
    remove_subject_ids(workspace)
    neighbours.main()
    baselines.main()
    assert read(paths.new_subject_metrics("linear")) == {}
    assert len(paths.folds("linear").read_text().splitlines()) == 1  # the header


def test_baselines_without_ids_count_rows(workspace: Path) -> None:
    remove_subject_ids(workspace)
    neighbours.main()
    baselines.main()
    assert read(paths.new_subject_metrics("nearest_neighbour"))["by"] == "row"


def test_baselines_without_folds_score_the_given_split(workspace: Path) -> None:
    for split, n_rows in (("train", N_TRAIN), ("test", 60 - N_TRAIN)):
        np.save(workspace / f"data/flat/subjects_{split}.npy", np.zeros(n_rows, np.int64))
    neighbours.main()
    baselines.main()
    assert read(paths.metrics("nearest_neighbour"))["accuracy"] == 1.0
    for name in BASELINES:
        assert read(paths.new_subject_metrics(name)) == {}
        assert len(paths.folds(name).read_text().splitlines()) == 1  # the header


def test_nearest_neighbour_of_many_rows_scores_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 40**2 * 520)
    neighbours.main()
    baselines.main()
    sample = nearest_neighbours.sample_rows(20, np.arange(60) >= N_TRAIN, SUBJECTS)
    assert read_folds("nearest_neighbour").rows.tolist() == sample.tolist()
    assert read(paths.metrics("nearest_neighbour"))["accuracy"] > 0.8


def test_linear_of_many_subjects_is_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 10**2 * 1000)
    neighbours.main()
    baselines.main()
    n_subjects = len(read_folds("linear").rows)
    assert 0 < n_subjects <= 10
    assert f"sample of {n_subjects} subjects" in capsys.readouterr().out

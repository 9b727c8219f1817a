import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from mri_stages import paths
from mri_stages.baselines import nearest_neighbours, new_subjects
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.preprocessing.folds import assign_folds, derive_seed
from mri_stages.storage.inner_predictions import OuterFold, read_inner_predictions
from mri_stages.storage.predictions import (
    Predictions,
    average_by_subject,
    read_predictions,
    split_repeats,
)
from mri_stages.storage.records import read_new_subject_confusion, read_power
from stages import assign_folds as assign_folds_stage
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
from tests.helpers.params import change_params, write_params
from tests.helpers.stages import call_stage, copy_environment

FOLDS = assign_folds(LABELS, SUBJECTS, 2, seed=0)
SCORED_BASELINES = [name for name in BASELINES if name != "covariates"]  # no params name any


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)


@pytest.fixture(scope="module")
def scored_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the outs of the stage, which no test changes."""
    folder = tmp_path_factory.mktemp("scored")
    copy_environment(folder)
    write_params(folder)
    write_flat_rows(folder)
    for stage in ("assign_folds", "neighbours", "baselines"):
        call_stage(folder, stage)
    return folder


@pytest.fixture
def scored(flat: None, scored_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outs of the stage."""
    monkeypatch.chdir(scored_folder)


def find_neighbours() -> None:
    """Run the stages on which `baselines` depends."""
    assign_folds_stage.main()
    neighbours.main()


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
@pytest.mark.parametrize("name", ["brightness", "linear", "kernel"])
def test_baseline_has_one_row_per_subject(name: str) -> None:
    subjects = read_folds(name).subjects
    assert subjects is not None
    assert subjects.tolist() == list(range(15))


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("name", SCORED_BASELINES)
def test_baseline_is_on_the_folds_of_the_models(name: str) -> None:
    predictions = read_folds(name)
    assert predictions.folds is not None
    np.testing.assert_array_equal(predictions.folds, FOLDS[predictions.rows])
    np.testing.assert_array_equal(predictions.labels, LABELS[predictions.rows])


@pytest.mark.parametrize("name", SCORED_BASELINES)
def test_baseline_has_the_folds_of_each_repeat(workspace: Path, name: str) -> None:
    change_params(workspace, {"cross_validation.repeats": 2})
    find_neighbours()
    baselines.main()
    for repeat, predictions in enumerate(split_repeats(read_folds(name))):
        folds = assign_folds(LABELS, SUBJECTS, 2, derive_seed(0, repeat))
        np.testing.assert_equal(predictions.folds, folds[predictions.rows])


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("name", SCORED_BASELINES)
def test_baseline_on_new_subjects_counts_them(name: str) -> None:
    metrics = read(paths.new_subject_metrics(name))
    assert metrics["by"] == "subject"
    assert metrics["accuracy"] == average_by_subject(read_folds(name)).correct.mean()
    assert metrics["unscored_classes"] == "Unsure"  # of one subject
    assert metrics["auc_low"] <= metrics["auc"] <= metrics["auc_high"]


def test_baselines_use_the_negative_class(workspace: Path) -> None:
    find_neighbours()
    baselines.main()
    before = read(paths.new_subject_metrics("linear"))["auc"]
    change_params(workspace, {"evaluation.negative_class": "Sane"})
    baselines.main()
    assert read(paths.new_subject_metrics("linear"))["auc"] != before


def test_baselines_without_ids_have_no_linear_one(workspace: Path) -> None:
    remove_subject_ids(workspace)
    find_neighbours()
    baselines.main()
    assert read(paths.new_subject_metrics("linear")) == {}
    assert len(paths.folds("linear").read_text().splitlines()) == 1  # the header


@pytest.mark.parametrize("name", ["brightness", "kernel"])
def test_baseline_without_ids_predicts_each_row(workspace: Path, name: str) -> None:
    remove_subject_ids(workspace)
    find_neighbours()
    baselines.main()
    assert read_folds(name).rows.tolist() == list(range(60))


@pytest.mark.usefixtures("scored")
def test_baseline_has_a_confusion_of_its_subjects() -> None:
    cells = read_new_subject_confusion("linear")
    assert sum(cell.count for cell in cells) == len(read_folds("linear").rows)
    assert read_new_subject_confusion("covariates") == []


@pytest.mark.usefixtures("scored")
def test_baselines_without_covariates_score_none() -> None:
    assert read(paths.new_subject_metrics("covariates")) == {}
    assert len(paths.folds("covariates").read_text().splitlines()) == 1  # the header


def test_covariates_are_those_of_the_subjects(workspace: Path) -> None:
    # The age alone tells the classes apart.
    ages = [f"{subject},{50 + 20 * (subject >= 9) + subject % 2}" for subject in range(15)]
    paths.SUBJECT_TABLE.write_text("\n".join(["subject,age", *ages]))
    change_params(workspace, {"evaluation.covariates": ["age"]})
    find_neighbours()
    baselines.main()
    predictions = read_folds("covariates")
    expected = np.minimum(LABELS[predictions.rows], 1)  # the only subject of class 2 is not known
    assert predictions.predicted.tolist() == expected.tolist()


def test_baselines_refuse_an_unknown_covariate_and_write_nothing(workspace: Path) -> None:
    paths.SUBJECT_TABLE.write_text("subject,sex\n0,F\n")
    change_params(workspace, {"evaluation.covariates": ["age"]})
    find_neighbours()
    with pytest.raises(InputError, match="'age'"):
        baselines.main()
    assert not paths.METRICS.exists()


@pytest.mark.usefixtures("scored")
def test_power_counts_the_subjects_of_each_class() -> None:
    power = read_power()
    assert power.by == "subject"
    assert [item.count for item in power.classes] == [9, 5, 1]
    assert power.unscored_classes == "Unsure"


def test_power_without_ids_counts_rows(workspace: Path) -> None:
    remove_subject_ids(workspace)
    find_neighbours()
    baselines.main()
    assert [item.count for item in read_power().classes] == np.bincount(LABELS).tolist()


def test_kernel_of_many_subjects_is_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(new_subjects, "MAX_UNITS", 10)
    find_neighbours()
    baselines.main()
    n_subjects = len(read_folds("kernel").rows)
    assert 0 < n_subjects <= 10
    assert f"sample of {n_subjects} of the 15 subjects" in capsys.readouterr().out


def test_baselines_without_ids_count_rows(workspace: Path) -> None:
    remove_subject_ids(workspace)
    find_neighbours()
    baselines.main()
    assert read(paths.new_subject_metrics("nearest_neighbour"))["by"] == "row"


def test_baselines_without_folds_score_the_given_split(workspace: Path) -> None:
    for split, n_rows in (("train", N_TRAIN), ("test", 60 - N_TRAIN)):
        np.save(workspace / f"data/flat/subjects_{split}.npy", np.zeros(n_rows, np.int64))
    find_neighbours()
    baselines.main()
    assert read(paths.metrics("nearest_neighbour"))["accuracy"] == 1.0
    for name in BASELINES:
        assert read(paths.new_subject_metrics(name)) == {}
        assert len(paths.folds(name).read_text().splitlines()) == 1  # the header


def test_nearest_neighbour_of_many_rows_scores_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 40**2 * 520)
    find_neighbours()
    baselines.main()
    sample = nearest_neighbours.sample_rows(20, np.arange(60) >= N_TRAIN, SUBJECTS)
    assert read_folds("nearest_neighbour").rows.tolist() == sample.tolist()
    assert read(paths.metrics("nearest_neighbour"))["accuracy"] > 0.8


def test_linear_of_many_subjects_is_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 10**2 * 1000)
    find_neighbours()
    baselines.main()
    n_subjects = len(read_folds("linear").rows)
    assert 0 < n_subjects <= 10
    assert f"sample of {n_subjects} subjects" in capsys.readouterr().out


def write_two_classes(pixels: np.ndarray, labels: np.ndarray) -> None:
    for split, part in (("train", slice(N_TRAIN)), ("test", slice(N_TRAIN, None))):
        np.save(paths.flat_images(split), pixels[part])
        np.save(paths.labels(split), labels[part])


def test_inner_folds_of_baselines_see_nothing_of_the_outer_fold(workspace: Path) -> None:
    labels = SUBJECTS % 2
    write_two_classes(PIXELS, labels)
    paths.SUBJECT_TABLE.write_text(
        "subject,age\n" + "".join(f"{subject},{40 + subject**2}\n" for subject in range(15))
    )
    changes = {"cross_validation.inner_folds": 2, "evaluation.covariates": ["age"]}
    change_params(workspace, changes)
    find_neighbours()
    baselines.main()
    before = {name: read_inner_predictions(paths.inner(name), CLASSES) for name in BASELINES}
    place = OuterFold(0, 0)
    train_subjects = before["linear"][place].subjects
    assert train_subjects is not None
    outer_mask = np.isin(SUBJECTS, train_subjects, invert=True)
    write_two_classes(
        np.where(outer_mask[:, None], 255 - PIXELS, PIXELS),
        np.where(outer_mask, 1 - labels, labels),
    )
    neighbours.main()
    baselines.main()
    for name in BASELINES:
        after = read_inner_predictions(paths.inner(name), CLASSES)
        assert after.keys() == {OuterFold(0, 0), OuterFold(0, 1)}
        assert np.array_equal(after[place].probabilities, before[name][place].probabilities)
        assert set(np.array(after[place].subjects)) == set(SUBJECTS[~outer_mask])


def test_nearest_neighbour_on_inner_folds_equals_scikit_learn(workspace: Path) -> None:
    change_params(workspace, {"cross_validation.inner_folds": 2})
    find_neighbours()
    baselines.main()
    inner = read_inner_predictions(paths.inner("nearest_neighbour"), CLASSES)
    assert inner.keys() == {OuterFold(0, 0), OuterFold(0, 1)}
    for place, predictions in inner.items():
        assert predictions.rows.tolist() == np.flatnonzero(place.fold != FOLDS).tolist()
        pixels = PIXELS[predictions.rows].astype(float)
        splits = PredefinedSplit(predictions.folds)
        expected = cross_val_predict(
            KNeighborsClassifier(1), pixels, LABELS[predictions.rows], cv=splits
        )
        assert predictions.predicted.tolist() == expected.tolist()


def test_nearest_neighbour_of_a_sample_has_no_inner_folds(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_params(workspace, {"cross_validation.inner_folds": 2})
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 40**2 * 520)
    find_neighbours()
    baselines.main()
    assert read_inner_predictions(paths.inner("nearest_neighbour"), CLASSES) == {}

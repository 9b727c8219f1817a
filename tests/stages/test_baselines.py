import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from stages import baselines

from mri_stages import paths
from mri_stages.baselines import nearest_neighbours
from mri_stages.baselines.nearest_neighbours import affordable
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import accuracy_interval
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.predictions import average_by_subject, read_predictions

TRAIN, CLASSES = 40, ["Ill", "Sane", "Unsure"]
RNG = np.random.default_rng(0)
# 60 rows of 15 subjects, whose rows in train and in test are alike except for noise.
SUBJECTS = np.concatenate([np.arange(TRAIN) % 15, 14 - np.arange(20) % 12])
X = (RNG.integers(0, 200, (15, 20))[SUBJECTS] + RNG.integers(0, 50, (60, 20))).astype(np.uint8)
Y = (SUBJECTS >= 9) + (SUBJECTS == 14).astype(int)  # only subject 14 is Unsure


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    Path("data/flat").mkdir(parents=True)
    for split, part in (("train", slice(TRAIN)), ("test", slice(TRAIN, None))):
        for name, values in (("x", X), ("y", Y), ("subjects", SUBJECTS)):
            np.save(f"data/flat/{name}_{split}.npy", values[part])
    info = {"image_shape": [3, 5, 4], "classes": CLASSES, "counts": {}}
    Path("data/flat/info.json").write_text(json.dumps(info))


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_baselines_on_the_given_split_show_how_much_leakage_inflates_the_accuracy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    baselines.main()
    majority, nearest = (read(paths.metrics(name)) for name in BASELINES[:2])
    is_most = Y[TRAIN:] == np.bincount(Y[:TRAIN]).argmax()
    assert (majority["accuracy"], majority["auc"]) == (pytest.approx(is_most.mean()), 0.5)
    interval = accuracy_interval(is_most, SUBJECTS[TRAIN:])
    assert (majority["ci_low"], majority["ci_high"]) == interval
    knn = KNeighborsClassifier(1).fit(X[:TRAIN].astype(float), Y[:TRAIN])
    assert nearest["accuracy"] == knn.score(X[TRAIN:].astype(float), Y[TRAIN:]) == 1.0
    leakage = read(paths.LEAKAGE)
    assert leakage["shared_subjects"] == leakage["same_subject_neighbour"] == 1.0
    assert leakage["nearest_row_of_same_subject"] == 1.0
    assert leakage["nearest_neighbour_given"] == leakage["nearest_neighbour_random"] == 1.0
    assert leakage["sentence"] in capsys.readouterr().out


def test_baselines_on_new_subjects_are_on_the_folds_of_the_models() -> None:
    baselines.main()
    folds = assign_folds(Y, SUBJECTS, 2, seed=0)
    parts = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in (0, 1)]
    expected = cross_val_predict(KNeighborsClassifier(1), X.astype(float), Y, cv=parts)
    found = {name: read_predictions(paths.folds(name), CLASSES) for name in BASELINES}
    assert found["nearest_neighbour"].predicted.tolist() == expected.tolist()
    for train, test in parts:
        assert set(found["majority"].predicted[test]) == {np.bincount(Y[train]).argmax()}
    linear = found["linear"]
    assert linear.subjects is not None
    assert linear.subjects.tolist() == list(range(15))  # one row per subject
    for name, predictions in found.items():
        assert predictions.folds is not None
        np.testing.assert_array_equal(predictions.folds, folds[predictions.rows])
        metrics = read(paths.new_subject_metrics(name))
        assert metrics["by"] == "subject"
        assert metrics["accuracy"] == average_by_subject(predictions).correct.mean()
        assert metrics["unscored_classes"] == "Unsure"  # of one subject
        assert metrics["auc_low"] <= metrics["auc"] <= metrics["auc_high"]


def test_baselines_without_ids_have_no_linear_one_and_claim_nothing() -> None:
    for split in ("train", "test"):
        Path(f"data/flat/subjects_{split}.npy").unlink()
    baselines.main()
    assert read(paths.new_subject_metrics("linear")) == {}
    assert len(paths.folds("linear").read_text().splitlines()) == 1
    assert read(paths.new_subject_metrics("nearest_neighbour"))["by"] == "row"
    assert "shared_subjects" not in read(paths.LEAKAGE)


def test_baselines_of_many_rows_compare_a_sample_and_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MOST_WORK", 40**2 * 520)
    in_test = np.arange(60) >= TRAIN
    chosen = affordable(20, in_test, SUBJECTS)
    assert 20 < len(chosen) <= 41
    assert not set(SUBJECTS[chosen]) & set(np.delete(SUBJECTS, chosen))  # whole subjects
    baselines.main()
    assert f"sample of {len(chosen)} rows" in capsys.readouterr().out
    leakage = read(paths.LEAKAGE)
    assert leakage["sampled_rows"] == len(chosen)
    assert leakage["shared_subjects"] == 1.0
    found = read_predictions(paths.folds("nearest_neighbour"), CLASSES)
    assert found.rows.tolist() == chosen.tolist()
    assert read(paths.metrics("nearest_neighbour"))["accuracy"] > 0.8


@pytest.mark.parametrize("n_test", [1, 50, 9999])
def test_affordable_has_rows_of_train_and_of_test(n_test: int) -> None:
    in_test = np.arange(10_000) < n_test
    chosen = affordable(10**7, in_test)  # about 300 rows
    assert len(chosen) < 320
    assert 0 < in_test[chosen].sum() < len(chosen)


@pytest.mark.parametrize("n_shared", [0, 1])
def test_baselines_count_shared_subjects_of_all_rows(
    n_shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MOST_WORK", 30**2 * 520)
    ids = np.arange(20) + 100
    ids[:n_shared] = SUBJECTS[0]
    np.save("data/flat/subjects_test.npy", ids)
    baselines.main()
    assert read(paths.LEAKAGE)["shared_subjects"] == n_shared / 20


@pytest.mark.parametrize("values", [np.float32(X / 255), np.tile(X, 3)])
def test_baselines_of_parts_in_two_storage_formats_name_the_file(values: np.ndarray) -> None:
    np.save("data/flat/x_test.npy", values[TRAIN:])
    with pytest.raises(InputError, match=r"data/flat/x_test\.npy"):
        baselines.main()
    assert not Path("metrics").exists()

"""Cross-validation of a network, and its scores, on tiny rows."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import derive_seed
from mri_stages.preprocessing.nested_folds import assign_inner_folds
from mri_stages.storage.arrays import to_pixels
from mri_stages.storage.assignment import read_assignment
from mri_stages.storage.dataset import Info, LabelledImages, load_all_rows, read_info
from mri_stages.storage.inner_predictions import (
    InnerPredictions,
    OuterFold,
    read_inner_predictions,
)
from mri_stages.storage.predictions import read_predictions, split_repeats
from mri_stages.training.fit import fit
from mri_stages.training.fold_networks import (
    FoldFiles,
    FoldIndex,
    FoldPredictor,
    read_fold_index,
)
from mri_stages.training.inner_training import InnerTask, predict_inner_folds
from stages.cross_validate import remove_checkpoints_of_fold
from tests.helpers.params import change_params
from tests.helpers.project import REPO
from tests.helpers.stages import RunStage, call_stage, copy_environment

N_TRAIN = 60
CLASSES = ["Ill", "Sane"]
RNG = np.random.default_rng(0)
SUBJECTS = RNG.permutation(np.arange(90) % 18)
Y = (SUBJECTS % 3 == 0).astype(np.int64)
X = (RNG.integers(0, 120, (90, 4)) + 40 * Y[:, None] * np.arange(4) // 3).astype(np.uint8)
FOLDS = StratifiedGroupKFold(2, shuffle=True, random_state=0)


@pytest.fixture
def flat(workspace: Path) -> Path:
    write_flat(workspace, subjects=True)
    return workspace


def write_flat(folder: Path, subjects: bool) -> None:
    (folder / "data/flat").mkdir(parents=True)
    for split, part in (("train", slice(N_TRAIN)), ("test", slice(N_TRAIN, None))):
        for name, values in (("x", X), ("y", Y), ("subjects", SUBJECTS))[: 3 if subjects else 2]:
            np.save(folder / f"data/flat/{name}_{split}.npy", values[part])
    info = {"image_shape": [3, 2, 2], "classes": CLASSES, "counts": {}}
    (folder / "data/flat/info.json").write_text(json.dumps(info))


def cross_validate(folder: Path) -> None:
    """Assign folds and run the cross-validation of the small model."""
    call_stage(folder, "assign_folds")
    call_stage(folder, "cross_validate", "small")


def stop_after_last_fold(folder: Path) -> None:
    """Run the cross-validation until it has all folds, and cannot write its predictions."""
    (folder / "data/folds").write_text("in the way")
    with pytest.raises(OSError, match="folds"):
        cross_validate(folder)
    (folder / "data/folds").unlink()


@pytest.mark.slow
def test_cross_validate_of_a_linear_network_equals_cross_val_predict(flat: Path) -> None:
    """With full batches and many steps it is a logistic regression without a penalty."""
    for folder in ("src", "stages"):  # a copy of `stages` runs the `src` beside it
        shutil.copytree(REPO / folder, flat / folder)
    (flat / "src/mri_stages/models/linear_network.py").write_text(
        "from torch import nn\n\n\ndef make_network(shape, n_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(12, n_classes))\n"
    )
    copy_environment(flat)
    call_stage(flat, "assign_folds")  # before a model that this checkout does not have
    change_params(
        flat,
        {
            "train.epochs": 1500,
            "models.small": {"arch": "linear_network", "lr": 0.3, "batch_size": 100},
            "cross_validation.models": {"small": "linear_network"},
        },
    )
    path = os.pathsep.join([f"{flat}/src", str(flat), str(REPO)])
    command = [sys.executable, "-m", "stages.cross_validate", "small"]
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run(command, cwd=flat, env=environment, stdout=subprocess.PIPE, check=True)

    predictions = read_predictions(flat / paths.folds("small"), CLASSES)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, tol=1e-8))
    options = {"groups": SUBJECTS, "cv": FOLDS, "method": "predict_proba"}
    expected = cross_val_predict(model, X / 255, Y, **options)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=2e-3)


def test_cross_validate_names_rows_and_folds(flat: Path) -> None:
    cross_validate(flat)
    predictions = read_predictions(flat / paths.folds("small"), CLASSES)
    assert predictions.rows.tolist() == list(range(90))
    assert predictions.folds is not None
    for fold, (_, test_indices) in enumerate(FOLDS.split(X, Y, SUBJECTS)):
        assert (predictions.folds[test_indices] == fold).all()


def test_cross_validate_trains_each_fold_on_its_own_rows(flat: Path) -> None:
    change_params(flat, {"train.shuffle": True, "train.validation": 0.4})
    cross_validate(flat)
    predictions = read_predictions(flat / paths.folds("small"), CLASSES)
    assert predictions.folds is not None
    model = read_params(flat / "params.yaml").models["small"]
    for fold in range(2):
        expected = predict_fold_plainly(model, predictions.folds, fold, seed=0)
        probabilities = predictions.probabilities[predictions.folds == fold]
        np.testing.assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-5)


def read_inner(folder: Path) -> InnerPredictions:
    return read_inner_predictions(folder / paths.inner("small"), CLASSES)


def test_cross_validate_without_inner_folds_writes_a_header(flat: Path) -> None:
    cross_validate(flat)
    assert read_inner(flat) == {}


def test_cross_validate_predicts_the_training_rows_of_each_fold(flat: Path) -> None:
    change_params(flat, {"cross_validation.inner_folds": 2, "cross_validation.repeats": 2})
    cross_validate(flat)
    inner = read_inner(flat)
    assert list(inner) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    outer = split_repeats(read_predictions(flat / paths.folds("small"), CLASSES))
    for place, predictions in inner.items():
        folds = outer[place.repeat].folds
        assert predictions.rows.tolist() == np.flatnonzero(folds != place.fold).tolist()
        assert np.isfinite(predictions.probabilities).all()


def test_inner_folds_see_nothing_of_the_outer_fold(flat: Path) -> None:
    change_params(flat, {"cross_validation.inner_folds": 2})
    cross_validate(flat)
    before = read_inner(flat)
    outer_mask = np.isin(np.arange(90), before[OuterFold(0, 0)].rows, invert=True)
    for split, part in (("train", slice(N_TRAIN)), ("test", slice(N_TRAIN, None))):
        x = np.where(outer_mask[part, None], 255 - X[part], X[part])
        y = np.where(outer_mask[part], 1 - Y[part], Y[part])
        np.save(flat / f"data/flat/x_{split}.npy", x)
        np.save(flat / f"data/flat/y_{split}.npy", y)
    call_stage(flat, "cross_validate", "small")
    after = read_inner(flat)
    for place, is_same in ((OuterFold(0, 0), True), (OuterFold(0, 1), False)):
        first = before[place].probabilities
        assert np.array_equal(first, after[place].probabilities) is is_same


def test_finished_inner_folds_are_not_trained_again(flat: Path) -> None:
    inner_folds = np.where(SUBJECTS < 6, -1, SUBJECTS % 2)
    for inner_fold in (0, 1):
        p = np.full(((inner_folds == inner_fold).sum(), 2), inner_fold / 4, np.float32)
        np.save(flat / f"inner-1-3-{inner_fold}-of-2.npy", p)
    info = read_info()
    rows = load_all_rows(info)
    task = InnerTask(OuterFold(1, 3), inner_folds, seed=0)
    model = read_params().models["small"]
    predictions = predict_inner_folds(model, info, rows, task, flat)
    assert predictions.folds is not None
    assert predictions.rows.tolist() == np.flatnonzero(SUBJECTS >= 6).tolist()
    assert (predictions.probabilities[:, 0] == predictions.folds / 4).all()


@pytest.mark.parametrize("changes", [{}, {"cross_validation.inner_folds": 2}])
def test_cross_validate_asks_for_validation_rows_first(flat: Path, changes: dict[str, int]) -> None:
    """Nothing was trained: with inner folds, the outer ones alone would have validation rows."""
    share = 0.1 if changes else 0.01
    change_params(flat, {**changes, "train.validation": share})
    with pytest.raises(InputError, match=f"validation is {share}") as error:
        cross_validate(flat)
    assert ("inner fold 1 of 2" in str(error.value)) is bool(changes)
    assert not (flat / "models").exists()


def write_images_for_resnet(folder: Path) -> None:
    """Write images of the smallest side that the network takes, in place of the tiny ones."""
    images = np.random.default_rng(1).integers(0, 255, (90, 16 * 16), np.uint8)
    np.save(folder / "data/flat/x_train.npy", images[:N_TRAIN])
    np.save(folder / "data/flat/x_test.npy", images[N_TRAIN:])
    info = {"image_shape": [1, 16, 16], "classes": CLASSES, "counts": {}}
    (folder / "data/flat/info.json").write_text(json.dumps(info))


@pytest.mark.parametrize("inner", [False, True])
def test_cross_validate_refuses_a_last_batch_of_a_later_training_first(
    flat: Path, inner: bool
) -> None:
    """BatchNorm refuses one row. The first training has no such batch, and does not begin."""
    write_images_for_resnet(flat)
    changes = {"cross_validation.folds": 4, "cross_validation.inner_folds": 2 if inner else 0}
    change_params(flat, changes)
    call_stage(flat, "assign_folds")
    info = read_info()
    rows = load_all_rows(info)
    (folds,) = read_assignment(rows)
    counts = 90 - np.bincount(folds)
    if inner:
        options = read_params().cross_validation
        ((inner_folds, *_),) = assign_inner_folds(rows, info.image_shape, [folds], options)
        counts = np.append(counts, np.bincount(inner_folds[inner_folds >= 0])[0])
    n_rows = counts[counts != counts[0]][-1]
    resnet = {"arch": "resnet", "lr": 0.01, "batch_size": int(n_rows - 1)}
    change_params(flat, {"models.small": resnet, "cross_validation.models.small": "resnet"})

    with pytest.raises(InputError, match=f"last batch of {n_rows} rows") as error:
        call_stage(flat, "cross_validate", "small")
    assert ("inner fold" in str(error.value)) is inner
    assert not (flat / "models").exists()


def predict_fold_plainly(model: Model, folds: np.ndarray, fold: int, seed: int) -> np.ndarray:
    """Return the probabilities of the rows of a fold; seed: of the order of the training rows."""
    train_indices = np.random.default_rng(seed).permutation(np.flatnonzero(folds != fold))
    scaler = StandardScaler().fit(X[train_indices] / 255)
    scaled = np.tile(scaler.transform(X / 255), 3).reshape(-1, 3, 2, 2).astype(np.float32)
    data = LabelledImages(scaled[train_indices], Y[train_indices], SUBJECTS[train_indices])
    info = Info(image_shape=(3, 2, 2), classes=CLASSES, counts={})
    network = fit(model, data, info).network
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(scaled[folds == fold]))
    probabilities: np.ndarray = logits.softmax(1).numpy()
    return probabilities


def test_cross_validate_resumes_after_its_finished_folds(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cross_validate(flat)
    whole = read_predictions(flat / paths.folds("small"), CLASSES)
    assert capsys.readouterr().out.count("fold ") == 2
    assert not list(flat.glob("models/_*"))
    shutil.rmtree(flat / "data/folds")
    stop_after_last_fold(flat)
    (work,) = flat.glob(str(paths.folds_checkpoint("small", "*")))
    kept = np.load(work / "repeat-0-fold-1.npy")
    np.save(work / "repeat-0-fold-1.npy", kept[:, ::-1])  # shows that it is not made again
    (work / "repeat-0-fold-0.npy").unlink()
    call_stage(flat, "scale")
    call_stage(flat, "train", "small")  # it removes checkpoints of its own, and no other
    capsys.readouterr()
    cross_validate(flat)
    assert capsys.readouterr().out.count("fold ") == 1
    resumed = read_predictions(flat / paths.folds("small"), CLASSES)
    expected = whole.probabilities.copy()
    expected[whole.folds == 1] = kept[:, ::-1]
    np.testing.assert_array_equal(resumed.probabilities, expected)
    assert not list(flat.glob("models/_*"))


@pytest.mark.parametrize("changes", [{}, {"train.validation": 0.4, "train.ensemble": 2}])
def test_cross_validate_keeps_networks_that_predict_again(
    flat: Path, changes: dict[str, float]
) -> None:
    """The probabilities of the kept networks have the same bits."""
    change_params(flat, {**changes, "cross_validation.repeats": 2})
    cross_validate(flat)
    expected = split_repeats(read_predictions(flat / paths.folds("small"), CLASSES))[0]
    assert expected.folds is not None

    model = read_params(flat / "params.yaml").models["small"]
    info = Info(image_shape=(3, 2, 2), classes=CLASSES, counts={})
    folder = flat / paths.fold_networks("small")
    assert read_fold_index(folder) == FoldIndex(folds=2, networks=model.ensemble)
    for fold in range(2):
        rows = np.flatnonzero(expected.folds == fold)
        predictor = FoldPredictor(FoldFiles(folder, fold), model, info)
        probabilities = predictor.predict(to_pixels(X[rows]))
        np.testing.assert_array_equal(probabilities, expected.probabilities[rows])


def test_cross_validate_resumed_keeps_the_same_networks(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cross_validate(flat)
    folder = flat / paths.fold_networks("small")
    expected = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(flat / "data/folds")
    shutil.rmtree(folder)
    stop_after_last_fold(flat)
    (work,) = flat.glob(str(paths.folds_checkpoint("small", "*")))
    (work / "networks/fold-1.0.safetensors").unlink()  # as if it was killed before it
    (work / "networks/fold-0.npz.999999999.partial").touch()
    capsys.readouterr()
    cross_validate(flat)
    assert capsys.readouterr().out.count("fold ") == 1
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == expected


def test_cross_validate_of_two_repeats_begins_with_those_of_one(flat: Path) -> None:
    cross_validate(flat)
    one = (flat / paths.folds("small")).read_text()
    change_params(flat, {"cross_validation.repeats": 2})
    cross_validate(flat)
    assert (flat / paths.folds("small")).read_text().startswith(one)


def test_cross_validate_of_two_repeats_has_other_folds_and_weights(flat: Path) -> None:
    change_params(flat, {"cross_validation.repeats": 2, "train.shuffle": True})
    cross_validate(flat)
    first, second = split_repeats(read_predictions(flat / paths.folds("small"), CLASSES))
    assert first.folds is not None
    assert second.folds is not None
    assert (first.folds != second.folds).any()
    np.testing.assert_array_equal(second.rows, first.rows)
    model = read_params(flat / "params.yaml").models["small"]
    model = model.model_copy(update={"seed": derive_seed(model.seed, 1)})
    expected = predict_fold_plainly(model, second.folds, fold=0, seed=derive_seed(0, 1))
    np.testing.assert_allclose(
        second.probabilities[second.folds == 0], expected, rtol=1e-3, atol=1e-5
    )


def test_cross_validate_resumes_in_its_second_repeat(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_params(flat, {"cross_validation.repeats": 2})
    stop_after_last_fold(flat)
    (fold_file,) = flat.glob(f"{paths.folds_checkpoint('small', '*')}/repeat-1-fold-1.npy")
    fold_file.unlink()
    capsys.readouterr()
    cross_validate(flat)
    assert capsys.readouterr().out.count("fold ") == 1


def test_cross_validate_after_a_change_of_ids_uses_no_older_fold(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_after_last_fold(flat)
    np.save(flat / "data/flat/subjects_test.npy", SUBJECTS[N_TRAIN:][::-1].copy())
    capsys.readouterr()
    cross_validate(flat)
    assert capsys.readouterr().out.count("fold ") == 2


def test_cross_validate_after_a_change_of_folds_uses_no_older_fold(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_after_last_fold(flat)
    assignment = (flat / paths.ASSIGNMENT).read_text()
    assert "0,0,0\n" in assignment  # subject 0 moves to the other fold
    (flat / paths.ASSIGNMENT).write_text(assignment.replace("0,0,0\n", "0,0,1\n"))
    capsys.readouterr()
    call_stage(flat, "cross_validate", "small")
    assert capsys.readouterr().out.count("fold ") == 2


def test_cross_validate_without_ids_says_that_folds_are_by_row(
    workspace: Path, run_stage: RunStage
) -> None:
    write_flat(workspace, subjects=False)
    run_stage("assign_folds")
    assert "by row" in run_stage("cross_validate", "small").stdout
    run_stage("summarise", "small")
    metrics = json.loads((workspace / paths.new_subject_metrics("small")).read_text())
    assert metrics["by"] == "row"
    predictions = read_predictions(workspace / paths.folds("small"), CLASSES)
    assert metrics["accuracy"] == pytest.approx(predictions.correct.mean())


def test_cross_validate_keeps_the_best_epoch_of_each_fold(flat: Path) -> None:
    change_params(flat, {"train.epochs": 4, "train.validation": 0.3})
    cross_validate(flat)
    call_stage(flat, "summarise", "small")
    predictions = read_predictions(flat / paths.folds("small"), CLASSES)
    assert predictions.folds is not None
    assert predictions.kept_epochs is not None
    epochs = [int(predictions.kept_epochs[predictions.folds == fold][0]) for fold in range(2)]
    metrics = json.loads((flat / paths.new_subject_metrics("small")).read_text())
    assert metrics["kept_epoch"] == np.median(epochs)
    assert [metrics["kept_epoch_low"], metrics["kept_epoch_high"]] == sorted(epochs)


def test_cross_validate_names_a_model_that_is_not_its_own(
    flat: Path, stage_error: Callable[..., str]
) -> None:
    assert "conv" in stage_error("cross_validate", "conv", status=2)  # only in models


def test_cross_validate_without_folds_writes_a_header(flat: Path) -> None:
    for split, n_rows in (("train", N_TRAIN), ("test", 90 - N_TRAIN)):
        np.save(flat / f"data/flat/subjects_{split}.npy", np.zeros(n_rows, np.int64))
    cross_validate(flat)
    call_stage(flat, "summarise", "small")
    header = (flat / paths.folds("small")).read_text()
    assert header == "row,subject,actual,p_Ill,p_Sane,fold,repeat,kept_epoch\n"
    assert (flat / paths.new_subject_metrics("small")).read_text() == "{}\n"
    (file,) = (flat / paths.fold_networks("small")).iterdir()
    assert json.loads(file.read_text()) == {"folds": 0, "networks": 0}


@pytest.mark.parametrize(
    ("negative_class", "named"), [("Unsure", "negative_class"), (None, "data/folds/small.csv")]
)
def test_summarise_names_what_is_wrong(
    flat: Path, stage_error: Callable[..., str], negative_class: str | None, named: str
) -> None:
    change_params(flat, {"evaluation.negative_class": negative_class})
    (flat / "data/folds").mkdir()
    (flat / "data/folds/small.csv").write_text("row,subject,actual,p_Ill,fold\n0,0,Ill,1,0\n")
    assert named in stage_error("summarise", "small")


def test_remove_checkpoints_of_a_fold_leaves_the_others(tmp_path: Path) -> None:
    removed = ["fold-1.checkpoint", "fold-1.0.checkpoint", "fold-1.0.result.checkpoint"]
    kept = ["fold-1.json", "fold-1.npy", "fold-10.checkpoint"]
    for name in (*removed, *kept):
        (tmp_path / name).touch()
    remove_checkpoints_of_fold(tmp_path / "fold-1.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == kept

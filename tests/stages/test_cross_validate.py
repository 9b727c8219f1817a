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
from tests.helpers.params import change_params
from tests.helpers.project import REPO
from tests.helpers.stages import RunStage, call_stage

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.models import make_network
from mri_stages.storage.predictions import read_predictions
from mri_stages.training.loop import train
from mri_stages.training.validation import choose_validation_rows

N_TRAIN, CLASSES = 60, ["Ill", "Sane"]
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


def test_cross_validate_of_a_linear_network_equals_cross_val_predict(flat: Path) -> None:
    """With full batches and many steps it is a logistic regression without a penalty."""
    for folder in ("src", "stages"):  # a copy of `stages` runs the `src` beside it
        shutil.copytree(REPO / folder, flat / folder)
    (flat / "src/mri_stages/models/linear.py").write_text(
        "from torch import nn\n\n\ndef make_network(shape, n_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(12, n_classes))\n"
    )
    changes = {
        "train.epochs": 1500,
        "models.small": {"arch": "linear", "lr": 0.3, "batch_size": 100},
        "cross_validation.models.small": "linear",
    }
    change_params(flat, changes)
    done = subprocess.run(
        [sys.executable, "-m", "stages.cross_validate", "small"], cwd=flat, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{flat}/src{os.pathsep}{flat}{os.pathsep}{REPO}"},
    )  # fmt: skip
    assert done.returncode == 0
    found = read_predictions(flat / paths.folds("small"), CLASSES)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, tol=1e-8))
    options = {"groups": SUBJECTS, "cv": FOLDS, "method": "predict_proba"}
    expected = cross_val_predict(model, X / 255, Y, **options)
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-3)
    assert found.rows.tolist() == list(range(90))
    for number, (_, test) in enumerate(FOLDS.split(X, Y, SUBJECTS)):
        assert found.folds is not None
        assert (found.folds[test] == number).all()


def test_cross_validate_scales_and_trains_each_fold_on_its_own_rows(flat: Path) -> None:
    change_params(flat, {"train.shuffle": True, "train.validation": 0.4})
    call_stage(flat, "cross_validate", "small")
    found = read_predictions(flat / paths.folds("small"), CLASSES)
    recipe = read_params(flat / "params.yaml").models["small"]
    for fitted, test in FOLDS.split(X, Y, SUBJECTS):
        order = np.random.default_rng(0).permutation(fitted)
        scaler = StandardScaler().fit(X[order] / 255)
        x, x_test = (
            torch.from_numpy(np.tile(scaler.transform(X[rows] / 255), 3)).float().view(-1, 3, 2, 2)
            for rows in (order, test)
        )
        held_out = choose_validation_rows(recipe, Y[order], SUBJECTS[order], CLASSES)
        assert held_out is not None
        network = make_network("simple_nn2", (3, 2, 2), 2, recipe.seed)
        train(
            network,
            x,
            torch.from_numpy(Y[order]),
            recipe,
            validation_mask=torch.from_numpy(held_out),
        )
        with torch.no_grad():
            expected = network.eval()(x_test).softmax(1)
        np.testing.assert_allclose(found.probabilities[test], expected, rtol=1e-3, atol=1e-5)


def test_cross_validate_resumes_after_its_finished_folds(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_stage(flat, "cross_validate", "small")
    whole = read_predictions(flat / paths.folds("small"), CLASSES)
    assert capsys.readouterr().out.count("fold ") == 2
    assert not list(flat.glob("models/_*"))
    shutil.rmtree(flat / "data/folds")
    (flat / "data/folds").write_text("in the way")  # stops the stage after its last fold
    with pytest.raises(OSError, match="folds"):
        call_stage(flat, "cross_validate", "small")
    (work,) = flat.glob(str(paths.folds_checkpoint("small", "*")))
    kept = np.load(work / "fold-1.npy")
    np.save(work / "fold-1.npy", kept[:, ::-1])  # shows that it is not made again
    (work / "fold-0.npy").unlink()
    call_stage(flat, "scale")
    call_stage(flat, "train", "small")  # it removes checkpoints of its own, and no other
    (flat / "data/folds").unlink()
    capsys.readouterr()
    call_stage(flat, "cross_validate", "small")
    assert capsys.readouterr().out.count("fold ") == 1
    resumed = read_predictions(flat / paths.folds("small"), CLASSES)
    expected = whole.probabilities.copy()
    expected[whole.folds == 1] = kept[:, ::-1]
    np.testing.assert_array_equal(resumed.probabilities, expected)
    assert not list(flat.glob("models/_*"))


def test_cross_validate_after_a_change_of_ids_uses_no_older_fold(
    flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (flat / "data/folds").write_text("in the way")  # stops the stage after its last fold
    with pytest.raises(OSError, match="folds"):
        call_stage(flat, "cross_validate", "small")
    (flat / "data/folds").unlink()
    np.save(flat / "data/flat/subjects_test.npy", SUBJECTS[N_TRAIN:][::-1].copy())
    capsys.readouterr()
    call_stage(flat, "cross_validate", "small")
    assert capsys.readouterr().out.count("fold ") == 2


def test_cross_validate_without_ids_says_that_folds_are_by_row(
    workspace: Path, run_stage: RunStage
) -> None:
    write_flat(workspace, subjects=False)
    assert "by row" in run_stage("cross_validate", "small").stdout
    run_stage("summarise", "small")
    metrics = json.loads((workspace / paths.new_subject_metrics("small")).read_text())
    assert metrics["by"] == "row"
    found = read_predictions(workspace / paths.folds("small"), CLASSES)
    assert metrics["accuracy"] == pytest.approx(found.correct.mean())


def test_cross_validate_and_summarise_name_what_is_wrong(
    flat: Path, stage_error: Callable[..., str]
) -> None:
    assert "conv" in stage_error("cross_validate", "conv", status=2)  # only in models
    change_params(flat, {"evaluation.negative_class": "Unsure"})
    (flat / "data/folds").mkdir()
    (flat / "data/folds/small.csv").write_text("row,subject,actual,p_Ill,p_Sane,fold\n")
    assert "negative_class" in stage_error("summarise", "small")
    change_params(flat, {"evaluation.negative_class": None})
    assert "data/folds/small.csv" in stage_error("summarise", "small")
    change_params(flat, {"cross_validation.folds": 19})
    assert "cross_validation.folds" in stage_error("cross_validate", "small")

"""stages/evaluate.py against the logits of the network, on made-up test rows."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.models import make_network, make_networks
from mri_stages.storage import history
from mri_stages.storage.files import read_csv
from mri_stages.storage.history import Epoch
from mri_stages.storage.predictions import read_predictions
from mri_stages.storage.records import RocPoint
from mri_stages.storage.weights import save_weights
from stages import evaluate
from tests.helpers.params import write_params

CLASSES = ["Ill", "Sane", "Unsure"]
LABELS = np.arange(14) % 2
SUBJECTS = np.arange(14) // 3
X = np.random.default_rng(0).normal(size=(14, 20)).astype(np.float32)  # of equal channels
WEIGHTS = paths.weights("small")
METRICS = paths.metrics("small")
CONFUSION = paths.confusion("small")
PREDICTIONS = paths.predictions("small")
ROC = paths.roc("small")


@pytest.fixture
def network(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The network whose weights are in the workspace, beside test rows."""
    monkeypatch.setattr("sys.argv", ["evaluate", "small"])
    arrays: dict[str, NDArray[Any]] = {
        "scaled/x": X,
        "flat/y": LABELS,
        "flat/subjects": SUBJECTS,
    }
    for file, values in arrays.items():
        path = Path(f"data/{file}_test.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
    np.save("data/flat/subjects_train.npy", SUBJECTS)
    info = {"image_shape": [3, 5, 4], "classes": CLASSES, "counts": {}}
    Path("data/flat/info.json").write_text(json.dumps(info))
    network = make_network("simple_nn2", (3, 5, 4), 3, seed=7)
    save_weights(WEIGHTS, network)
    write_history(None, None)
    return network


def write_history(*validation_losses: float | None) -> None:
    epochs = [
        Epoch(number, 1.0, 1.0, 0.5, loss, 0.5)
        for number, loss in enumerate(validation_losses, start=1)
    ]
    history.write_history(paths.history("small"), epochs)


def run_evaluate() -> dict[str, Any]:
    evaluate.main()
    metrics: dict[str, Any] = json.loads(METRICS.read_text())
    return metrics


def compute_logits(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = network(torch.from_numpy(np.tile(X, 3)).view(14, 3, 5, 4))
    return logits


def test_evaluate_scores_the_test_rows(network: nn.Module) -> None:
    logits = compute_logits(network)
    predicted = logits.argmax(1).numpy()
    recalls = [(predicted[label == LABELS] == label).mean() for label in (0, 1)]
    p = logits.softmax(1).numpy()
    aucs = [roc_auc_score(label == LABELS, p[:, label]) for label in (0, 1)]
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(LABELS))

    metrics = run_evaluate()
    assert metrics["accuracy"] == pytest.approx((predicted == LABELS).mean())
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert metrics["auc"] == pytest.approx(np.mean(aucs))
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert metrics["diverged"] is False


@pytest.mark.parametrize("ids_known", [True, False])
def test_evaluate_gives_the_interval_of_subjects(network: nn.Module, ids_known: bool) -> None:
    if not ids_known:
        for split in ("train", "test"):
            Path(f"data/flat/subjects_{split}.npy").unlink()
    correct = compute_logits(network).argmax(1).numpy() == LABELS
    interval = compute_accuracy_interval(correct, SUBJECTS if ids_known else None)
    metrics = run_evaluate()
    assert (metrics["ci_low"], metrics["ci_high"]) == interval


def test_evaluate_names_the_kept_epoch(network: nn.Module) -> None:
    write_history(0.9, 0.3, 0.5)
    assert run_evaluate()["kept_epoch"] == 2


def test_evaluate_without_validation_names_no_epoch(network: nn.Module) -> None:
    assert "kept_epoch" not in run_evaluate()


@pytest.fixture
def networks(network: nn.Module) -> list[nn.Module]:
    """The networks of an ensemble whose weights are in the workspace."""
    write_params(Path(), {"models.small.ensemble": 3})
    ensemble: Any = make_networks(3, "simple_nn2", (3, 5, 4), 3, seed=7)
    save_weights(WEIGHTS, ensemble)
    return list(ensemble)


def test_evaluate_averages_the_probabilities_of_an_ensemble(networks: list[nn.Module]) -> None:
    run_evaluate()
    probabilities = [compute_logits(network).softmax(1) for network in networks]
    expected = torch.stack(probabilities).mean(0)
    predictions = read_predictions(PREDICTIONS, CLASSES)
    np.testing.assert_allclose(predictions.probabilities, expected, rtol=1e-4)


def test_evaluate_takes_the_loss_of_the_mean_probabilities(networks: list[nn.Module]) -> None:
    probabilities = [compute_logits(network).softmax(1) for network in networks]
    p_actual = torch.stack(probabilities).mean(0)[torch.arange(14), torch.from_numpy(LABELS)]
    assert run_evaluate()["loss"] == pytest.approx(float(-p_actual.log().mean()), rel=1e-5)


def test_evaluate_of_an_ensemble_keeps_the_median_epoch(networks: list[nn.Module]) -> None:
    losses = [(0.1, 0.9, 0.9), (0.9, 0.1, 0.9), (0.9, 0.9, 0.1)]
    rows = []
    for number, network_losses in enumerate(losses):
        for epoch, loss in enumerate(network_losses, start=1):
            rows.append(Epoch(epoch, 1.0, 1.0, 0.5, loss, 0.5, network=number))
    history.write_history(paths.history("small"), rows)
    assert run_evaluate()["kept_epoch"] == 2


def test_evaluate_names_classes_without_rows(network: nn.Module) -> None:
    assert run_evaluate()["unscored_classes"] == "Unsure"


def test_evaluate_writes_the_confusion_of_each_row(network: nn.Module) -> None:
    run_evaluate()
    predicted = compute_logits(network).argmax(1).tolist()
    pairs = zip(LABELS.tolist(), predicted, strict=True)
    lines = [f"{CLASSES[actual]},{CLASSES[label]}" for actual, label in pairs]
    assert CONFUSION.read_text().splitlines() == ["actual,predicted", *lines]


def test_evaluate_writes_the_probabilities(network: nn.Module) -> None:
    run_evaluate()
    predictions = read_predictions(PREDICTIONS, CLASSES)
    expected = compute_logits(network).softmax(1)
    np.testing.assert_allclose(predictions.probabilities, expected, rtol=1e-4)
    assert predictions.subjects is not None
    assert predictions.subjects.tolist() == SUBJECTS.tolist()


def test_evaluate_writes_a_roc_curve_of_each_class_with_rows(network: nn.Module) -> None:
    run_evaluate()
    assert {point.name for point in read_csv(ROC, RocPoint)} == {"Ill", "Sane"}


def test_evaluate_scores_any_other_class_against_a_negative_one(network: nn.Module) -> None:
    write_params(Path(), {"evaluation.negative_class": "Sane"})
    p_negative = compute_logits(network).softmax(1)[:, 1]
    assert run_evaluate()["auc"] == pytest.approx(roc_auc_score(LABELS != 1, 1 - p_negative))


def test_evaluate_names_an_unknown_negative_class(network: nn.Module) -> None:
    write_params(Path(), {"evaluation.negative_class": "sane"})
    with pytest.raises(InputError, match="negative_class"):
        evaluate.main()


def test_evaluate_marks_runs_that_diverged(network: nn.Module) -> None:
    for parameter in network.parameters():
        nn.init.constant_(parameter, math.nan)
    save_weights(WEIGHTS, network)
    metrics = run_evaluate()
    assert (metrics["diverged"], "loss" in metrics, "auc" in metrics) == (True, False, False)
    assert metrics["accuracy"] == 1 / 2  # every prediction is class 0
    assert read_csv(ROC, RocPoint, least=0) == []


@pytest.mark.parametrize("file", [WEIGHTS, Path("data/scaled/x_test.npy")])
def test_evaluate_of_a_bad_input_writes_nothing(network: nn.Module, file: Path) -> None:
    file.write_bytes(b"no such thing")
    with pytest.raises(InputError, match=str(file)):
        evaluate.main()
    assert not any(path.exists() for path in (METRICS, CONFUSION, PREDICTIONS, ROC))

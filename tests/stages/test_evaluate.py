import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from stages import evaluate
from tests.conftest import PARAMS
from torch import nn

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.evaluation.confidence import compute_accuracy_interval
from mri_stages.models import make_network
from mri_stages.storage.files import read_csv
from mri_stages.storage.predictions import read_predictions
from mri_stages.storage.records import RocPoint
from mri_stages.storage.weights import save_weights

CLASSES = ["Ill", "Sane", "Unsure"]
LABELS = np.arange(14) % 2
SUBJECTS = np.arange(14) // 3
X = np.random.default_rng(0).normal(size=(14, 20)).astype(np.float32)  # of equal channels
WEIGHTS, METRICS = paths.weights("small"), paths.metrics("small")
OUTS = (METRICS, paths.confusion("small"), paths.predictions("small"), paths.roc("small"))


@pytest.fixture
def network(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The network whose weights are in the workspace, beside test rows."""
    monkeypatch.setattr("sys.argv", ["evaluate", "small"])
    for file, values in (("scaled/x", X), ("flat/y", LABELS), ("flat/subjects", SUBJECTS)):
        Path(f"data/{file}").parent.mkdir(parents=True, exist_ok=True)
        np.save(f"data/{file}_test.npy", values)
    info = {"image_shape": [3, 5, 4], "classes": CLASSES, "counts": {}}
    Path("data/flat/info.json").write_text(json.dumps(info))
    network = make_network("simple_nn2", (3, 5, 4), 3, seed=7)
    save_weights(WEIGHTS, network)
    return network


def evaluated() -> dict[str, Any]:
    evaluate.main()
    metrics: dict[str, Any] = json.loads(METRICS.read_text())
    return metrics


@pytest.mark.parametrize("ids_known", [True, False])
def test_evaluate_scores_the_test_rows(network: nn.Module, ids_known: bool) -> None:
    if not ids_known:
        Path("data/flat/subjects_test.npy").unlink()
    metrics = evaluated()
    with torch.no_grad():
        logits = network(torch.from_numpy(np.tile(X, 3)).view(14, 3, 5, 4))
    predicted = logits.argmax(1).numpy()
    interval = compute_accuracy_interval(predicted == LABELS, SUBJECTS if ids_known else None)
    recalls = [(predicted[label == LABELS] == label).mean() for label in (0, 1)]
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(LABELS))
    p = logits.softmax(1).numpy()
    aucs = [roc_auc_score(label == LABELS, p[:, label]) for label in (0, 1)]
    del metrics["macro_f1"]
    assert metrics == {
        "accuracy": pytest.approx((predicted == LABELS).mean()),
        **dict(zip(("ci_low", "ci_high"), interval, strict=True)),
        "balanced_accuracy": pytest.approx(np.mean(recalls)),
        "auc": pytest.approx(np.mean(aucs)),
        "loss": pytest.approx(float(loss), rel=1e-5),
        "diverged": False,
        "unscored_classes": "Unsure",
    }
    table = [f"{CLASSES[a]},{CLASSES[p]}" for a, p in zip(LABELS, predicted, strict=True)]
    assert OUTS[1].read_text().splitlines() == ["actual,predicted", *table]
    found = read_predictions(OUTS[2], CLASSES)
    np.testing.assert_allclose(found.probabilities, p, rtol=1e-4)
    assert (found.subjects is not None) is ids_known
    assert {point.name for point in read_csv(OUTS[3], RocPoint)} == {"Ill", "Sane"}


def test_evaluate_with_a_negative_class_scores_any_other_class_against_it(
    network: nn.Module,
) -> None:
    text = PARAMS.replace("negative_class: null", "negative_class: Sane")
    Path("params.yaml").write_text(text)
    with torch.no_grad():
        p = network(torch.from_numpy(np.tile(X, 3)).view(14, 3, 5, 4)).softmax(1)
    assert evaluated()["auc"] == pytest.approx(roc_auc_score(LABELS != 1, 1 - p[:, 1]))
    Path("params.yaml").write_text(text.replace("Sane", "sane"))
    with pytest.raises(InputError, match="negative_class"):
        evaluate.main()


def test_evaluate_marks_runs_that_diverged(network: nn.Module) -> None:
    for parameter in network.parameters():
        nn.init.constant_(parameter, math.nan)
    save_weights(WEIGHTS, network)
    metrics = evaluated()
    assert (metrics["diverged"], "loss" in metrics, "auc" in metrics) == (True, False, False)
    assert metrics["accuracy"] == 1 / 2  # every prediction is class 0
    assert read_csv(OUTS[3], RocPoint, least=0) == []


@pytest.mark.parametrize("file", [WEIGHTS, Path("data/scaled/x_test.npy")])
def test_evaluate_of_a_bad_input_writes_nothing(network: nn.Module, file: Path) -> None:
    file.write_bytes(b"no such thing")
    with pytest.raises(InputError, match=str(file)):
        evaluate.main()
    assert not any(path.exists() for path in OUTS)

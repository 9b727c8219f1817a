import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from src.cli import InputError
from src.evaluation.confidence import confidence_interval
from src.models import make_network
from src.storage.dataset import Epoch
from src.storage.files import write_csv
from src.storage.weights import save_weights
from stages import evaluate

CLASSES = ["Ill", "Sane", "Unsure"]
LABELS = np.arange(14) % 2
SUBJECTS = np.arange(14) // 3
X = np.random.default_rng(0).normal(size=(14, 20)).astype(np.float32)  # of equal channels
WEIGHTS, HISTORY = Path("models/small.safetensors"), Path("plots/history/small.csv")
METRICS, CONFUSION = Path("metrics/small.json"), Path("plots/confusion/small.csv")


@pytest.fixture
def network(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The network whose weights and history are in the workspace, beside test rows."""
    monkeypatch.chdir(workspace)
    monkeypatch.setattr("sys.argv", ["evaluate", "small"])
    for file, values in (("scaled/x", X), ("flat/y", LABELS), ("flat/subjects", SUBJECTS)):
        Path(f"data/{file}").parent.mkdir(parents=True, exist_ok=True)
        np.save(f"data/{file}_test.npy", values)
    info = {"image_shape": [3, 5, 4], "classes": CLASSES, "scored": CLASSES[:2], "counts": {}}
    Path("data/flat/info.json").write_text(json.dumps(info))
    write_history(1.5, 0.5)
    network = make_network("simple_nn2", (3, 5, 4), 3, seed=7)
    save_weights(WEIGHTS, network)
    return network


def write_history(*losses: float) -> None:
    write_csv(HISTORY, Epoch._fields, [(epoch, loss, 1, 0.5) for epoch, loss in enumerate(losses)])


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
    interval = confidence_interval(predicted == LABELS, SUBJECTS if ids_known else None)
    recalls = [(predicted[label == LABELS] == label).mean() for label in (0, 1)]
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(LABELS))
    del metrics["macro_f1"]
    assert metrics == {
        "accuracy": pytest.approx((predicted == LABELS).mean()),
        **dict(zip(("ci_low", "ci_high"), interval, strict=True)),
        "balanced_accuracy": pytest.approx(np.mean(recalls)),
        "loss": pytest.approx(float(loss), rel=1e-5),
        "diverged": False,
        "unscored_classes": "Unsure",
    }
    table = [f"{CLASSES[a]},{CLASSES[p]}" for a, p in zip(LABELS, predicted, strict=True)]
    assert CONFUSION.read_text().splitlines() == ["actual,predicted", *table]


def test_evaluate_marks_runs_that_diverged(network: nn.Module) -> None:
    write_history(math.nan, 0.5)
    assert evaluated()["diverged"] is False  # the last loss counts
    write_history(1.5, math.nan)
    assert evaluated()["diverged"] is True
    write_history(1.5)
    for parameter in network.parameters():
        nn.init.constant_(parameter, math.nan)
    save_weights(WEIGHTS, network)
    metrics = evaluated()
    assert (metrics["diverged"], "loss" in metrics) == (True, False)
    assert metrics["accuracy"] == 1 / 2  # every prediction is class 0


@pytest.mark.parametrize("file", [HISTORY, WEIGHTS, Path("data/scaled/x_test.npy")])
def test_evaluate_of_a_bad_input_writes_nothing(network: nn.Module, file: Path) -> None:
    file.write_bytes(b"no such thing")
    with pytest.raises(InputError, match=str(file)):
        evaluate.main()
    assert not any(path.exists() for path in (METRICS, CONFUSION))

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from src.cli import InputError
from src.evaluation.confidence import confidence_interval
from src.evaluation.metrics import Metrics, read_baseline, score
from src.storage.files import read_json, write_json

WHOLE: dict[str, Any] = {"accuracy": 0.5, "ci_low": 0.4, "ci_high": 0.6}
WHOLE |= {"balanced_accuracy": 0.3, "macro_f1": 0.2, "loss": 1.5, "diverged": False}
WHOLE |= {"unscored_classes": "ill, sane"}


def test_score_equals_scikit_learn_and_the_interval_of_its_own_rows() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    predicted[labels == 2] = 2
    subjects = np.arange(90) // 9
    metrics = score(predicted, labels, subjects, ["a", "b", "c"], loss=0.7, diverged=False)
    assert [*metrics.to_json()] == [*WHOLE][:-1]
    assert metrics.accuracy == pytest.approx((predicted == labels).mean())
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    found = metrics.ci_low, metrics.ci_high
    assert found == confidence_interval(predicted == labels, subjects)


def test_score_leaves_an_unscored_class_out_of_the_means() -> None:
    predicted, labels = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 0, 0, 1, 1])
    metrics = score(predicted, labels, None, ["ill", "sane"], ["ill"])
    assert metrics.accuracy == pytest.approx(4 / 6)
    assert [*metrics.to_json().values()][3:] == [1 / 2, 2 / (2 + 1 + 1), "ill"]
    none = score(predicted, labels, None, ["ill"], ["ill"], loss=math.inf, diverged=True)
    assert [*none.to_json()] == ["accuracy", "ci_low", "ci_high", "diverged", "unscored_classes"]


def test_metrics_are_written_in_order_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_json(path, Metrics(**dict(reversed(WHOLE.items()))).to_json())
    assert [*json.loads(path.read_text()).items()] == [*WHOLE.items()]
    assert read_json(path, Metrics) == Metrics(**WHOLE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("accuracy", "0.5"), ("accuracy", True), ("ci_high", 1.5), ("ci_low", math.nan)),
        *(("ci_low", -0.1), ("ci_low", None), ("loss", math.inf), ("diverged", "no")),
    ],
)
def test_metrics_with_a_wrong_value_are_an_error(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "m.json").write_text(json.dumps({**WHOLE, key: value}))
    with pytest.raises(InputError, match=rf"m\.json: {key}"):
        read_json(tmp_path / "m.json", Metrics)


def test_read_baseline_allows_an_empty_object_only_for_folds(tmp_path: Path) -> None:
    for name in ("nearest_neighbour_subject", "nearest_neighbour_random", "majority"):
        (tmp_path / f"{name}.json").write_text("{}")
    assert read_baseline(tmp_path / "nearest_neighbour_subject.json") is None
    with pytest.raises(InputError, match=r"majority\.json: accuracy"):
        read_baseline(tmp_path / "majority.json")
    (tmp_path / "nearest_neighbour_random.json").write_text(json.dumps(WHOLE))
    assert read_baseline(tmp_path / "nearest_neighbour_random.json") == Metrics(**WHOLE)

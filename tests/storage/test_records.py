import json
from pathlib import Path
from typing import Any

import pytest

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.config.schema import BASELINES
from mri_stages.errors import InputError
from mri_stages.storage.files import write_json
from mri_stages.storage.records import (
    Estimate,
    Leakage,
    Metrics,
    Pair,
    list_missing_models,
    read_given_metrics,
    read_leakage,
    read_metrics,
    read_new_subject_metrics,
    read_pairs,
    write_leakage,
    write_metrics,
    write_pairs,
)
from tests.helpers.params import write_params

# Every key, in the order of the file.
ALL_KEYS: dict[str, Any] = {
    "accuracy": 0.5,
    "ci_low": 0.4,
    "ci_high": 0.6,
    "balanced_accuracy": 0.3,
    "macro_f1": 0.2,
    "auc": 0.7,
    "auc_low": 0.6,
    "auc_high": 0.8,
    "loss": 1.5,
    "diverged": False,
    "unscored_classes": "ill, sane",
    "by": "subject",
}


def test_metrics_are_written_in_order(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_metrics(path, Metrics(**dict(reversed(ALL_KEYS.items()))))
    assert [*json.loads(path.read_text()).items()] == [*ALL_KEYS.items()]


def test_metrics_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_metrics(path, Metrics(**ALL_KEYS))
    assert read_metrics(path) == Metrics(**ALL_KEYS)


def test_metrics_leave_out_none(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_metrics(path, Metrics(**ALL_KEYS).model_copy(update={"loss": None, "auc": None}))
    assert not {"loss", "auc"} & json.loads(path.read_text()).keys()


def test_metrics_of_no_baseline_are_an_empty_object(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    write_metrics(path, None)
    assert json.loads(path.read_text()) == {}
    assert read_metrics(path) is None


@pytest.mark.parametrize(("key", "value"), [("accuracy", 1.5), ("auc", -0.1), ("by", "house")])
def test_metrics_beyond_their_range_are_an_error(tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "m.json"
    write_json(path, ALL_KEYS | {key: value})
    with pytest.raises(InputError, match=rf"m\.json: {key}"):
        read_metrics(path)


def test_estimates_have_the_interval_of_their_figure() -> None:
    metrics = Metrics(**ALL_KEYS)
    assert metrics.accuracy_estimate == Estimate(0.5, 0.4, 0.6)
    assert metrics.auc_estimate == Estimate(0.7, 0.6, 0.8)


def test_given_metrics_are_of_models_and_two_baselines(workspace: Path) -> None:
    names = ["small", "conv", "conv_again", "conv_hot", *BASELINES[:2]]
    for name in names:
        write_metrics(paths.metrics(name), Metrics(**ALL_KEYS))
    assert list(read_given_metrics(read_params())) == names


def test_given_metrics_leave_out_a_model_without_a_file(workspace: Path) -> None:
    names = ["small", "conv_hot", *BASELINES[:2]]
    for name in names:
        write_metrics(paths.metrics(name), Metrics(**ALL_KEYS))
    metrics = read_given_metrics(read_params())
    assert list(metrics) == names
    assert list_missing_models(read_params().models, metrics) == ["conv", "conv_again"]


def test_given_metrics_of_a_baseline_are_required(workspace: Path) -> None:
    write_metrics(paths.metrics("small"), Metrics(**ALL_KEYS))
    with pytest.raises(InputError, match=str(paths.metrics("majority"))):
        read_given_metrics(read_params())


def test_given_metrics_of_a_model_are_never_empty(workspace: Path) -> None:
    for name in ("small", "conv", "conv_again", "conv_hot", *BASELINES[:2]):
        write_metrics(paths.metrics(name), None)
    with pytest.raises(InputError, match=str(paths.metrics("small"))):
        read_given_metrics(read_params())


def test_new_subject_metrics_leave_out_a_baseline_without_any(workspace: Path) -> None:
    write_params(workspace)
    for name in ("small", *BASELINES[:2]):
        write_metrics(paths.new_subject_metrics(name), Metrics(**ALL_KEYS))
    for name in BASELINES[2:]:
        write_metrics(paths.new_subject_metrics(name), None)
    assert list(read_new_subject_metrics(read_params())) == ["small", *BASELINES[:2]]


def test_new_subject_metrics_have_the_average_after_the_models(workspace: Path) -> None:
    write_params(workspace)
    for name in ("average", *BASELINES):
        write_metrics(paths.new_subject_metrics(name), Metrics(**ALL_KEYS))
    assert list(read_new_subject_metrics(read_params())) == ["average", *BASELINES]


@pytest.mark.usefixtures("workspace")
def test_leakage_is_read_as_written() -> None:
    leakage = Leakage(sentence="S", nearest_neighbour_given=0.5, nearest_neighbour_random=0.25)
    write_leakage(leakage)
    assert list(json.loads(paths.LEAKAGE.read_text())) == [
        "sentence",
        "nearest_neighbour_given",
        "nearest_neighbour_random",
    ]
    assert read_leakage() == leakage


@pytest.mark.parametrize("pairs", [[], [Pair("a", "b", 3, 5, 0.25, p_is_floor=True)]])
def test_pairs_are_read_as_written(tmp_path: Path, pairs: list[Pair]) -> None:
    write_pairs(tmp_path / "pairs.csv", pairs)
    assert read_pairs(tmp_path / "pairs.csv") == pairs

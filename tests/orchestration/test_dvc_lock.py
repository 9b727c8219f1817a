"""What a dvc.lock tells of a file of metrics."""

from pathlib import Path
from typing import Any

import pytest

from mri_stages.orchestration.dvc_lock import (
    LockedStage,
    Provenance,
    collect_code,
    find_out_hash,
    hash_folder,
    judge_file,
    parse_lock,
)
from tests.helpers.locked_projects import hash_text

METRICS = Path("metrics/net.json")
TEXT = "{}"
PARAMS = {"params.yaml": {"models": {"net": {"lr": 0.1}}, "threshold": 0.5}}


def make_stages() -> dict[str, LockedStage]:
    """Return a training, its evaluation, and an average over a folder of predictions."""
    return {
        "load": LockedStage({"data/raw": "1"}, {"data/flat": "2.dir"}),
        "train@net": LockedStage(
            {"data/flat": "2.dir", "src/train.py": "c"},
            {"folds/net.csv": "3"},
            {"params.yaml": {"models.net": {"lr": 0.1}}},
        ),
        "evaluate@net": LockedStage(
            {"folds/net.csv": "3", "src/score.py": "d"},
            {METRICS.as_posix(): hash_text(TEXT)},
            {"params.yaml": {"threshold": 0.5}},
        ),
        "average": LockedStage(
            {"folds": hash_folder({"net.csv": "3"})}, {"metrics/average.json": hash_text(TEXT)}
        ),
    }


def judge(
    stages: dict[str, LockedStage],
    path: Path = METRICS,
    params: dict[str, Any] = PARAMS,
    text: str = TEXT,
    raw_hash: str = "1",
) -> Provenance:
    return judge_file(path, text.encode(), stages, params, {"data/raw": raw_hash}).provenance


def test_judge_a_file_of_these_params() -> None:
    assert judge(make_stages()) is Provenance.CURRENT
    assert judge(make_stages(), Path("metrics/average.json")) is Provenance.CURRENT


@pytest.mark.parametrize(
    "values",
    [
        {"models": {"net": {"lr": 0.1}}, "threshold": 0.25},
        {"models": {"net": {"lr": 0.2}}, "threshold": 0.5},
        {"models": {"net": {"lr": 0.1}}},
    ],
)
def test_judge_a_file_of_other_params(values: dict[str, Any]) -> None:
    assert judge(make_stages(), params={"params.yaml": values}) is Provenance.OTHER_PARAMS


def test_judge_names_the_stage_and_its_param() -> None:
    params = {"params.yaml": {"models": {"net": {"lr": 0.2}}, "threshold": 0.5}}
    judgement = judge_file(METRICS, TEXT.encode(), make_stages(), params, {})
    assert judgement.stage == "train@net"
    assert "models.net.lr 0.1" in judgement.fault


def test_judge_a_file_whose_source_was_made_again() -> None:
    stages = make_stages()
    stages["train@net"] = LockedStage(
        stages["train@net"].deps, {"folds/net.csv": "9"}, stages["train@net"].params
    )
    assert judge(stages) is Provenance.OTHER_PARAMS
    assert judge(stages, Path("metrics/average.json")) is Provenance.OTHER_PARAMS


def test_judge_a_file_of_other_raw_data() -> None:
    assert judge(make_stages(), raw_hash="9") is Provenance.OTHER_PARAMS


def test_judge_a_file_that_no_stage_has_made() -> None:
    assert judge(make_stages(), Path("metrics/stray.json")) is Provenance.UNLOCKED


def test_judge_a_file_that_was_edited() -> None:
    assert judge(make_stages(), text='{"auc": 1}') is Provenance.UNLOCKED


def test_judge_ignores_a_stage_that_was_renamed() -> None:
    """DVC keeps the entry of the former name, which made the same file."""
    stages = {"evaluate": LockedStage({"folds/net.csv": "0"}, {METRICS.as_posix(): "0"})}
    assert judge(stages | make_stages()) is Provenance.CURRENT


def test_judge_an_average_beside_a_removed_model() -> None:
    params = {"params.yaml": {"cross_validation": {"models": {"net": "arch"}}}}
    stages = {name: make_stages()[name] for name in ("average", "load")}
    stages["cv@net"] = LockedStage({}, {"folds/net.csv": "3"})
    stages["cv@removed"] = LockedStage({}, {"folds/removed.csv": "4"})
    path = Path("metrics/average.json")
    assert judge(stages, path, params) is Provenance.CURRENT

    stages["cv@net"] = LockedStage({}, {"folds/net.csv": "9"})
    assert judge(stages, path, params) is Provenance.OTHER_PARAMS


def test_code_is_that_of_all_stages_behind_a_file() -> None:
    assert collect_code(make_stages(), METRICS) == {"src/train.py": "c", "src/score.py": "d"}


def test_out_hash_of_a_path() -> None:
    assert find_out_hash(make_stages(), Path("data/flat")) == "2.dir"
    assert find_out_hash(make_stages(), Path("data")) == ""


def test_parse_lock_of_no_stage() -> None:
    assert parse_lock({}) == {}

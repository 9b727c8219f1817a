"""The shape and the classes of the images, before any stage has read them."""

from pathlib import Path

import pytest

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.errors import InputError
from mri_stages.orchestration.data_facts import find_data_facts, predict_sample, read_data_facts
from mri_stages.orchestration.graph import StageGraph
from mri_stages.preprocessing.folds import FoldLimit
from tests.helpers.params import change_params
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import call_stage

GRAPH = StageGraph({"sample": frozenset(), "load": frozenset({"sample"})})
OWN_GRAPH = StageGraph({"convert": frozenset(), "load": frozenset({"convert"})})
DVC_GRAPH = StageGraph({"data/raw.dvc": frozenset(), "load": frozenset({"data/raw.dvc"})})


def test_read_data_facts(raw: Path) -> None:
    facts = read_data_facts(raw)
    assert facts.image_shape == (3, 36, 40)
    assert facts.classes == ["Ill", "Sane", "Unsure"]


def test_read_data_facts_without_class_names(raw: Path) -> None:
    (raw / "classes.json").unlink()
    assert read_data_facts(raw).classes == ["0", "1", "2"]


def test_read_data_facts_counts_the_subjects(raw: Path) -> None:
    assert read_data_facts(raw).fold_limit == FoldLimit(8, "subjects in all")


def test_read_data_facts_counts_rows_without_ids(raw: Path) -> None:
    for path in raw.glob("*_subjects.pt"):
        path.unlink()
    limit = read_data_facts(raw).fold_limit
    assert limit is not None
    assert limit.max_folds == 13  # 8 of 23 training rows and 5 of 14 test rows


def test_read_data_facts_of_one_subject_has_no_limit(workspace: Path) -> None:
    write_raw(workspace / "data/raw", n_train=3, n_test=3)
    assert read_data_facts(workspace / "data/raw").fold_limit is None


def test_read_data_facts_of_a_damaged_folder(raw: Path) -> None:
    (raw / "train_data.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"train_data\.pt"):
        read_data_facts(raw)


def test_predict_sample_is_what_the_stage_draws(workspace: Path) -> None:
    change_params(workspace, {"sample.height": 8, "sample.width": 9})
    call_stage(workspace, "sample")
    drawn = read_data_facts(paths.SAMPLE)
    predicted = predict_sample(read_params().sample)
    assert predicted.image_shape == drawn.image_shape
    assert predicted.classes == drawn.classes
    assert predicted.fold_limit == drawn.fold_limit


def test_find_data_facts_of_a_sample_that_is_drawn_again(workspace: Path) -> None:
    write_raw(workspace / "data/sample", shape=(1, 4, 4))
    change_params(workspace, {"data.raw": "data/sample"})
    facts = find_data_facts(read_params(), GRAPH, {"sample"})
    assert facts == predict_sample(read_params().sample)


@pytest.mark.parametrize(
    ("graph", "changed"),
    [(GRAPH, set()), (OWN_GRAPH, {"load"}), (DVC_GRAPH, {"data/raw.dvc", "load"})],
)
def test_find_data_facts_of_a_raw_folder(raw: Path, graph: StageGraph, changed: set[str]) -> None:
    facts = find_data_facts(read_params(), graph, changed)
    assert facts == read_data_facts(raw)


def test_find_data_facts_of_a_folder_that_a_stage_writes_again(raw: Path) -> None:
    assert find_data_facts(read_params(), OWN_GRAPH, {"convert"}) is None


def test_find_data_facts_of_a_folder_that_is_not_there(workspace: Path) -> None:
    assert find_data_facts(read_params(), OWN_GRAPH, {"load"}) is None

"""Params that do not go with the images: named by the import, before the first stage of a run."""

import re
from pathlib import Path
from typing import Any

import pytest

from mri_stages.config.loading import read_params
from mri_stages.orchestration.data_checks import (
    describe_refusals,
    list_first_stages,
    list_import_warnings,
    write_removal_command,
)
from mri_stages.orchestration.data_facts import DataFacts
from mri_stages.orchestration.graph import StageGraph
from mri_stages.orchestration.image_sizes import Refusal, RefusalKind
from tests.helpers.dvc_projects import list_started, run_repro, shell_stage, write_project
from tests.helpers.params import change_params
from tests.helpers.raw_folders import write_raw

CONV_MODELS = ("conv", "conv_again", "conv_hot")
TOO_SMALL = Refusal("from 36 x 36 pixels", 36)


@pytest.fixture
def small_raw(workspace: Path) -> Path:
    """Return a raw folder of images that are too small for the models of conv_nn2."""
    write_raw(workspace / "data/raw", shape=(3, 8, 9))
    return workspace / "data/raw"


def write_subject_table(folder: Path) -> None:
    (folder / "subjects.csv").write_text("subject,age,sex\n0,60,F\n")


def test_import_warnings_where_all_goes_together(raw: Path) -> None:
    assert list_import_warnings(raw) == []


def test_import_warnings_name_the_models_and_the_commands(small_raw: Path) -> None:
    (line,) = list_import_warnings(small_raw)
    for part in (*CONV_MODELS, "36 x 36", "--use small", "--resize 36 41"):
        assert part in line


def test_import_warnings_name_the_classes(raw: Path) -> None:
    change_params(Path(), {"evaluation.negative_class": "Well"})
    (line,) = list_import_warnings(raw)
    assert "'Well'" in line
    assert "Ill, Sane, Unsure" in line


def test_import_warnings_name_the_folds(raw: Path) -> None:
    change_params(Path(), {"cross_validation.folds": 9})
    (line,) = list_import_warnings(raw)
    assert "cross_validation.folds" in line
    assert re.search(r"\b8\b", line)  # subjects: 23 training rows, 3 of each


def test_import_warnings_where_no_folds_are_possible(workspace: Path) -> None:
    write_raw(workspace / "data/raw", n_train=3, n_test=3)
    assert list_import_warnings(workspace / "data/raw") == []


def test_import_warnings_name_the_columns_of_subjects(raw: Path) -> None:
    write_subject_table(raw)
    change_params(Path(), {"evaluation.covariates": ["age", "Sex", "subject"]})
    lines = list_import_warnings(raw)
    assert [line.split("'")[1] for line in lines] == ["Sex", "subject"]
    assert "age, sex" in lines[0]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["F"] * 8, "sex is F"),
        (["F", "M", " ", *["F"] * 5], "1 of 8 subjects, such as 2"),
        (["F", "M", *["F"] * 6], ""),
    ],
)
def test_import_warnings_name_a_column_that_no_fold_can_keep(
    raw: Path, values: list[str], named: str
) -> None:
    lines = [f"{subject},{value}" for subject, value in enumerate(values)]
    (raw / "subjects.csv").write_text("\n".join(["subject,sex", *lines]))
    change_params(Path(), {"cross_validation.stratify": ["sex"]})
    warnings = list_import_warnings(raw)
    assert len(warnings) == (1 if named else 0)
    assert named in "".join(warnings)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["F"] * 8, "sex is F"),
        ([""] * 8, "no value"),
        ([str(number) for number in range(8)], ""),
        (["F", "M", " ", *["F"] * 5], ""),
    ],
)
def test_import_warnings_name_a_column_that_makes_no_groups(
    raw: Path, values: list[str], named: str
) -> None:
    lines = [f"{subject},{value}" for subject, value in enumerate(values)]
    (raw / "subjects.csv").write_text("\n".join(["subject,sex", *lines]))
    change_params(Path(), {"evaluation.groups": ["sex"]})
    warnings = list_import_warnings(raw)
    assert len(warnings) == (1 if named else 0)
    assert named in "".join(warnings)


def test_import_warnings_without_a_table_of_subjects(raw: Path) -> None:
    change_params(Path(), {"evaluation.covariates": ["age"]})
    (line,) = list_import_warnings(raw)
    assert "'age'" in line


def test_import_warnings_of_other_params_that_are_wrong(raw: Path) -> None:
    change_params(Path(), {"train.epochs": 0})
    (line,) = list_import_warnings(raw)
    assert "train.epochs" in line


def test_import_warnings_outside_a_project(small_raw: Path) -> None:
    Path("params.yaml").unlink()
    assert list_import_warnings(small_raw) == []


@pytest.mark.parametrize(
    ("names", "command"),
    [
        (["conv_hot"], "mri-stages models remove conv_hot"),
        (["conv_hot", "conv"], "mri-stages models remove conv_hot conv --use small"),
        (["small"], "mri-stages models remove small --use conv"),
        (["small", "conv"], "mri-stages models remove small conv --use conv_again"),
        (["small", *CONV_MODELS], ""),
    ],
)
def test_write_removal_command(workspace: Path, names: list[str], command: str) -> None:
    assert write_removal_command(names, read_params()) == command


def test_describe_refusals_of_the_sample_names_its_params(workspace: Path) -> None:
    facts = DataFacts((3, 18, 20), ["A", "B"], None, is_sample=True)
    line = describe_refusals({"conv": TOO_SMALL}, read_params(), facts)
    assert "sample.height: 36" in line
    assert "sample.width: 40" in line


def test_describe_refusals_offers_the_size_that_all_usable_models_take(workspace: Path) -> None:
    facts = DataFacts((3, 18, 20), ["A", "B"], None)
    broken = Refusal("small.py: no function", None, RefusalKind.FILE)
    line = describe_refusals({"conv": TOO_SMALL, "small": broken}, read_params(), facts)
    assert "--resize 36 40" in line
    images_part, _, file_part = line.partition(broken.reason)
    assert "conv (" in images_part
    assert "cannot be used" in file_part


def test_describe_refusals_of_a_broken_file_alone_says_nothing_of_images(workspace: Path) -> None:
    facts = DataFacts((3, 18, 20), ["A", "B"], None)
    broken = Refusal("small.py: no function", None, RefusalKind.FILE)
    line = describe_refusals({"small": broken}, read_params(), facts)
    assert "images" not in line
    assert "models remove small" in line


def test_list_first_stages() -> None:
    graph = StageGraph(
        deps={
            "load": frozenset(),
            "train@a": frozenset({"load"}),
            "folds@a": frozenset({"load"}),
            "evaluate@a": frozenset({"train@a"}),
            "train@b": frozenset({"load"}),
        },
        models={"train@a": "a", "folds@a": "a", "evaluate@a": "a", "train@b": "b"},
    )
    stages = {"load", "train@a", "folds@a", "evaluate@a"}
    assert list_first_stages(graph, stages) == ["train@a", "folds@a"]


def write_small_project() -> None:
    """Make a project with a training of each model, and a stage that sets them side by side."""
    training: dict[str, Any] = shell_stage("cat flat > ${key}", "${key}", "flat")
    training["meta"] = {"model": "${key}"}
    evaluation: dict[str, Any] = shell_stage("cat ${key} > m/${key}", "m/${key}", "${key}")
    evaluation["meta"] = {"model": "${key}"}
    comparison: dict[str, Any] = shell_stage("ls m > compared", "compared", "m")
    comparison["meta"] = {"partial": True}
    Path("m").mkdir()
    write_project(
        load=shell_stage("echo > flat", "flat", "data/raw"),
        train={"foreach": "${models}", "do": training},
        evaluate={"foreach": "${models}", "do": evaluation},
        compare=comparison,
    )


@pytest.mark.slow
def test_repro_starts_only_the_models_that_take_the_images(small_raw: Path) -> None:
    write_small_project()
    lines = run_repro(status=1)
    assert set(list_started(lines)) == {"load", "train@small", "evaluate@small", "compare"}
    assert lines[0].startswith("warning: ")
    assert {"conv", "conv_again", "conv_hot", "remove"} <= {*re.findall(r"\w+", lines[0])}
    assert Path("compared").read_text() == "small\n"


@pytest.mark.slow
def test_repro_says_nothing_of_models_that_it_does_not_train(small_raw: Path) -> None:
    write_small_project()
    assert "conv" not in "".join(run_repro("train@small"))


@pytest.mark.slow
def test_repro_refuses_another_negative_class_before_it_runs(raw: Path) -> None:
    write_small_project()
    change_params(Path(), {"evaluation.negative_class": "Well"})
    (line,) = run_repro(status=1)
    assert "Ill, Sane, Unsure" in line
    assert not Path("flat").exists()


@pytest.mark.slow
@pytest.mark.parametrize("fold_stage", ["assign_folds", "neighbours"])
def test_repro_refuses_too_many_folds_before_it_runs(raw: Path, fold_stage: str) -> None:
    write_project(
        load=shell_stage("echo > flat", "flat", "data/raw"),
        **{fold_stage: shell_stage("cat flat > folds", "folds", "flat")},
    )
    change_params(Path(), {"cross_validation.folds": 9})
    (line,) = run_repro(status=1)
    assert "cross_validation.folds" in line
    assert not Path("flat").exists()


@pytest.mark.slow
def test_repro_without_folds_takes_any_number(raw: Path) -> None:
    write_small_project()
    change_params(Path(), {"cross_validation.folds": 9})
    run_repro("train@small")


def test_import_warnings_name_inner_folds_that_a_class_cannot_fill(raw: Path) -> None:
    change_params(Path(), {"cross_validation.inner_folds": 50})
    (line,) = list_import_warnings(raw)
    assert "cross_validation.inner_folds" in line

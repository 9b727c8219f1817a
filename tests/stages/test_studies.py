"""The stages that train, measure and judge the studies, on a tiny raw folder."""

import shutil
from collections.abc import Callable
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from mri_stages import paths
from mri_stages.config.loading import read_params
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import assign_folds
from mri_stages.storage.dataset import LabelledImages, load_scaled, read_info
from mri_stages.storage.files import read_csv, read_json
from mri_stages.studies.claims import CLAIMS, JudgedClaim
from mri_stages.studies.leakage_dose import PERMUTED_DOSE, LeakageDose, list_doses
from mri_stages.studies.points import LrRule, StudyName, StudyPoint, list_points
from mri_stages.studies.records import LeakageRun, Run, Summary, write_records
from mri_stages.studies.summary import StudyRuns, read_study_runs, summarise_studies
from mri_stages.training.fit import fit
from mri_stages.training.predict import predict_logits
from tests.helpers.params import change_params, write_params
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import call_stage, copy_environment
from tests.helpers.study_runs import make_run

CallStage = Callable[..., None]

RATE = StudyPoint(StudyName.LEARNING_RATE, 0.01)


@pytest.fixture(scope="module")
def scaled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with params, in which the data are scaled; no test writes into it."""
    folder = tmp_path_factory.mktemp("scaled")
    write_params(folder)
    copy_environment(folder)
    write_raw(folder / "data/raw")
    for stage in ("load", "scale"):
        call_stage(folder, stage)
    return folder


@pytest.fixture
def call_study(scaled_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CallStage:
    """Return a function that runs a stage of the studies; its workspace is the current folder."""
    shutil.copytree(scaled_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return lambda stage, *arguments: call_stage(tmp_path, f"studies.{stage}", *arguments)


# One value of a study


@pytest.fixture(scope="module")
def rate_folder(scaled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the learning rate 0.01 is trained; no test writes into it."""
    folder = tmp_path_factory.mktemp("rate")
    shutil.copytree(scaled_folder, folder, dirs_exist_ok=True)
    call_stage(folder, "studies.run", "learning_rate", "0.01")
    return folder


@pytest.fixture
def rate_runs(rate_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Return the runs of the learning rate 0.01; the current folder is theirs."""
    monkeypatch.chdir(rate_folder)
    return read_csv(RATE.path, Run)


def split_train_rows() -> tuple[LabelledImages, LabelledImages]:
    """Return the rows that a study trains on, and those that it holds out."""
    rows = load_scaled("train", read_info())
    folds = assign_folds(rows.labels, rows.subjects, 5, seed=0)
    assert rows.subjects is not None
    splits = []
    for mask in (folds != 0, folds == 0):
        splits.append(LabelledImages(rows.images[mask], rows.labels[mask], rows.subjects[mask]))
    train_rows, held_out_rows = splits
    return train_rows, held_out_rows


def test_run_trains_each_seed(rate_runs: list[Run]) -> None:
    assert [(run.model, run.seed, run.lr) for run in rate_runs] == [
        ("small", 0, 0.01),
        ("small", 1, 0.01),
    ]


def test_run_trains_on_rows_not_held_out(rate_runs: list[Run]) -> None:
    train_rows, held_out_rows = split_train_rows()
    model = read_params().models["small"].model_copy(update={"seed": 1})
    network = fit(model, train_rows, read_info(), quiet=True).network
    losses = {"train_loss": train_rows, "held_out_loss": held_out_rows}
    for name, rows in losses.items():
        logits = predict_logits(network, torch.from_numpy(rows.images))
        loss = float(cross_entropy(logits, torch.from_numpy(rows.labels)))
        assert getattr(rate_runs[1], name) == pytest.approx(loss, rel=1e-5)


def test_run_holds_out_whole_subjects(rate_runs: list[Run]) -> None:
    train_rows, held_out_rows = split_train_rows()
    assert train_rows.subjects is not None
    assert held_out_rows.subjects is not None
    assert not np.isin(train_rows.subjects, held_out_rows.subjects).any()
    n_rows = len(train_rows.labels)
    n_held_out_rows = len(held_out_rows.labels)
    assert (rate_runs[0].rows, rate_runs[0].held_out_rows) == (n_rows, n_held_out_rows)


def test_run_again_gives_the_same_bytes(rate_folder: Path, call_study: CallStage) -> None:
    call_study("run", "learning_rate", "0.01")
    assert RATE.path.read_bytes() == (rate_folder / RATE.path).read_bytes()


def test_run_of_a_rate_measures_curvature(rate_runs: list[Run]) -> None:
    assert all(run.sharpness > 0 for run in rate_runs)


def test_run_of_seeds_measures_no_curvature(call_study: CallStage) -> None:
    call_study("run", "seed", "conv")
    runs = read_csv(StudyPoint(StudyName.SEED, "conv").path, Run)
    assert all(isnan(run.gradient_start) and isnan(run.sharpness) for run in runs)


def test_run_of_all_rows_takes_one_step_per_epoch(call_study: CallStage) -> None:
    call_study("run", "batch_size", "all")
    run = read_csv(StudyPoint(StudyName.BATCH_SIZE, "all").path, Run)[0]
    assert run.batch_size == run.rows
    assert run.steps_to_90 == run.epochs_to_90
    assert run.lr == 0.01


def test_run_of_the_linear_rule_has_a_rate_in_proportion(call_study: CallStage) -> None:
    call_study("run", "batch_size", "all", "--lr-rule", "linear")
    run = read_csv(StudyPoint(StudyName.BATCH_SIZE, "all", LrRule.LINEAR).path, Run)[0]
    assert run.lr == pytest.approx(0.01 * run.rows / 5)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "learning_rate", "0.02"), "studies.learning_rate.values"),
        (("run", "seed", "small"), "studies.seed.models"),
        (("run", "batch_size", "10000"), "studies.batch_size.values"),
        (("run", "batch_size", "5", "--lr-rule", "linear"), "studies.batch_size.values"),
        (("run", "batch_size", "4", "--lr-rule", "cubic"), "--lr-rule"),
        (("run", "learning_rate", "0.01", "--lr-rule", "linear"), "--lr-rule"),
        (("run", "leakage", "0"), "study"),
        (("results",), "studies/runs/seed/conv.csv"),
        (("leakage", "50"), "studies.leakage.shares"),
    ],
)
def test_stage_names_the_wrong_value(
    call_study: CallStage, arguments: tuple[str, ...], named: str
) -> None:
    change_params(Path(), {"studies.batch_size.values": [4, 10000, "all"]})
    with pytest.raises(InputError, match=named):
        call_study(*arguments)


# Leakage


def write_recognisable_subjects(folder: Path, n_subjects: int = 12) -> None:
    """Write a raw folder in which all rows of a subject are one image, of one class of three."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n_subjects, 1, 36, 40, generator=generator)
    folder.mkdir(parents=True)
    for split, rows_per_subject in (("train", 4), ("test", 2)):
        subjects = torch.arange(n_subjects).repeat_interleave(rows_per_subject)
        torch.save(images[subjects], folder / f"{split}_data.pt")
        torch.save(subjects % 3, folder / f"{split}_labels.pt")
        torch.save(subjects, folder / f"{split}_subjects.pt")


@pytest.fixture(scope="module")
def leakage_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[LeakageDose, list[LeakageRun]]:
    """Return the runs of every dose, on subjects that a network can recognise."""
    folder = tmp_path_factory.mktemp("leakage")
    write_params(folder, {"train.epochs": 10})
    copy_environment(folder)
    write_recognisable_subjects(folder / "data/raw")
    call_stage(folder, "load")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        doses = list_doses(read_params().studies.leakage)
        for dose in doses:
            call_stage(folder, "studies.leakage", dose.name)
        return {dose: read_csv(dose.path, LeakageRun) for dose in doses}


def test_leakage_trains_each_seed(leakage_runs: dict[LeakageDose, list[LeakageRun]]) -> None:
    for runs in leakage_runs.values():
        assert [(run.model, run.seed) for run in runs] == [("small", 0), ("small", 1)]


def test_leakage_keeps_the_numbers_of_rows(
    leakage_runs: dict[LeakageDose, list[LeakageRun]],
) -> None:
    sizes = set()
    for runs in leakage_runs.values():
        sizes.add(tuple((run.rows, run.test_rows) for run in runs))
    assert len(sizes) == 1


def test_leakage_rows_name_their_dose(
    leakage_runs: dict[LeakageDose, list[LeakageRun]],
) -> None:
    for dose, runs in leakage_runs.items():
        assert {(run.share, run.permuted) for run in runs} == {(dose.share, dose.is_permuted)}


def test_leakage_of_all_subjects_recognises_them(
    leakage_runs: dict[LeakageDose, list[LeakageRun]],
) -> None:
    assert [run.accuracy for run in leakage_runs[LeakageDose(100)]] == [1, 1]
    assert all(run.accuracy < 1 for run in leakage_runs[LeakageDose(0)])


def test_leakage_of_permuted_labels_recognises_subjects(
    leakage_runs: dict[LeakageDose, list[LeakageRun]],
) -> None:
    assert [run.accuracy for run in leakage_runs[PERMUTED_DOSE]] == [1, 1]


def test_leakage_majority_is_of_the_training_rows(
    leakage_runs: dict[LeakageDose, list[LeakageRun]],
) -> None:
    for run in leakage_runs[LeakageDose(0)]:
        assert 0 <= run.majority <= 0.5


def test_leakage_without_subjects_writes_no_run(call_study: CallStage) -> None:
    for path in Path("data/flat").glob("subjects_*"):
        path.unlink()
    call_study("leakage", "100")
    assert read_csv(LeakageDose(100).path, LeakageRun, least=0) == []


# Results


@pytest.fixture(scope="module")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with made-up runs of each value, after the stage `results`."""
    folder = tmp_path_factory.mktemp("results")
    write_params(folder, {"studies.batch_size.values": [4]})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_made_up_runs()
    call_stage(folder, "studies.results")
    return folder


def write_made_up_runs() -> None:
    """Write runs of every value of the params in the current folder, and of a removed value."""
    params = read_params()
    points = [StudyPoint(StudyName.SEED, "removed")]
    for study in StudyName:
        points += list_points(params, study)
    points += list_points(params, StudyName.BATCH_SIZE, LrRule.LINEAR)
    for point in points:
        changes = {
            StudyName.SEED: {"model": point.value},
            StudyName.LEARNING_RATE: {"lr": point.value},
            StudyName.BATCH_SIZE: {"batch_size": point.value},
        }[point.study]
        runs = [make_run(seed, **changes) for seed in (0, 1)]
        write_records(point.path, Run, runs)
    for dose in list_doses(params.studies.leakage):
        write_records(dose.path, LeakageRun, [])


@pytest.fixture
def study_runs(results_folder: Path, monkeypatch: pytest.MonkeyPatch) -> StudyRuns:
    """Return the runs behind the results; the current folder is theirs."""
    monkeypatch.chdir(results_folder)
    return read_study_runs(read_params())


def test_results_summarise_the_runs(study_runs: StudyRuns) -> None:
    expected = [(row.study, row.measure, row.mean) for row in summarise_studies(study_runs)]
    summaries = read_csv(paths.STUDY_SUMMARY, Summary)
    assert [(row.study, row.measure, row.mean) for row in summaries] == expected


def test_results_leave_out_a_removed_value(study_runs: StudyRuns) -> None:
    summaries = read_csv(paths.STUDY_SUMMARY, Summary)
    assert {row.value for row in summaries if row.study == "seed"} == {"conv"}


def test_results_judge_every_claim(study_runs: StudyRuns) -> None:
    claims = read_json(paths.CLAIMS, dict[str, list[JudgedClaim]])["claims"]
    assert [claim.claim for claim in claims] == [claim.text for claim in CLAIMS]


def test_results_draw_three_pictures(study_runs: StudyRuns) -> None:
    for picture in ("learning_rate", "batch_size", "leakage"):
        assert (paths.STUDY_PLOTS / f"{picture}.png").stat().st_size > 10_000

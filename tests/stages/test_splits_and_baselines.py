"""The split of the rows, and what needs no network, as real commands on a tiny raw folder."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from tests.conftest import PARAMS, RunStage, load_npy, write_raw

TRAIN, TEST = 40, 20


def set_params(workspace: Path, *lines: str) -> None:
    text = PARAMS
    for line in lines:
        key = line.split(":")[0]
        (old,) = [found for found in text.split("\n")[:6] if found.strip().startswith(f"{key}:")]
        text = text.replace(old, f"  {line}")
    (workspace / "params.yaml").write_text(text)


@pytest.fixture
def kin(workspace: Path) -> Path:
    """A raw folder of 15 subjects, each with rows in train and in test, alike but for noise."""
    folder = workspace / "data/raw"
    write_raw(folder, n_train=TRAIN, n_test=TEST)
    generator = torch.Generator().manual_seed(0)
    heads = torch.randint(0, 200, (15, 1, 36, 40), generator=generator)
    for split, n_rows in (("train", TRAIN), ("test", TEST)):
        subjects = torch.arange(n_rows) % 15
        noise = torch.randint(0, 50, (n_rows, 1, 36, 40), generator=generator)
        torch.save(
            ((heads[subjects] + noise) / 255).repeat(1, 3, 1, 1), folder / f"{split}_data.pt"
        )
        torch.save(subjects, folder / f"{split}_subjects.pt")
        torch.save((subjects >= 9).long() + (subjects == 14), folder / f"{split}_labels.pt")
    return folder


def all_rows(workspace: Path, kind: str) -> np.ndarray:
    return np.concatenate(
        [load_npy(workspace / f"data/flat/{kind}_{split}.npy") for split in ("train", "test")]
    )


@pytest.mark.parametrize("split", ["subject", "random"])
def test_the_folds_share_out_all_rows_each_with_its_own_label(
    workspace: Path, kin: Path, run_stage: RunStage, split: str
) -> None:
    run_stage("load")
    given = all_rows(workspace, "x"), all_rows(workspace, "y"), all_rows(workspace, "subjects")
    known = {x.tobytes(): (y, s) for x, y, s in zip(*given, strict=True)}
    tested: list[bytes] = []
    for fold in range(3):
        set_params(workspace, f"split: {split}", "folds: 3", f"fold: {fold}")
        said = run_stage("load").stdout
        found = all_rows(workspace, "x"), all_rows(workspace, "y"), all_rows(workspace, "subjects")
        assert {x.tobytes(): (y, s) for x, y, s in zip(*found, strict=True)} == known
        x_test = load_npy(workspace / "data/flat/x_test.npy")
        tested += [x.tobytes() for x in x_test]
        train, test = (
            set(load_npy(workspace / f"data/flat/subjects_{half}.npy"))
            for half in ("train", "test")
        )
        assert bool(train & test) is (split == "random")
        assert (np.diff(load_npy(workspace / "data/flat/y_train.npy")) != 0).sum() > 5  # shuffled
        if split == "subject":
            assert "warning: class Unsure has 1 subjects for 3 folds: none in test in" in said
            meta = json.loads((workspace / "data/flat/meta.json").read_text())
            assert meta["scored"] == ["Ill", "Sane"]
    assert sorted(tested) == sorted(known)  # each row is test once


def test_evaluate_names_the_class_that_the_folds_lack(
    workspace: Path, kin: Path, run_stage: RunStage
) -> None:
    set_params(workspace, "split: subject", "folds: 5")
    for command in (["load"], ["scale"], ["train", "small"], ["evaluate", "small"]):
        run_stage(*command)
    assert json.loads((workspace / "metrics/small.json").read_text())["absent"] == "Unsure"


def test_baselines_show_what_a_leak_is_worth(
    workspace: Path, kin: Path, run_stage: RunStage
) -> None:
    run_stage("load")
    said = run_stage("baselines").stdout
    metrics = {
        name: json.loads((workspace / f"metrics/{name}.json").read_text())
        for name in (
            "majority", "nearest_neighbour", "nearest_neighbour_random",
            "nearest_neighbour_subject",
        )
    }  # fmt: skip
    x, y = all_rows(workspace, "x").astype(float), all_rows(workspace, "y")
    knn = KNeighborsClassifier(1).fit(x[:TRAIN], y[:TRAIN])
    assert metrics["nearest_neighbour"]["accuracy"] == knn.score(x[TRAIN:], y[TRAIN:]) == 1.0
    assert metrics["nearest_neighbour_random"]["accuracy"] == 1.0
    assert metrics["nearest_neighbour_subject"]["accuracy"] < 0.8
    most = np.bincount(y[:TRAIN]).argmax()
    assert metrics["majority"]["accuracy"] == pytest.approx((y[TRAIN:] == most).mean())
    leakage = json.loads((workspace / "plots/leakage.json").read_text())
    assert leakage["shared_subjects"] == 1.0
    assert leakage["same_subject_neighbour"] == 1.0
    assert leakage["left_out_on_folds"] == {"random": [], "subject": ["Unsure"]}
    assert "Leak: 100% of the test rows" in said


def test_baselines_without_ids_tell_a_leak_by_similarity(
    workspace: Path, kin: Path, run_stage: RunStage
) -> None:
    for split in ("train", "test"):
        (kin / f"{split}_subjects.pt").unlink()
    run_stage("load")
    assert "Leak, by the look of it" in run_stage("baselines").stdout
    assert json.loads((workspace / "metrics/nearest_neighbour_subject.json").read_text()) == {}


@pytest.mark.parametrize(
    ("lines", "fragment"),
    [
        (["split: patient"], "data.split is 'patient' (str), expected one of given, subject"),
        (["folds: 1"], "data.folds is 1"),
        (["fold: 2"], "data: fold is 2, expected 0 to 1, since data.folds is 2"),
        (["split: subject", "folds: 16"], "data.folds is 16, expected at most 15: the subjects"),
    ],
)
def test_a_split_that_cannot_be(
    workspace: Path,
    kin: Path,
    stage_error: Callable[..., str],
    lines: list[str],
    fragment: str,
) -> None:
    set_params(workspace, *lines)
    assert fragment in stage_error("load")


def test_a_split_by_subject_needs_subject_ids(
    workspace: Path, kin: Path, stage_error: Callable[..., str]
) -> None:
    for split in ("train", "test"):
        (kin / f"{split}_subjects.pt").unlink()
    set_params(workspace, "split: subject")
    assert "data.split is subject, but data/raw says not whose image" in stage_error("load")

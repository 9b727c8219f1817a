import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.baselines import nearest_neighbours
from mri_stages.errors import InputError
from stages import assign_folds, leakage, neighbours
from tests.helpers.flat_rows import SUBJECTS, remove_subject_ids, write_flat_rows


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)


def measure_leakage() -> dict[str, Any]:
    assign_folds.main()
    neighbours.main()
    leakage.main()
    content: dict[str, Any] = json.loads(paths.LEAKAGE.read_text())
    return content


def test_leakage_finds_subjects_and_neighbours_in_train() -> None:
    figures = measure_leakage()
    sentence = figures.pop("sentence")
    assert sentence.startswith("Leakage: 100%")
    assert figures == {
        "nearest_neighbour_given": 1.0,
        "nearest_neighbour_random": 1.0,
        "shared_subjects": 1.0,
        "same_subject_neighbour": 1.0,
        "nearest_row_of_same_subject": 1.0,
    }


def test_leakage_prints_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = measure_leakage()["sentence"]
    assert sentence in capsys.readouterr().out


def test_leakage_without_ids_claims_nothing(workspace: Path) -> None:
    remove_subject_ids(workspace)
    assert "shared_subjects" not in measure_leakage()


def test_leakage_without_ids_has_a_picture_of_its_own(workspace: Path) -> None:
    measure_leakage()
    before = paths.LEAKAGE_FIGURE.read_bytes()
    remove_subject_ids(workspace)
    measure_leakage()
    assert paths.LEAKAGE_FIGURE.read_bytes() != before


def copy_rows() -> None:
    """Make test rows 3 and 4 equal to training row 0, and name that row's file."""
    test = np.load("data/flat/x_test.npy")
    test[3:5] = np.load("data/flat/x_train.npy")[0]
    np.save("data/flat/x_test.npy", test)
    for name in ("y", "subjects"):
        values = np.load(f"data/flat/{name}_test.npy")
        values[3:5] = np.load(f"data/flat/{name}_train.npy")[0]
        np.save(f"data/flat/{name}_test.npy", values)
    paths.FILE_TABLE.write_text("row,split,class,subject,file\n0,train,Ill,0,a.png\n")


def test_leakage_names_copies_by_file() -> None:
    copy_rows()
    figures = measure_leakage()
    assert figures["copied_test_rows"] == 2
    assert figures["copies"] == [
        {"test": "test row 3", "train": "a.png"},
        {"test": "test row 4", "train": "a.png"},
    ]


def test_leakage_of_copies_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    copy_rows()
    warning = measure_leakage()["warning"]
    assert "2 of 20 test rows" in warning
    assert f"warning: {warning}" in capsys.readouterr().out


def test_leakage_names_an_image_of_two_classes() -> None:
    copy_rows()
    labels = np.load("data/flat/y_test.npy")
    labels[4] = 2
    np.save("data/flat/y_test.npy", labels)
    figures = measure_leakage()
    assert figures["images_of_two_classes"] == 1
    first, second = ("Ill", "Unsure")
    assert figures["class_conflicts"] == [
        {"first": "a.png", "second": "test row 4", "first_value": first, "second_value": second}
    ]


def test_leakage_names_an_image_of_two_subjects() -> None:
    copy_rows()
    subjects = np.load("data/flat/subjects_test.npy")
    subjects[4] = 77
    np.save("data/flat/subjects_test.npy", subjects)
    figures = measure_leakage()
    assert figures["images_of_two_subjects"] == 1
    assert figures["subject_conflicts"][0]["second_value"] == "77"


def test_leakage_does_not_count_constant_rows_as_copies() -> None:
    for split in ("train", "test"):
        rows = np.load(f"data/flat/x_{split}.npy")
        rows[:2] = 7
        np.save(f"data/flat/x_{split}.npy", rows)
    figures = measure_leakage()
    assert figures["constant_rows"] == 4
    assert "copies" not in figures


@pytest.mark.parametrize("n_shared", [0, 1])
def test_leakage_of_a_sample_counts_all_subjects(
    n_shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 30**2 * 520)
    subjects = np.arange(20) + 100
    subjects[:n_shared] = SUBJECTS[0]
    np.save("data/flat/subjects_test.npy", subjects)
    figures = measure_leakage()
    assert figures["sampled_rows"] < 60
    assert figures["shared_subjects"] == n_shared / 20


def test_leakage_without_neighbours_names_the_file() -> None:
    with pytest.raises(InputError, match=str(paths.NEIGHBOURS)):
        leakage.main()

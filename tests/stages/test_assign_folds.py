from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.assignment import read_assignment
from mri_stages.storage.dataset import load_all_rows, read_info
from stages import assign_folds
from tests.helpers.flat_rows import LABELS, SUBJECTS, remove_subject_ids, write_flat_rows
from tests.helpers.params import change_params


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)


def write_subject_table(column: str, values: list[str]) -> None:
    lines = [f"{subject},{value}" for subject, value in enumerate(values)]
    paths.SUBJECT_TABLE.write_text("\n".join([f"subject,{column}", *lines]))


def read_folds() -> list[np.ndarray]:
    return list(read_assignment(load_all_rows(read_info())))


def test_assign_folds_without_columns_is_scikit_learns() -> None:
    assign_folds.main()
    (folds,) = read_folds()
    splitter = StratifiedGroupKFold(2, shuffle=True, random_state=0)
    for fold, (_, test_indices) in enumerate(splitter.split(LABELS, LABELS, SUBJECTS)):
        assert np.flatnonzero(folds == fold).tolist() == test_indices.tolist()


def test_assign_folds_without_ids_is_by_row(workspace: Path) -> None:
    remove_subject_ids(workspace)
    assign_folds.main()
    assert paths.ASSIGNMENT.read_text().startswith("repeat,row,fold\n0,0,")


def test_assign_folds_keeps_the_shares_of_a_column(workspace: Path) -> None:
    write_subject_table("site", ["a" if subject % 4 < 2 else "b" for subject in range(15)])
    change_params(workspace, {"cross_validation.stratify": ["site"], "cross_validation.repeats": 4})
    assign_folds.main()
    site_mask = (SUBJECTS % 4 < 2) & (LABELS == 0)  # 5 of 9 subjects
    for folds in read_folds():
        n_subjects = [len(np.unique(SUBJECTS[site_mask & (folds == fold)])) for fold in range(2)]
        assert sorted(n_subjects) == [2, 3]


def test_assign_folds_counts_groups_that_are_not_in_all_folds(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_subject_table("site", ["a"] * 8 + ["b"] * 7)
    change_params(workspace, {"cross_validation.stratify": ["site"]})
    assign_folds.main()
    assert "2 of 4 groups" in capsys.readouterr().out  # Ill of b, and the one who is Unsure


def test_assign_folds_of_an_unknown_column_writes_nothing(workspace: Path) -> None:
    write_subject_table("site", ["a"] * 15)
    change_params(workspace, {"cross_validation.stratify": ["sex"]})
    with pytest.raises(InputError, match="'sex'"):
        assign_folds.main()
    assert not paths.ASSIGNMENT.exists()


def test_assign_folds_names_too_many_folds(workspace: Path) -> None:
    change_params(workspace, {"cross_validation.folds": 19})
    with pytest.raises(InputError, match=r"cross_validation\.folds"):
        assign_folds.main()


def test_assign_folds_of_one_subject_writes_a_header(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "test"):
        subjects = np.load(f"data/flat/subjects_{split}.npy")
        np.save(f"data/flat/subjects_{split}.npy", np.zeros_like(subjects))
    assign_folds.main()
    assert paths.ASSIGNMENT.read_text() == "repeat,subject,fold\n"
    assert "all rows are of one subject" in capsys.readouterr().out

from pathlib import Path

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.baselines import nearest_neighbours
from mri_stages.errors import InputError
from mri_stages.preprocessing.folds import assign_folds, derive_seed
from mri_stages.storage.neighbours import (
    GIVEN_SPLIT,
    GROUPINGS,
    RANDOM_FOLDS,
    SINGLE_ROWS,
    SUBJECT_FOLDS,
    NeighbourTable,
    name_subject_folds,
    read_neighbours,
)
from stages import assign_folds as assign_folds_stage
from stages import neighbours
from tests.helpers.flat_rows import LABELS, N_TRAIN, PIXELS, SUBJECTS, write_flat_rows
from tests.helpers.params import change_params


@pytest.fixture(autouse=True)
def flat(workspace: Path) -> None:
    write_flat_rows(workspace)


def find_neighbours() -> NeighbourTable:
    assign_folds_stage.main()
    neighbours.main()
    return read_neighbours(paths.NEIGHBOURS, len(LABELS))


def test_neighbours_are_of_another_group_in_each_grouping() -> None:
    table = find_neighbours()
    groupings = {
        GIVEN_SPLIT: np.arange(60) >= N_TRAIN,
        RANDOM_FOLDS: assign_folds(LABELS, None, 2, seed=0),
        SUBJECT_FOLDS: assign_folds(LABELS, SUBJECTS, 2, seed=0),
        SINGLE_ROWS: np.arange(60),
    }
    assert set(table.by_grouping) == set(GROUPINGS)
    pixels = PIXELS.astype(float)
    for name, groups in groupings.items():
        for row in range(60):
            distances = np.linalg.norm(pixels - pixels[row], axis=1)
            distances[groups == groups[row]] = np.inf
            assert table.by_grouping[name].nearest[row] == distances.argmin()


def test_neighbours_depend_on_the_seed_of_the_folds(workspace: Path) -> None:
    first = find_neighbours().by_grouping
    change_params(workspace, {"cross_validation.seed": 5})
    second = find_neighbours().by_grouping
    for name, is_of_folds in zip(GROUPINGS, (False, True, True, False), strict=True):
        assert np.array_equal(first[name].nearest, second[name].nearest) is not is_of_folds


def test_neighbours_of_two_repeats_have_the_folds_of_both(workspace: Path) -> None:
    change_params(workspace, {"cross_validation.repeats": 2})
    table = find_neighbours()
    assert set(table.by_grouping) == {*GROUPINGS, name_subject_folds(1)}
    folds = assign_folds(LABELS, SUBJECTS, 2, derive_seed(0, 1))
    nearest = table.by_grouping[name_subject_folds(1)].nearest
    assert (folds[nearest] != folds).all()


def test_neighbours_repeat_their_bytes() -> None:
    assign_folds_stage.main()
    neighbours.main()
    first = paths.NEIGHBOURS.read_bytes()
    neighbours.main()
    assert paths.NEIGHBOURS.read_bytes() == first


def test_neighbours_of_many_rows_are_of_a_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nearest_neighbours, "MAX_PRODUCTS", 40**2 * 520)
    table = find_neighbours()
    assert 20 < len(table.compared) <= 41
    assert f"sample of {len(table.compared)} rows" in capsys.readouterr().out
    for part in table.by_grouping.values():
        assert set(part.nearest) <= set(table.compared)


@pytest.mark.parametrize("values", [np.float32(PIXELS / 255), np.tile(PIXELS, 3)])
def test_neighbours_of_two_storage_formats_name_the_file(values: np.ndarray) -> None:
    np.save("data/flat/x_test.npy", values[N_TRAIN:])
    with pytest.raises(InputError, match=r"data/flat/x_test\.npy"):
        neighbours.main()
    assert not paths.NEIGHBOURS.exists()

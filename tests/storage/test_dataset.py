"""data/flat is read as it lies there, or refused with one line that names a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.dataset import (
    list_label_files,
    load_all_rows,
    load_scaled,
    load_stored,
    read_info,
    read_stored_splits,
)
from mri_stages.storage.files import write_json

INFO = {
    "image_shape": [3, 2, 5],
    "classes": ["a", "b", "c"],
    "counts": {"train": [1, 1, 0], "test": [1, 1, 1]},
}
TRAIN_ROWS = np.arange(100, 120, dtype=np.uint8).reshape(2, 10)
TEST_ROWS = np.arange(30, dtype=np.uint8).reshape(3, 10)


@pytest.fixture(autouse=True)
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fill data/flat in an empty current folder, without subject ids."""
    monkeypatch.chdir(tmp_path)
    write_json(paths.INFO, {**INFO, "stored": {"channels": 1, "dtype": "uint8"}})
    np.save(paths.flat_images("train"), TRAIN_ROWS)
    np.save(paths.flat_images("test"), TEST_ROWS)
    np.save(paths.labels("train"), np.array([1, 0]))
    np.save(paths.labels("test"), np.array([2, 0, 1]))
    return paths.FLAT


def save_subjects() -> None:
    np.save(paths.subjects("train"), np.array([7, 9]))
    np.save(paths.subjects("test"), np.array([7, 7, 8]))


def test_read_info() -> None:
    info = read_info()
    assert info.image_shape == (3, 2, 5)
    assert info.n_classes == 3


def test_load_stored_gives_images() -> None:
    images = load_stored("test", read_info()).images
    assert images.shape == (3, 3, 2, 5)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[1, 2], np.arange(10, 20).reshape(2, 5))


def test_load_stored_gives_labels() -> None:
    assert load_stored("test", read_info()).labels.tolist() == [2, 0, 1]


def test_load_stored_without_ids_has_no_subjects() -> None:
    assert load_stored("test", read_info()).subjects is None


def test_load_stored_gives_subjects_of_its_split() -> None:
    save_subjects()
    np.testing.assert_equal(load_stored("test", read_info()).subjects, [7, 7, 8])


def test_load_scaled_reads_the_scaled_images() -> None:
    paths.scaled_images("test").parent.mkdir()
    np.save(paths.scaled_images("test"), TEST_ROWS.astype(np.float32) / 2)
    split = load_scaled("test", read_info())
    assert split.images.dtype == np.float32
    np.testing.assert_array_equal(split.images[0, 0], np.arange(10).reshape(2, 5) / 2)
    assert split.labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize("known_split", ["train", "test"])
@pytest.mark.parametrize("read_split", ["train", "test"])
def test_load_stored_with_ids_of_one_split_fails(known_split: str, read_split: str) -> None:
    n_rows = {"train": 2, "test": 3}[known_split]
    np.save(paths.subjects(known_split), np.arange(n_rows))
    with pytest.raises(InputError, match=rf"data/flat: .*subjects_{known_split}\.npy only"):
        load_stored(read_split, read_info())


def test_load_all_rows_with_ids_of_one_split_fails() -> None:
    np.save(paths.subjects("train"), np.array([7, 9]))
    with pytest.raises(InputError, match="data/flat"):
        load_all_rows(read_info())


def test_load_all_rows_puts_test_behind_train() -> None:
    save_subjects()
    rows = load_all_rows(read_info())
    assert rows.labels.tolist() == [1, 0, 2, 0, 1]
    np.testing.assert_equal(rows.subjects, [7, 9, 7, 7, 8])
    assert rows.test_mask.tolist() == [False, False, True, True, True]
    np.testing.assert_array_equal(np.concatenate(rows.parts), np.vstack([TRAIN_ROWS, TEST_ROWS]))


def test_load_all_rows_without_ids_has_no_subjects() -> None:
    assert load_all_rows(read_info()).subjects is None


@pytest.mark.parametrize(
    "train_rows",
    [TRAIN_ROWS.astype(np.float32), np.zeros((2, 30), np.uint8)],
    ids=["dtype", "channels"],
)
def test_read_stored_splits_unlike_each_other_fails(train_rows: np.ndarray) -> None:
    np.save(paths.flat_images("train"), train_rows)
    with pytest.raises(InputError, match=r"data/flat/x_test\.npy: uint8 rows of 10 values"):
        read_stored_splits(read_info())


def test_list_label_files_without_ids() -> None:
    assert list_label_files("train") == [paths.INFO, paths.labels("train")]


def test_list_label_files_of_both_splits_with_ids() -> None:
    save_subjects()
    files = {path.name for path in list_label_files("train", "test")}
    assert files == {
        "info.json", "y_train.npy", "y_test.npy", "subjects_train.npy", "subjects_test.npy",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("x_test.npy", np.zeros((3, 11), np.uint8)),  # not rows of these images
        ("x_test.npy", np.zeros((3, 20), np.uint8)),  # two of three channels
        ("x_test.npy", np.zeros((3, 2, 5), np.uint8)),
        ("x_test.npy", np.zeros((0, 10), np.uint8)),
        ("x_test.npy", np.zeros((4, 10), np.uint8)),  # more rows than labels
        ("x_test.npy", np.zeros((3, 10))),  # float64
        ("subjects_test.npy", np.array([7, 7])),
        ("y_test.npy", np.arange(4)),
        ("y_test.npy", np.arange(3, dtype=np.int32)),
        ("y_test.npy", np.arange(1, 4)),
        ("y_test.npy", np.arange(-1, 2)),
        ("info.json", {"image_shape": [3, 0, 5]}),
        ("info.json", {"classes": ["a"]}),
    ],
)
def test_load_stored_of_a_wrong_file_names_it(file: str, content: Any) -> None:
    save_subjects()
    if isinstance(content, dict):
        write_json(paths.INFO, INFO | content)
    else:
        np.save(paths.FLAT / file, content)
    with pytest.raises(InputError, match=r"data/flat/(info\.json|\w+_test\.npy)"):
        load_stored("test", read_info())

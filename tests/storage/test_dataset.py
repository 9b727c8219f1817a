from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_stages import paths
from mri_stages.errors import InputError
from mri_stages.storage.dataset import load_split, read_info
from mri_stages.storage.files import write_json

INFO = {"image_shape": [3, 2, 5], "classes": ["a", "b", "c"],
        "counts": {"train": [2, 1, 0], "test": [1, 1, 1]}}  # fmt: skip


@pytest.fixture(autouse=True)
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill data/flat in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    write_json(paths.INFO, {**INFO, "stored": {"channels": 1, "dtype": "uint8"}})
    np.save(paths.FLAT / "x_test.npy", np.arange(30, dtype=np.uint8).reshape(3, 10))
    np.save(paths.FLAT / "y_test.npy", np.array([2, 0, 1]))


def test_load_split_gives_images_with_their_labels_and_subjects() -> None:
    info = read_info()
    split = load_split("test", info, scaled=False)
    assert split.images.shape == (3, 3, 2, 5)
    np.testing.assert_array_equal(split.images[1, 2], np.arange(10, 20).reshape(2, 5))
    assert split.labels.tolist() == [2, 0, 1]
    assert split.subjects is None
    np.save(paths.FLAT / "subjects_test.npy", np.array([7, 7, 8]))
    np.testing.assert_equal(load_split("test", info, scaled=False).subjects, [7, 7, 8])


@pytest.mark.parametrize(
    ("file", "content"),
    [*(("x_test.npy", np.zeros(shape, np.uint8)) for shape in ((3, 11), (4, 10))),
     ("x_test.npy", np.zeros((3, 10))), ("subjects_test.npy", np.array([7, 7])),
     *(("y_test.npy", y) for y in (np.arange(4), np.arange(3, dtype=np.int32), np.arange(1, 4),
                                   np.arange(-1, 2))),
     *(("info.json", changed) for changed in ({"image_shape": [3, 0, 5]}, {"classes": ["a"]}))],
)  # fmt: skip
def test_load_split_of_files_that_do_not_fit_names_one(file: str, content: Any) -> None:
    if isinstance(content, dict):
        write_json(paths.INFO, INFO | content)
    else:
        np.save(paths.FLAT / file, content)
    with pytest.raises(InputError, match=r"data/flat/(info\.json|\w+_test\.npy)"):
        load_split("test", read_info(), scaled=False)

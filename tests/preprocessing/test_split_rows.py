"""The rows of a split, scaled in a file or on reading, or one line that says what is wrong."""

from pathlib import Path

import numpy as np
import pytest

from mri_stages import load_split, paths
from mri_stages.errors import InputError
from mri_stages.preprocessing.scaler import save_scaler
from mri_stages.preprocessing.scaling import fit_scaler
from mri_stages.preprocessing.split_rows import (
    list_image_files,
    load_split_rows,
    load_unscaled,
)
from mri_stages.storage.dataset import load_scaled, read_info
from stages import load, scale
from tests.helpers.params import write_params
from tests.helpers.raw_folders import write_raw


@pytest.fixture(autouse=True)
def on_the_fly(workspace: Path) -> Path:
    """Return the current folder, in which no file has scaled rows."""
    write_params(workspace, {"data.scaled": "on_the_fly"})
    write_raw(workspace / "data/raw", shape=(3, 6, 5))
    load.main()
    scale.main()
    return workspace


@pytest.mark.parametrize("split", ["train", "test"])
def test_rows_on_the_fly_are_those_of_the_file(on_the_fly: Path, split: str) -> None:
    rows = load_split_rows(split, read_info(), "on_the_fly")
    write_params(on_the_fly, {"data.scaled": "saved"})
    scale.main()
    expected = load_scaled(split, read_info())
    for unscaled in (rows, load_unscaled(split, read_info())):
        assert not isinstance(unscaled.images, np.ndarray)
        np.testing.assert_array_equal(unscaled.images.scale_all(), expected.images)
        np.testing.assert_array_equal(unscaled.labels, expected.labels)
        np.testing.assert_array_equal(unscaled.subjects, expected.subjects)


def test_saved_rows_that_are_missing_name_the_param() -> None:
    with pytest.raises(InputError, match=r"x_train\.npy: no rows.*data\.scaled"):
        load_split_rows("train", read_info(), "saved")


def test_load_split_scales_in_memory(on_the_fly: Path) -> None:
    images = load_split("train").images
    write_params(on_the_fly, {"data.scaled": "saved"})
    scale.main()
    np.testing.assert_array_equal(images, load_split("train").images)


def test_scaler_of_other_images_is_named() -> None:
    scaler = fit_scaler([np.eye(4, dtype=np.float32)], np.arange(4))
    save_scaler(paths.SCALER, scaler, 4)
    with pytest.raises(InputError, match=r"data/scaler\.npz.*\(3, 6, 5\)"):
        load_unscaled("train", read_info())


def test_image_files_decide_the_scaled_pixels() -> None:
    assert list_image_files("test", "saved") == [paths.scaled_images("test")]
    on_the_fly = list_image_files("test", "on_the_fly")
    assert on_the_fly == [paths.flat_images("test"), paths.SCALER]

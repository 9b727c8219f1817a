"""Converting a set: rows in random order, and each volume read once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mri_stages.errors import InputError
from mri_stages.ingest.conversion import choose_test_files, order_rows, write_raw_folder
from mri_stages.ingest.formats import open_pictures
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.subject_ids import SubjectIds
from mri_stages.ingest.volume_file import convert_volume
from tests.helpers.medical_files import write_volume

N_VOLUMES = 4
N_SLICES = 5
SUBJECTS = SubjectIds(np.repeat(np.arange(N_VOLUMES), N_SLICES), [], "the volumes")
PAIRS = SubjectIds(np.arange(N_VOLUMES * N_SLICES) // 2, [], "the names")
OPTIONS = ImportOptions(slices=f"0:{N_SLICES}", percentiles=(0, 100))


def make_volumes(folder: Path) -> ImageSet:
    """Return the slices of volumes; the upper left pixel of each is its number among all."""
    files = []
    for volume in range(N_VOLUMES):
        voxels = np.zeros((3, 4, N_SLICES), np.uint8)
        voxels[-1, -1] = volume * N_SLICES + np.arange(N_SLICES)
        voxels[0, 0] = 255
        path = write_volume(folder / f"{volume}.nii.gz", voxels)
        for opened in open_pictures(path, path.name, OPTIONS):
            files.append(ImageFile(opened.picture, opened.name, "", volume % 2))
    return ImageSet(files, ["a", "b"], [])


def test_rows_are_written_where_they_belong(tmp_path: Path) -> None:
    image_set = make_volumes(tmp_path)
    indices = order_rows(np.arange(len(image_set.files)) % 4 == 0, 0)
    write_raw_folder(tmp_path / "raw", image_set, None, indices, tmp_path, OPTIONS)
    for split, numbers in indices.items():
        rows = torch.load(tmp_path / "raw" / f"{split}_data.pt")
        assert rows[:, 0, 0, 0].tolist() == numbers.tolist()


def test_each_volume_is_read_once(tmp_path: Path) -> None:
    image_set = make_volumes(tmp_path)
    indices = order_rows(np.arange(len(image_set.files)) % 4 == 0, 0)
    convert_volume.cache_clear()
    write_raw_folder(tmp_path / "raw", image_set, None, indices, tmp_path, OPTIONS)
    assert convert_volume.cache_info().misses == N_VOLUMES


@pytest.mark.parametrize(
    ("subjects", "n_units", "unit"), [(None, 20, "images"), (SUBJECTS, 4, "subjects")]
)
def test_share_that_leaves_none_to_train_names_what_is_split(
    tmp_path: Path, subjects: SubjectIds | None, n_units: int, unit: str
) -> None:
    with pytest.raises(InputError, match=rf"0\.99 of {n_units} {unit}: .*more {unit}"):
        choose_test_files(make_volumes(tmp_path), subjects, tmp_path, 0.99, 0)


@pytest.mark.parametrize(
    ("n_sick", "subjects", "text"),
    [
        (1, None, "class b has a single image"),
        (5, SUBJECTS, "class b has a single subject"),
        (2, None, "images of each class in both; .*--seed"),
        (4, PAIRS, "subjects of each class in both; .*--seed"),
    ],
)
def test_class_that_a_share_leaves_out_says_what_helps(
    tmp_path: Path, n_sick: int, subjects: SubjectIds | None, text: str
) -> None:
    image_set = make_volumes(tmp_path)
    files = [replace(file, label=int(row < n_sick)) for row, file in enumerate(image_set.files)]
    with pytest.raises(InputError, match=text):
        choose_test_files(image_set._replace(files=files), subjects, tmp_path, 0.15, 0)

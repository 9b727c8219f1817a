"""Converting a set: rows in random order, and each volume read once."""

from pathlib import Path

import numpy as np
import torch

from mri_stages.ingest.conversion import order_rows, write_raw_folder
from mri_stages.ingest.formats import open_pictures
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.volume_file import convert_volume
from tests.helpers.medical_files import write_volume

N_VOLUMES = 4
N_SLICES = 5
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

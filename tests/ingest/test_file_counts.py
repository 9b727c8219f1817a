"""The files that an import saw, took and left out, each counted once."""

import json
from pathlib import Path

import numpy as np
import pytest

from mri_stages.commands import import_images
from mri_stages.errors import InputError
from mri_stages.ingest.details import read_options_if_any
from mri_stages.ingest.image_folder import list_images
from mri_stages.ingest.image_set import ImageSet
from mri_stages.ingest.image_table import list_table_images
from mri_stages.ingest.import_options import (
    ImportOptions,
    read_import_options,
    read_import_record,
    write_import_options,
)
from mri_stages.storage.file_counts import FileCounts, Reason
from tests.helpers.image_sets import FILES, write_folder, write_zip
from tests.helpers.medical_files import write_volume

COUNTS = FileCounts(seen=3, taken=2, left_out={Reason.NO_IMAGE: 1})


def get_counts(image_set: ImageSet) -> FileCounts:
    assert image_set.file_counts is not None
    return image_set.file_counts


def test_counts_of_a_plain_set_leave_nothing_out(tmp_path: Path) -> None:
    counts = get_counts(list_images(write_zip(tmp_path)))
    assert counts == FileCounts(seen=8, taken=8, left_out={})


def test_counts_of_a_folder_have_each_reason(tmp_path: Path) -> None:
    names = [*FILES, "masks/a/0.png", "masks/notes.txt", "other/0.png", "other/1.png"]
    source = write_zip(tmp_path, names, junk=["readme.txt", "train/a/.0.png", "train/b/x.csv"])
    counts = get_counts(list_images(source, ImportOptions(exclude=("masks/*",))))
    assert counts == FileCounts(
        seen=15,
        taken=8,
        left_out={Reason.EXCLUDED: 2, Reason.OUTSIDE_SPLITS: 2, Reason.NO_IMAGE: 3},
    )


def test_counts_have_the_images_of_a_test_folder_without_classes(tmp_path: Path) -> None:
    names = [name for name in FILES if name.startswith("train")]
    source = write_zip(tmp_path, [*names, "test/0.png", "test/1.png", "test/2.png"])
    counts = get_counts(list_images(source))
    assert counts == FileCounts(seen=7, taken=4, left_out={Reason.NO_CLASS: 3})


def test_counts_of_a_volume_in_two_files_are_two(tmp_path: Path) -> None:
    for name in ("a/0", "a/1", "b/0", "b/1", "masks/a/0"):
        write_volume(tmp_path / f"{name}.hdr", np.zeros((4, 5, 3), np.int16))
    options = ImportOptions(slices="0:2", percentiles=(0, 100), exclude=("masks/*",))
    counts = get_counts(list_images(tmp_path, options))
    assert counts == FileCounts(seen=10, taken=8, left_out={Reason.EXCLUDED: 2})


def test_counts_of_a_table_have_rows_and_files(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(8)]
    source = write_folder(tmp_path, [*names, "masks/0.png"], junk=["notes.txt"])
    # Image 6 has no class, 7 no row, and nobody has the file of the last row.
    lines = [f"{number}.png,{'ab'[number % 2]}" for number in range(6)]
    table = source / "table.csv"
    table.write_text("\n".join(["file,class", *lines, "6.png,", "9.png,a"]) + "\n")
    options = ImportOptions(table=table, skip_missing=True, exclude=("masks/*",))
    assert get_counts(list_table_images(source, options)) == FileCounts(
        seen=10,
        taken=6,
        left_out={Reason.EXCLUDED: 1, Reason.NO_CLASS: 1, Reason.NO_ROW: 1, Reason.NO_IMAGE: 1},
        rows_without_file=1,
    )


def test_import_writes_the_counts_beside_its_options(tmp_path: Path) -> None:
    source = write_zip(tmp_path, junk=["readme.txt"])
    import_images.main([str(source), "--out", str(tmp_path / "raw"), "--resize", "4", "5"])
    content = json.loads((tmp_path / "raw/import.json").read_text())
    assert content["files"]["left_out"] == {"no_image": 1}
    assert content["resize"] == [4, 5]


def test_options_are_read_without_the_counts(tmp_path: Path) -> None:
    options = ImportOptions(resize=(4, 5), exclude=("masks/*",))
    write_import_options(tmp_path, options, COUNTS)
    assert read_import_options(tmp_path) == options
    assert read_import_record(tmp_path).files == COUNTS


def test_details_keep_the_counts(tmp_path: Path) -> None:
    write_import_options(tmp_path, ImportOptions(), COUNTS)
    assert read_options_if_any(tmp_path)["files"] == COUNTS.model_dump(mode="json")


def test_import_json_without_counts_stays_without(tmp_path: Path) -> None:
    write_import_options(tmp_path, ImportOptions())
    assert "files" not in read_import_record(tmp_path).to_json()


def test_counts_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    write_import_options(tmp_path, ImportOptions(), COUNTS)
    path = tmp_path / "import.json"
    path.write_text(path.read_text().replace('"seen": 3', '"seen": 4'))
    with pytest.raises(InputError, match=r"import\.json: files: 3 files .* expected 4"):
        read_import_record(tmp_path)

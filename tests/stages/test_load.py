import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mri_stages.errors import InputError
from mri_stages.storage.dataset import read_info
from stages import load
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import RunStage, load_npy

FLAT = Path("data/flat")


N_ROWS = {"train": 23, "test": 14}


@pytest.mark.parametrize("split", N_ROWS)
def test_load_writes_grey_images_once_as_uint8(raw: Path, split: str) -> None:
    load.main()
    rows = load_npy(FLAT / f"x_{split}.npy")
    images = torch.load(raw / f"{split}_data.pt")
    assert rows.dtype == np.uint8
    np.testing.assert_array_equal(rows / np.float32(255), images[:, 0].flatten(1))


@pytest.mark.parametrize("split", N_ROWS)
def test_load_writes_labels_and_subjects(raw: Path, split: str) -> None:
    load.main()
    indices = np.arange(N_ROWS[split])
    np.testing.assert_array_equal(load_npy(FLAT / f"y_{split}.npy"), indices % 3)
    np.testing.assert_array_equal(load_npy(FLAT / f"subjects_{split}.npy"), indices // 3)


@pytest.mark.parametrize("kind", ["y", "subjects"])
def test_load_writes_integers_of_64_bits(raw: Path, kind: str) -> None:
    load.main()
    assert load_npy(FLAT / f"{kind}_train.npy").dtype == np.int64


def test_load_describes_the_rows(raw: Path) -> None:
    load.main()
    assert json.loads((FLAT / "info.json").read_text()) == {
        "image_shape": [3, 36, 40],
        "classes": ["Ill", "Sane", "Unsure"],
        "counts": {"train": [8, 8, 7], "test": [5, 5, 4]},
        "stored": {"channels": 1, "dtype": "uint8"},
    }


def replace_raw(raw: Path) -> torch.Tensor:
    """Replace the raw folder by one without ids, whose last test row is not grey; return test."""
    shutil.rmtree(raw)
    write_raw(raw, shape=(3, 9, 7), classes=("a", "b"), subjects=False)
    images: torch.Tensor = torch.load(raw / "test_data.pt")
    images[13, 2, 3, 3] = 0.123
    torch.save(images, raw / "test_data.pt")
    return images


def test_load_again_removes_old_subjects(raw: Path) -> None:
    load.main()
    replace_raw(raw)
    load.main()
    assert not list(FLAT.glob("subjects_*"))


def test_load_stores_all_channels_for_one_such_row(raw: Path) -> None:
    images = replace_raw(raw)
    load.main()
    np.testing.assert_array_equal(load_npy(FLAT / "x_test.npy"), images.flatten(1))


@pytest.fixture
def wrong_row(raw: Path) -> Path:
    """Return a raw folder that was loaded, and has a value beyond float32 since then."""
    load.main()
    images = torch.load(raw / "test_data.pt").double()
    images[9, 2, 5, 5] = 1e39
    torch.save(images, raw / "test_data.pt")
    return raw


def test_load_names_the_row_beyond_float32(wrong_row: Path) -> None:
    with pytest.raises(InputError, match=r"test_data.pt: row 9 "):
        load.main()


def test_load_that_fails_keeps_the_old_outs(wrong_row: Path) -> None:
    old_files = {path.name: path.read_bytes() for path in FLAT.iterdir()}
    with pytest.raises(InputError):
        load.main()
    assert {path.name: path.read_bytes() for path in FLAT.iterdir()} == old_files


def test_load_with_unseen_classes_says_so_in_an_ascii_terminal_too(
    raw: Path, run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(torch.full((23,), 2), raw / "train_labels.pt")
    torch.save(torch.arange(14) % 2, raw / "test_labels.pt")
    (raw / "classes.json").write_text(json.dumps(["Démence", "a,\"b'", "$\\frac{$"]))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    output = run_stage("load").stdout
    assert [name in output for name in (r"D\xe9mence", "a,\"b'", "$\\frac{$")] == [
        True,
        True,
        False,
    ]
    assert read_info().counts == {"train": [0, 0, 23], "test": [7, 7, 0]}


def test_load_writes_details_apart_from_the_rows(raw: Path) -> None:
    load.main()
    names = {path.name for path in Path("data/details").iterdir()}
    assert names == {"import.json", "files.csv", "subjects.csv"}


def test_load_with_wrong_details_writes_nothing(raw: Path) -> None:
    (raw / "subjects.csv").write_text("subject,age\n")
    (raw / "files.csv").write_text("row,split,class,subject,file\n0,train,Ill,0,a.png\n")
    with pytest.raises(InputError, match=r"files\.csv"):
        load.main()
    assert not Path("data").joinpath("flat").exists()


def test_load_names_copies_over_train_and_test(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = torch.load(raw / "test_data.pt")
    images[5] = torch.load(raw / "train_data.pt")[9]
    torch.save(images, raw / "test_data.pt")
    load.main()
    output = capsys.readouterr().out
    assert "1 of 14 test rows" in output
    assert "train row 9 and test row 5" in output


def test_load_without_copies_says_nothing(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load.main()
    assert "copies" not in capsys.readouterr().out


def colour_rows(raw: Path, classes: list[str]) -> None:
    """Colour all rows of these classes, in train and test."""
    names = json.loads((raw / "classes.json").read_text())
    for split in N_ROWS:
        images = torch.load(raw / f"{split}_data.pt")
        labels = torch.load(raw / f"{split}_labels.pt")
        for name in classes:
            images[labels == names.index(name), 1, 9, 9] = 0.5  # which no grey row has
        torch.save(images, raw / f"{split}_data.pt")


def test_load_names_a_class_in_colour(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colour_rows(raw, ["Sane"])
    load.main()
    (warning,) = [line for line in capsys.readouterr().out.splitlines() if "colour" in line]
    assert warning.startswith("warning:")
    assert "grey in 13 of 13 images of Ill" in warning
    assert "colour in 13 of 13 images of Sane" in warning


def test_load_of_colours_in_all_classes_warns_of_none(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colour_rows(raw, ["Ill", "Sane", "Unsure"])
    load.main()
    assert "colour" not in capsys.readouterr().out


def test_load_of_one_row_in_colour_warns_of_none(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = torch.load(raw / "train_data.pt")
    images[7, 1, 9, 9] = 0.5
    torch.save(images, raw / "train_data.pt")
    load.main()
    assert "colour" not in capsys.readouterr().out


@pytest.mark.parametrize("split", N_ROWS)
def test_load_names_the_missing_file_of_ids(raw: Path, split: str) -> None:
    (raw / f"{split}_subjects.pt").unlink()
    with pytest.raises(InputError, match=rf"{split}_subjects\.pt: no such file, but"):
        load.main()

"""Every way in which a raw folder can be wrong ends in one line that names the file."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from src.cli import InputError
from src.raw import check_pixels, images_of, read_raw
from tests.conftest import write_raw


class Canary:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("canary"),))


def save(value: object) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


def images(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def write(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("file", "spoil", "fragment"),
    [
        ("train_data.pt", Path.unlink, "no such file"),
        ("test_labels.pt", Path.unlink, "no such file"),
        ("train_data.pt", write(b""), "torch cannot read it"),
        ("train_data.pt", write(b"random bytes, no tensor"), "torch cannot read it"),
        ("train_data.pt", cut, "torch cannot read it"),
        ("train_data.pt", write(pickle.dumps(Canary())), "damaged, or holds more than numbers"),
        ("train_data.pt", save(Canary()), "damaged, or holds more than numbers"),
        ("train_data.pt", save({"x": images(23, 3, 36, 40)}), "holds a dict"),
        ("train_data.pt", save([1, 2]), "holds a list"),
        ("train_data.pt", save(images(23, 3, 36, 40).to_sparse()), "sparse_coo tensor"),
        ("train_data.pt", save(torch.empty(23, 3, 36, 40, device="meta")), "meta tensor"),
        ("train_data.pt", save(images(23, 3, 36, 40).bool()), "bool, expected float32"),
        ("train_data.pt", save(images(23, 36, 40)), "shape 23 x 36 x 40, expected images x"),
        ("train_data.pt", save(images(0, 3, 36, 40)), "none of them 0"),
        ("test_data.pt", save(images(14, 3, 36, 44)), "images of 3 x 36 x 40, test_data.pt of"),
        ("train_labels.pt", save(torch.zeros(23)), "float32, expected int64"),
        ("train_labels.pt", save(torch.zeros(23, 3).long()), "shape 23 x 3, expected one label"),
        ("train_labels.pt", save(torch.arange(22) % 3), "22 labels for 23 images"),
        ("train_labels.pt", save(torch.arange(23) % 4), "labels from 0 to 3, expected 0 to 2"),
        ("test_labels.pt", save(torch.arange(14) - 1), "labels from -1 to 12, expected 0 to 2"),
        ("classes.json", write(b"{"), "no readable JSON"),
        ("classes.json", write(b'{"a": 1}'), "list of distinct class names"),
        ("classes.json", write(b'["a", "a", "b"]'), "list of distinct class names"),
        ("classes.json", write(b'["only"]'), "1 class, expected two or more"),
        ("test_subjects.pt", Path.unlink, "is missing, expected both"),
        ("test_subjects.pt", save(torch.arange(13)), "13 subjects for 14 images"),
        (
            "train_subjects.pt",
            save(torch.arange(23).float()),
            "subjects of float32, expected int64",
        ),
    ],
)
def test_a_spoilt_file_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    spoil: Callable[[Path], object],
    fragment: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_raw(tmp_path / "raw")
    spoil(tmp_path / "raw" / file)
    with pytest.raises(InputError) as error:
        read_raw(tmp_path / "raw")
    assert fragment in str(error.value)
    assert str(tmp_path / "raw") in str(error.value)
    assert not Path("canary").exists()  # no code of a file was run


def test_one_corrupt_label_makes_no_million_classes(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    (tmp_path / "raw/classes.json").unlink()
    save(torch.full((23,), 10**12))(tmp_path / "raw/train_labels.pt")
    with pytest.raises(InputError, match="label 1000000000000 in 23 rows"):
        read_raw(tmp_path / "raw")


def test_without_names_the_classes_are_the_labels(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw", subjects=False)
    (tmp_path / "raw/classes.json").unlink()
    raw = read_raw(tmp_path / "raw")
    assert raw.classes == ["0", "1", "2"]
    assert raw.train.subjects is None
    assert raw.train.labels.tolist() == [i % 3 for i in range(23)]


def test_the_format_of_older_pytorch_is_read(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw")
    path = tmp_path / "raw/train_data.pt"
    tensor = torch.load(path, weights_only=True)
    torch.save(tensor, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_raw(tmp_path / "raw").train.images, tensor)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_not_finite_is_named_by_file_and_row(tmp_path: Path, value: float) -> None:
    write_raw(tmp_path / "raw", n_train=8, n_test=6)
    raw = read_raw(tmp_path / "raw")
    chunk = np.zeros((3, 12), np.float32)
    chunk[1, 7] = value
    for rows, named in (([5, 7, 2], "train_data.pt: row 7"), ([5, 9, 2], "test_data.pt: row 1")):
        with pytest.raises(InputError, match=named):
            check_pixels(chunk, raw, np.array(rows))


@pytest.mark.parametrize("rows", [[2, 3, 4], [9, 10], [0, 2, 13], [7, 8], [8, 7]])
def test_rows_are_numbered_through_train_and_then_test(tmp_path: Path, rows: list[int]) -> None:
    write_raw(tmp_path / "raw", n_train=8, n_test=6)
    raw = read_raw(tmp_path / "raw")
    both = torch.cat([raw.train.images, raw.test.images])
    np.testing.assert_array_equal(images_of(raw, np.array(rows)), both[rows].numpy())

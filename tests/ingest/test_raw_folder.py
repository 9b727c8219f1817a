"""Raw folders of every kind: read as the values that were saved, or refused with one line."""

import json
import os
import pickle
import random
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch.utils.data import Subset, TensorDataset

from mri_stages.errors import InputError
from mri_stages.ingest.raw_folder import read_raw, to_float_images
from mri_stages.ingest.tensor_file import read_tensor
from mri_stages.storage.dataset import SPLITS
from tests.helpers.raw_folders import write_raw

Make = Callable[[torch.Tensor], Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a good raw folder in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_raw(tmp_path / "raw")
    return tmp_path / "raw"


def refusal(folder: Path) -> str:
    """Return the one line with which `read_raw` refuses the folder; no code of it has run."""
    with pytest.raises((InputError, OSError)) as error:
        read_raw(folder)
    assert str(error.value).isprintable()
    assert not Path("canary").exists()
    return str(error.value)


def rewritten(path: Path, change: Callable[[str, bytes], bytes], method: int = 0) -> None:
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in records.items():
            archive.writestr(name, change(name, data))


@pytest.mark.parametrize(
    ("make", "note"),
    [
        *((torch.Tensor.double, "float64"), (torch.Tensor.bfloat16, "bfloat16")),
        *((torch.nn.Parameter, None), (torch._neg_view, None)),
        (lambda x: x.transpose(2, 3).contiguous().transpose(2, 3), None),
    ],
)
def test_read_raw_of_pixels_notes_their_dtype(folder: Path, make: Make, note: str | None) -> None:
    images = make(torch.load(folder / "train_data.pt"))
    torch.save(images, folder / "train_data.pt")
    raw = read_raw(folder)
    expected = images.detach().to(torch.float32).resolve_neg().numpy()
    np.testing.assert_array_equal(to_float_images(raw.images["train"], folder), expected)
    found = [re.search(f"train_data.pt: .*{note}", line) is not None for line in raw.notes]
    assert found == ([True] if note else [])


@pytest.mark.parametrize(
    ("dtype", "unit", "note"), [("uint8", 255, "k/255"), ("uint16", 1, "not k/255")]
)
def test_images_of_whole_numbers_are_shares_only_of_uint8(
    folder: Path, dtype: str, unit: int, note: str
) -> None:
    levels = {split: (255 * torch.load(folder / f"{split}_data.pt")).round() for split in SPLITS}
    for split, x in levels.items():
        torch.save(x.to(getattr(torch, dtype)), folder / f"{split}_data.pt")
    raw = read_raw(folder)
    read = to_float_images(raw.images["train"], folder)
    np.testing.assert_array_equal(read, levels["train"] / unit)
    for split, line in zip(SPLITS, raw.notes, strict=True):
        assert f"{split}_data.pt" in line
        assert note in line


def test_read_tensor_of_files_saved_on_a_gpu_or_by_an_old_pytorch(folder: Path) -> None:
    path = folder / "train_data.pt"
    images = torch.load(path)
    rewritten(path, lambda name, data: data.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"))
    assert b"cuda:0" in path.read_bytes()
    assert torch.equal(read_tensor(path), images)
    torch.save(images, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_tensor(path), images)


def test_read_raw_of_any_integers_gives_int64(folder: Path) -> None:
    torch.save(torch._neg_view(-(torch.arange(23) % 3)), folder / "train_labels.pt")
    torch.save(torch.arange(14, dtype=torch.uint8)[:, None], folder / "test_subjects.pt")
    raw = read_raw(folder)
    assert raw.labels["train"].tolist() == [*(np.arange(23) % 3)]
    assert raw.subjects["test"].dtype == np.int64
    assert raw.subjects["test"].tolist() == [*range(14)]


def test_read_raw_without_optional_files_names_classes_by_label(folder: Path) -> None:
    for file in ("classes.json", "train_subjects.pt", "test_subjects.pt"):
        (folder / file).unlink()
    assert read_raw(folder)[2:] == ({}, ["0", "1", "2"], [])
    for highest in (0, 23):  # of one class, and damaged
        torch.save(torch.tensor([0] * 22 + [highest]), folder / "train_labels.pt")
        assert "train_labels.pt" in refusal(folder)
    torch.save(torch.arange(23), folder / "train_labels.pt")
    assert len(read_raw(folder).classes) == 23
    (folder / "classes.json").symlink_to("gone")
    assert "classes.json" in refusal(folder)


def change(folder: Path, make: Make, kind: str, splits: Sequence[str] = SPLITS) -> None:
    """Save what `make` makes of the tensors of this kind."""
    for split in splits:
        path = folder / f"{split}_{kind}.pt"
        torch.save(make(torch.load(path)), path)


def grey_levels(x: torch.Tensor) -> torch.Tensor:
    return (x * 255).to(torch.uint8)


@pytest.mark.parametrize(
    ("train", "test", "named"),
    [
        (grey_levels, torch.Tensor.float, ["float32", "uint8", "/ 255"]),
        (torch.Tensor.float, grey_levels, ["float32", "uint8", "/ 255"]),
        (torch.Tensor.long, grey_levels, ["int64", "uint8"]),
        (lambda x: x * 255, torch.Tensor.float, ["0 to 1,", "0 to 255 ", "/ 255"]),
        (torch.Tensor.double, lambda x: 3 + x / 255, ["3 to 3.004", "0 to 1 "]),
    ],
)
def test_read_raw_of_sets_on_different_scales(
    folder: Path, train: Make, test: Make, named: list[str]
) -> None:
    change(folder, train, "data", ["train"])
    change(folder, test, "data", ["test"])
    message = refusal(folder)
    assert [word for word in ["test_data.pt", *named] if word not in message] == []


@pytest.mark.parametrize("channels", [1, 3])
def test_read_raw_of_channels_last(folder: Path, channels: int) -> None:
    change(folder, lambda x: x[:, :channels].permute(0, 2, 3, 1).contiguous(), "data")
    assert re.search(r"train_data\.pt.*N x H x W x C.*x\.permute\(0, 3, 1, 2\)", refusal(folder))


def test_read_raw_without_a_channel_axis_reads_one_channel(folder: Path) -> None:
    x = torch.load(folder / "train_data.pt")
    change(folder, lambda x: x[:, 0].clone(), "data")
    raw = read_raw(folder)
    np.testing.assert_array_equal(to_float_images(raw.images["train"], folder), x[:, :1])
    assert ["train_data.pt" in raw.notes[0], "test_data.pt" in raw.notes[1]] == [True, True]


@pytest.mark.parametrize("named", [True, False])
def test_read_raw_of_labels_from_1(folder: Path, named: bool) -> None:
    (folder / "classes.json").write_text('["a", "b", "c", "d"]')
    change(folder, lambda y: y + 1, "labels")
    assert set(read_raw(folder).labels["train"]) == {1, 2, 3}
    if named:
        (folder / "classes.json").write_text('["a", "b", "c"]')
    else:
        (folder / "classes.json").unlink()
    assert "train_labels.pt: labels start at 1; subtract 1" in refusal(folder)
    change(folder, lambda y: y - 1, "labels", ["train"])
    assert "test_labels.pt: labels start at 1; subtract 1" in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float16])
def test_read_raw_of_one_hot_labels(folder: Path, dtype: torch.dtype) -> None:
    change(folder, lambda y: torch.nn.functional.one_hot(y).to(dtype), "labels", ["test"])
    assert re.search(r"test_labels\.pt.*argmax\(1\)", refusal(folder))


@pytest.mark.parametrize(
    "row", [[1, 1, 0], [0, 0, 0], [1, float("nan"), 0], [-1, 1, 1], [True, True, False]]
)
def test_read_raw_of_several_labels_per_image_says_so(
    folder: Path, row: list[float] | list[bool]
) -> None:
    torch.save(torch.tensor([row] * 23), folder / "train_labels.pt")
    assert re.search(r"train_labels\.pt.*\(23, 3\).*several labels per image", refusal(folder))


@pytest.mark.parametrize("shape", [(14, 36, 40), (14, 1, 36, 40)])
def test_read_raw_of_segmentation_masks_says_so(folder: Path, shape: tuple[int, ...]) -> None:
    torch.save(torch.zeros(shape, dtype=torch.uint8), folder / "test_labels.pt")
    assert re.search(r"test_labels\.pt.*segmentation masks", refusal(folder))


@pytest.mark.parametrize(("n_channels", "is_noted"), [(4, False), (5, True)])
def test_read_raw_of_many_channels_asks_for_volumes(
    tmp_path: Path, n_channels: int, is_noted: bool
) -> None:
    write_raw(tmp_path / "deep", shape=(n_channels, 6, 7))
    notes = [note for note in read_raw(tmp_path / "deep").notes if "volumes" in note]
    assert [f"images of {n_channels} channels" in note for note in notes] == [True] * is_noted


def test_read_raw_of_float_labels_takes_whole_numbers_alone(folder: Path) -> None:
    change(folder, torch.Tensor.half, "labels", ["test"])
    raw = read_raw(folder)
    assert raw.labels["test"].tolist() == [i % 3 for i in range(14)]
    assert [("test_labels.pt" in note, "float16" in note) for note in raw.notes] == [(True, True)]
    for wrong in (0.5, float("nan"), 1e30):
        torch.save(torch.tensor([0.0, 1.0, wrong]).repeat(8)[:23], folder / "train_labels.pt")
        assert "train_labels.pt" in refusal(folder)


@pytest.mark.parametrize(
    ("make", "warned"),
    [
        *((lambda y: y.sort().values, True), (lambda y: y.sort(descending=True).values, True)),
        (lambda y: (torch.arange(23) + 6) // 12, True),
        (lambda y: y[torch.randperm(23, generator=torch.manual_seed(0))], False),
        (lambda y: torch.eye(23)[20].long(), False),  # one row of another class
    ],
)
def test_read_raw_of_training_rows_sorted_by_class_warns(
    folder: Path, make: Make, warned: bool
) -> None:
    change(folder, make, "labels", ["train"])
    change(folder, lambda y: y.sort().values, "labels", ["test"])  # this order trains nothing
    notes = read_raw(folder).notes
    assert ["train_labels.pt" in n and "train.shuffle" in n for n in notes] == [True] * warned


@pytest.mark.parametrize(
    ("make", "class_name", "instead"),
    [
        (lambda x: TensorDataset(x, x), "TensorDataset", "dataset.tensors[0]"),
        (lambda x: Subset(TensorDataset(x, x), range(9)), "Subset", "torch.stack"),
        (lambda x: x.numpy(), "numpy.ndarray", "torch.from_numpy(x)"),
        (lambda x: {"x": x.numpy()}, "numpy.ndarray", "torch.from_numpy(x)"),
        (lambda x: list(x.numpy().flatten()[:3]), "numpy.dtype", "torch.tensor(x)"),
        (list, "list", "torch.stack(x)"),
        (lambda x: (x, x), "tuple", "x[0]"),
        (lambda x: {"x": x}, "dict", "x[KEY]"),
        (lambda x: OrderedDict(x=x), "OrderedDict", "x[KEY]"),
        (lambda x: StandardScaler().fit(np.eye(2)), "sklearn.preprocessing", "its tensor alone"),
        (lambda x: [Canary(), x], "posix.system", "tensor"),
    ],
)
@pytest.mark.parametrize("file", ["train_data.pt", "test_labels.pt"])
def test_read_raw_of_another_object_names_its_class(
    folder: Path, file: str, make: Make, class_name: str, instead: str
) -> None:
    torch.save(make(torch.load(folder / file)), folder / file)
    message = refusal(folder)
    assert [word for word in (file, class_name, instead) if word not in message] == []


class Canary:
    """Unpickled by a loader that runs code, it creates the file `canary`."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch canary",)


@pytest.mark.filterwarnings("ignore")  # torch's own, of the kinds of tensor saved here
@pytest.mark.parametrize("file", ["train_data.pt", "train_labels.pt", "test_subjects.pt"])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: {"weight": [x, Canary()]}, lambda x: x.to_sparse(),
        lambda x: torch.nested.nested_tensor([x.view(-1)[:n] for n in (3, 5)], layout=torch.jagged),
        lambda x: x.to("meta"), lambda x: x.bool(), lambda x: x[:0], lambda x: x[None],
    ],
)  # fmt: skip
def test_read_raw_of_other_objects_names_the_file(folder: Path, file: str, make: Make) -> None:
    pickle.loads(pickle.dumps(Canary()))  # as a loader that runs code does
    Path("canary").unlink()
    made = make(torch.load(folder / file))
    for zipped in (True, False):
        with suppress(RuntimeError, AttributeError):  # some kinds have no old format
            torch.save(made, folder / file, _use_new_zipfile_serialization=zipped)
        assert file.replace("train_data", "_data") in refusal(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((file, None) for file in ("test_labels.pt", "test_subjects.pt", "train_subjects.pt")),
        ("train_data.pt", torch.zeros(22, 3, 36, 40)), ("test_data.pt", torch.zeros(14, 3, 36, 44)),
        ("train_labels.pt", torch.eye(3).repeat(8, 1)[:23].long()),
        *(("train_labels.pt", torch.arange(23) % 4), ("test_labels.pt", torch.arange(14) % 3 - 1)),
        *(("classes.json", text) for text in ("{", '{"a": 1}', '["only"]')),
        *(("classes.json", json.dumps([name, "b", "c"])) for name in ("b", 3, " ", "\x1b[2J")),
    ],
)  # fmt: skip
def test_read_raw_of_files_that_do_not_fit(folder: Path, file: str, content: Any) -> None:
    (folder / file).unlink()
    if isinstance(content, str):
        (folder / file).write_text(content)
    elif content is not None:
        torch.save(content, folder / file)
    assert file.split("_")[0] in refusal(folder)


def test_read_tensor_of_a_file_that_is_cut_short_names_it(tmp_path: Path) -> None:
    torch.save(torch.zeros(40, 1, 20, 20), tmp_path / "x.pt")
    data = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(data[:-500])
    with pytest.raises(InputError, match=r"x\.pt: "):
        read_tensor(tmp_path / "x.pt")


def test_read_tensor_names_a_pointer_of_git_lfs(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(InputError, match=r"x\.pt: .*git lfs pull"):
        read_tensor(tmp_path / "x.pt")


@pytest.mark.parametrize("zipped", [False, True])
def test_read_tensor_of_a_damaged_file_names_it(tmp_path: Path, zipped: bool) -> None:
    path, rng = tmp_path / "x.pt", random.Random(0)
    torch.save(torch.arange(60), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    cuts = [whole[: int(share * len(whole))] for share in (0, 0.3, 0.9, 0.999)]
    for data in (*cuts, rng.randbytes(999), b"PK\x03\x04" + rng.randbytes(500)):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"x\.pt"):
            read_tensor(path)
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        path.write_bytes(spoilt)
        with suppress(InputError, OSError):
            assert isinstance(read_tensor(path), torch.Tensor)


@pytest.mark.parametrize(("method", "size"), [(zipfile.ZIP_DEFLATED, None), (0, 50)])
def test_read_tensor_of_a_changed_zip_fails(tmp_path: Path, method: int, size: int | None) -> None:
    path = tmp_path / "x.pt"  # torch would map the bytes from where a record begins
    torch.save(torch.arange(60), path)
    rewritten(path, lambda name, data: data[:size] if "/data/" in name else data, method)
    with pytest.raises(InputError, match=r"x\.pt: a (compressed )?zip"):
        read_tensor(path)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e39])
def test_float_images_names_the_row_that_is_not_finite(wrong: float) -> None:
    images = torch.zeros((3, 2, 2), dtype=torch.float64)
    to_float_images(images, Path("x.pt"))
    images[1, 1, 0] = wrong
    with pytest.raises(InputError, match=r"x\.pt: row 8 "):
        to_float_images(images, Path("x.pt"), 7)

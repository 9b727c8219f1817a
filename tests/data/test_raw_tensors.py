"""Raw folders of every kind: read as the values that were saved, or refused with one line."""

import contextlib
import json
import os
import pickle
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.cli import InputError
from src.data.raw_tensors import check_pixels, conversions, images_of, read_raw, read_tensor
from tests.conftest import write_raw

TENSORS = ["train_data.pt", "train_labels.pt", "test_subjects.pt"]
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
    """Write the zip at `path` again, each record as `change` makes it."""
    with zipfile.ZipFile(path) as archive:
        records = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in records:
            archive.writestr(name, change(name, data))


@pytest.mark.parametrize(
    ("make", "note"),
    [
        *((torch.Tensor.double, "float64"), (torch.Tensor.bfloat16, "bfloat16")),
        *((lambda x, dtype=dtype: (x * 255).to(getattr(torch, dtype)), f"{dtype} .*not k/255")
          for dtype in ("uint8", "uint16")),
        *((make, None) for make in (
            torch.nn.Parameter, torch._neg_view, lambda x: x[:, :1, :1].expand(23, 3, 36, 40),
            lambda x: x.transpose(2, 3).contiguous().transpose(2, 3))),
    ],
)  # fmt: skip
def test_read_raw_of_harmless_pixels_gives_their_values_and_notes_the_dtype(
    folder: Path, make: Make, note: str | None
) -> None:
    images = make(torch.load(folder / "train_data.pt"))
    torch.save(images, folder / "train_data.pt")
    raw = read_raw(folder)
    expected = images.detach().to(torch.float32).resolve_neg().numpy()
    np.testing.assert_array_equal(images_of(raw, np.arange(len(expected))), expected)
    found = [re.search(f"train_data.pt: .*{note}", line) is not None for line in conversions(raw)]
    assert found == ([True] if note else [])


def test_read_tensor_of_files_saved_on_a_gpu_or_by_an_old_pytorch(folder: Path) -> None:
    path, cpu, cuda = folder / "train_data.pt", b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"
    images = torch.load(path)
    rewritten(path, lambda name, data: data.replace(cpu, cuda))
    assert b"cuda:0" in path.read_bytes()
    assert torch.equal(read_tensor(path), images)
    torch.save(images, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_tensor(path), images)


@pytest.mark.parametrize(
    "make",
    [torch.clone, lambda y: y[:, None], lambda y: y.to(torch.uint8), lambda y: y.to(torch.uint64),
     lambda y: torch._neg_view(-y), lambda y: y.repeat_interleave(2)[::2]],
)  # fmt: skip
def test_read_raw_of_any_integers_gives_int64_of_all_rows(folder: Path, make: Make) -> None:
    for file in ("train_labels.pt", "test_subjects.pt"):
        torch.save(make(torch.load(folder / file)), folder / file)
    raw = read_raw(folder)
    assert raw.labels.dtype == np.int64
    assert raw.labels.tolist() == [*(np.arange(23) % 3), *(np.arange(14) % 3)]
    assert raw.subjects is not None
    assert raw.subjects.tolist() == [*(np.arange(23) // 3), *(np.arange(14) // 3)]
    assert raw.classes == ["Ill", "Sane", "Unsure"]


def test_read_raw_without_optional_files_names_classes_by_label(folder: Path) -> None:
    for file in ("classes.json", "train_subjects.pt", "test_subjects.pt"):
        (folder / file).unlink()
    assert read_raw(folder)[3:] == (None, ["0", "1", "2"])
    for highest, accepted in ((22, True), (0, False), (23, False), (10**12, False)):
        torch.save(torch.tensor([0] * 22 + [highest]), folder / "train_labels.pt")
        if accepted:
            assert len(read_raw(folder).classes) == 23
        else:  # one class only, or a damaged label, which does not make a million classes
            assert "train_labels.pt" in refusal(folder)


class Canary:
    """Unpickled by a loader that runs code, it creates the file `canary`."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch canary",)


@pytest.mark.filterwarnings("ignore")  # torch's own, of the kinds of tensor saved here
@pytest.mark.parametrize("file", TENSORS)
@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.numpy(), lambda x: {"x": x}, lambda x: torch.nn.Linear(2, 2),
        lambda x: torch.nested.nested_tensor([x.view(-1)[:n] for n in (3, 5)], layout=torch.jagged),
        lambda x: x.to_sparse(), lambda x: x.to("meta"), lambda x: x.to(torch.complex64),
        lambda x: torch.quantize_per_tensor(x.float(), 1 / 255, 0, torch.quint8),
        lambda x: x.bool(), lambda x: x.float().to(torch.float8_e4m3fn), lambda x: x[:0],
        lambda x: x.flatten()[0], lambda x: x[None], lambda x: x.repeat_interleave(2, dim=-1),
        lambda x: x.flatten()[:1].reshape([1] * x.ndim).expand([1000] * x.ndim),
        lambda x: Canary(), lambda x: {"weight": [x, Canary()]},
    ],
)  # fmt: skip
def test_read_raw_of_other_objects_names_the_file(folder: Path, file: str, make: Make) -> None:
    pickle.loads(pickle.dumps(Canary()))  # as a loader that runs code does
    Path("canary").unlink()
    made = make(torch.load(folder / file))
    for zipped in (True, False):
        try:
            torch.save(made, folder / file, _use_new_zipfile_serialization=zipped)
        except (RuntimeError, AttributeError):  # some kinds have no old format
            assert not zipped
            continue
        assert file.replace("train_data", "_data") in refusal(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((file, None) for file in ("train_data.pt", "test_labels.pt", "test_subjects.pt",
                                    "train_subjects.pt")),
        *((file, Path("gone")) for file in ("test_subjects.pt", "classes.json")),  # a broken link
        *((file, torch.zeros(shape)) for file, shape in (
            ("train_data.pt", (22, 3, 36, 40)), ("test_data.pt", (14, 3, 36, 44)),
            ("test_data.pt", (14, 1, 36, 40)), ("train_labels.pt", (23,)))),
        ("train_labels.pt", torch.eye(3).repeat(8, 1)[:23].long()),
        *(("train_labels.pt", torch.arange(23) % 4), ("test_labels.pt", torch.arange(14) % 3 - 1)),
        *(("classes.json", text) for text in ("{", "[" * 10**5, '{"a": 1}', '["only"]')),
        *(("classes.json", json.dumps([name, "b", "c"])) for name in
          ("b", 3, " ", "\ud800", "a\nb", "\x1b[2J")),
    ],
)  # fmt: skip
def test_read_raw_of_files_that_do_not_fit_names_one(
    folder: Path, file: str, content: torch.Tensor | Path | str | None
) -> None:
    (folder / file).unlink()
    if isinstance(content, Path):
        (folder / file).symlink_to(content)
    elif isinstance(content, str):
        (folder / file).write_text(content)
    elif content is not None:
        torch.save(content, folder / file)
    assert file.split("_")[0] in refusal(folder)


@pytest.mark.parametrize("file", TENSORS)
def test_read_raw_of_a_damaged_file_names_it(folder: Path, file: str) -> None:
    path = folder / file
    whole = path.read_bytes()
    noise = random.Random(0).randbytes(len(whole))
    cuts = [whole[: int(share * len(whole))] for share in (0, 0.001, 0.3, 0.9, 0.99, 0.9999)]
    for data in (*cuts, noise, b"PK\x03\x04" + noise[:500], pickle.dumps([1, 2])):
        path.write_bytes(data)
        assert file in refusal(folder)
    # torch maps the bytes from where a record begins, also if it is compressed or cut.
    path.write_bytes(whole)
    rewritten(path, lambda name, data: data, zipfile.ZIP_DEFLATED)
    assert file in refusal(folder)
    path.write_bytes(whole)
    rewritten(path, lambda name, data: data[:50] if "/data/" in name else data)
    assert file in refusal(folder)
    # A compressed record without values is not unpacked either: it could grow a thousandfold.
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more", bytes(10**6))
    assert file in refusal(folder)


@pytest.mark.parametrize("zipped", [False, True])
def test_read_tensor_of_flipped_bytes_is_a_tensor_or_an_error(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.arange(6), path, _use_new_zipfile_serialization=zipped)
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        path.write_bytes(spoilt)
        with contextlib.suppress(InputError, OSError):
            assert isinstance(read_tensor(path), torch.Tensor)


@pytest.mark.parametrize(
    "rows", [[2, 3, 4], [22], [23], [23, 24], [0, 2, 30], [22, 23], [21, 22], [36, 0], [8, 7]]
)
def test_images_of_rows_are_numbered_through_train_and_test(folder: Path, rows: list[int]) -> None:
    torch.save(torch.load(folder / "test_data.pt").double(), folder / "test_data.pt")
    raw = read_raw(folder)
    both = torch.cat([raw.images["train"], raw.images["test"]])
    np.testing.assert_array_equal(images_of(raw, np.array(rows)), both[rows].float().numpy())


def test_check_pixels_names_the_row_that_is_not_finite(folder: Path) -> None:
    raw, chunk = read_raw(folder), np.zeros((3, 12), np.float32)
    check_pixels(chunk, raw, np.array([0, 1, 2]))
    chunk[1, 7] = np.nan
    for row, named in ((22, "train_data.pt: row 22 "), (23, "test_data.pt: row 0 ")):
        with pytest.raises(InputError, match=named):
            check_pixels(chunk, raw, np.array([5, row, 2]))

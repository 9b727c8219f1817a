"""Zips whose members lie about themselves: one line, and no more memory than is read."""

import struct
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from mri_stages.errors import InputError
from mri_stages.ingest import bounded_bytes
from mri_stages.ingest.bounded_bytes import read_bounded
from mri_stages.ingest.csv_table import read_limited_bytes
from mri_stages.ingest.file_tree import list_files
from mri_stages.ingest.formats import Format, find_format
from mri_stages.ingest.image_file import read_image
from mri_stages.ingest.image_set import ImageError

N_BYTES = 2**22  # of zeros, which take 4 KiB in a zip
SIGNATURE = b"PK\x01\x02"  # before the entry of a member in the list at the end of a zip
SIZE_OFFSET = 24  # of the unpacked size in that entry
OFFSET_OFFSET = 42  # of the place of the member


def write_zip(path: Path, method: int = zipfile.ZIP_DEFLATED, name: str = "a/1.png") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, bytes(N_BYTES))
    return path


def edit_entry(path: Path, offset: int, number: int) -> None:
    """Change a number of 4 bytes in the entry of the only member."""
    data = bytearray(path.read_bytes())
    start = data.index(SIGNATURE) + offset
    data[start : start + 4] = struct.pack("<L", number)
    path.write_bytes(data)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "set.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_list_files_refuses_a_method_without_a_limit(tmp_path: Path, method: int) -> None:
    source = write_zip(tmp_path / "set.zip", method)
    with pytest.raises(InputError, match=r"set\.zip: a/1\.png is compressed by "):
        list_files(source)


def test_list_files_refuses_an_unknown_method(source: Path) -> None:
    data = source.read_bytes()
    entry = data.index(SIGNATURE)
    source.write_bytes(data[: entry + 10] + struct.pack("<H", 77) + data[entry + 12 :])
    with pytest.raises(InputError, match="method 77"):
        list_files(source)


@pytest.mark.parametrize("offset", [2**31, 2**32 - 2])
def test_list_files_refuses_a_member_that_lies_nowhere(source: Path, offset: int) -> None:
    edit_entry(source, OFFSET_OFFSET, offset)
    with pytest.raises(InputError, match=f"begins at byte {offset}"):
        list_files(source)


@pytest.mark.parametrize("n_missing", [1, 30, 90])
def test_list_files_of_a_truncated_zip_is_refused(source: Path, n_missing: int) -> None:
    source.write_bytes(source.read_bytes()[:-n_missing])
    with pytest.raises(InputError, match=r"set\.zip: not a whole zip"):
        list_files(source)


@pytest.mark.parametrize("claimed_size", [10, 2**31, 2**32 - 2])
def test_read_image_of_a_bomb_takes_no_memory(
    source: Path, monkeypatch: pytest.MonkeyPatch, claimed_size: int
) -> None:
    """What is unpacked counts, up to the limit of a file."""
    monkeypatch.setattr(bounded_bytes, "PART_BYTES", N_BYTES // 16)
    edit_entry(source, SIZE_OFFSET, claimed_size)
    member = list_files(source)["a", "1.png"]
    tracemalloc.start()
    with pytest.raises(ImageError) as error:
        read_image(member, Counter())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.value.kind == "unreadable"
    assert peak < (2.5 if claimed_size > N_BYTES else 0.5) * N_BYTES


@pytest.mark.parametrize("n_bytes_over", [0, 1])
def test_read_bounded_of_a_member_at_the_limit(source: Path, n_bytes_over: int) -> None:
    member = list_files(source)["a", "1.png"]
    if n_bytes_over:
        with pytest.raises(ImageError, match="too large"):
            read_bounded(member, N_BYTES - n_bytes_over)
    else:
        assert len(read_bounded(member, N_BYTES)) == N_BYTES


def damage_header(path: Path) -> None:
    """Damage what stands before the bytes of the only member."""
    path.write_bytes(b"xx" + path.read_bytes()[2:])


def test_find_format_of_a_damaged_member_is_other(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "set.zip", name="a/1")
    damage_header(source)
    assert find_format(list_files(source)["a", "1"], "a/1") is Format.OTHER


def test_read_limited_bytes_of_a_damaged_member_names_it(source: Path) -> None:
    damage_header(source)
    with pytest.raises(InputError, match=r"t\.csv: unreadable in its zip"):
        read_limited_bytes(list_files(source)["a", "1.png"], "t.csv")

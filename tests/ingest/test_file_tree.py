"""The files of folders and zips, and those that a pattern leaves out."""

import os
from pathlib import Path
from zipfile import ZipFile

import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.file_tree import FileTree, exclude_files, is_hidden, list_files

SOURCE = Path("set.zip")


def make_tree(*names: str) -> FileTree:
    return {tuple(name.split("/")): Path(name) for name in names}


TREE = make_tree("a/1.png", "a/masks/1.png", "b/2.PNG", "masks/3.png")


def list_excluded(*patterns: str) -> list[str]:
    kept, _ = exclude_files(TREE, patterns, SOURCE)
    return sorted("/".join(parts) for parts in TREE.keys() - kept.keys())


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/masks/*", ["a/masks/1.png"]),
        ("masks/*", ["masks/3.png"]),
        ("a/*.png", ["a/1.png", "a/masks/1.png"]),
        ("?/?.png", ["a/1.png"]),
        ("*.PNG", ["b/2.PNG"]),
        ("[ab]/[12].*", ["a/1.png", "b/2.PNG"]),
    ],
)
def test_exclude_files_compares_whole_paths(pattern: str, expected: list[str]) -> None:
    assert list_excluded(pattern) == expected


def test_exclude_files_takes_several_patterns() -> None:
    assert list_excluded("b/*", "masks/*") == ["b/2.PNG", "masks/3.png"]


def test_exclude_files_notes_counts() -> None:
    _, notes = exclude_files(TREE, ["a/*", "b/*"], SOURCE)
    assert ["2 files" in notes[0], notes[1].endswith("1 file")] == [True, True]


def test_exclude_files_without_a_match_names_it() -> None:
    with pytest.raises(InputError, match=r"--exclude masks: .*set\.zip"):
        exclude_files(TREE, ["a/*", "masks"], SOURCE)


def test_exclude_files_compares_composed_letters() -> None:
    # A letter with an accent on the disk of a Mac, and as a keyboard types it.
    kept, _ = exclude_files(make_tree("c\u0301/1.png"), ["\u0107/*"], SOURCE)
    assert not kept


@pytest.mark.parametrize("name", ["__MACOSX/a/1.png", "a/._1.png", ".git/a/1.png"])
def test_is_hidden_knows_files_of_programs(name: str) -> None:
    assert is_hidden(tuple(name.split("/")))


def test_is_hidden_of_a_visible_file_is_false() -> None:
    assert not is_hidden(("a.b", "MACOSX", "1.png"))


def test_list_files_refuses_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png: a pipe"):
        list_files(tmp_path)


def test_list_files_refuses_a_name_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    with pytest.raises(InputError, match="not UTF-8"):
        list_files(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_list_files_reads_names_in_utf_8_that_are_not_said_to_be(
    tmp_path: Path, encoding: str
) -> None:
    """Names in other encodings stay as Python reads them: nobody knows which one it is."""
    name = "狗".encode(encoding)
    placeholder = b"x" * len(name)
    with ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(f"{placeholder.decode()}/1.png", "content")
    data = (tmp_path / "set.zip").read_bytes()
    (tmp_path / "set.zip").write_bytes(data.replace(placeholder, name))

    tree = list_files(tmp_path / "set.zip")
    expected = "狗" if encoding == "utf-8" else name.decode("cp437")
    assert {parts: path.read_text() for parts, path in tree.items()} == {
        (expected, "1.png"): "content"
    }

"""List all files of a folder, or of a zip (not unpacked), and leave out those that a user names."""

import glob
import os
import unicodedata
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo
from zipfile import Path as ZipMember

from mri_stages.errors import InputError
from mri_stages.ingest.image_set import FilePath
from mri_stages.ingest.zip_members import check_members

MAX_LISTED_NAMES = 5  # in a message
UTF_8_FLAG = 0x800  # of a member of a zip: its name is UTF-8
HIDDEN_FOLDERS = ("__MACOSX",)  # in zips of macOS, beside names that begin with a dot

Parts = tuple[str, ...]  # the folders and the name of a file, seen from the top of the source
FileTree = dict[Parts, FilePath]  # all files of a source


def list_files(source: Path) -> FileTree:
    """Return all files of a folder or a zip; InputError if it is neither."""
    return list_folder(source) if source.is_dir() else list_zip(source)


def list_folder(source: Path) -> FileTree:
    """Return all files of a folder, also those behind links."""
    tree: FileTree = {}
    errors: list[OSError] = []
    for folder_name, subfolders, file_names in os.walk(
        source, onerror=errors.append, followlinks=True
    ):
        folder = Path(folder_name)
        # A link to a folder on the way down would be followed again and again.
        ancestors = {path.resolve() for path in (folder, *folder.parents)}
        ancestors |= set(folder.resolve().parents)
        subfolders[:] = [name for name in subfolders if (folder / name).resolve() not in ancestors]

        for name in file_names:
            path = folder / name
            check_file(path)
            tree[path.relative_to(source).parts] = path
    if errors:
        raise errors[0]
    return tree


def check_file(path: Path) -> None:
    """Raise InputError if a path is a pipe or a device, or its name cannot be written as text.

    A missing file is the end of a link that leads nowhere: reading it names it.
    """
    if not path.is_file() and path.exists():
        raise InputError(f"{path}: a pipe, socket or device, expected a file; remove it")
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{str(path)!a}: a name that is not UTF-8; rename it") from None


def list_zip(source: Path) -> FileTree:
    """Return all files of a zip."""
    try:
        archive = ZipFile(source)
    except (BadZipFile, ValueError, NotImplementedError) as error:
        # ValueError is raised for names that are not UTF-8, NotImplementedError for new versions.
        raise InputError(
            f"{source}: not a whole zip ({error}), expected a folder or a zip of images; unpack "
            "another kind of archive first"
        ) from None
    check_members(source, archive)

    tree: FileTree = {}
    members = archive.infolist()
    for member, decoded_name in zip(members, decode_names(members), strict=True):
        name = decoded_name.replace("\\", "/")  # old .NET programs write backslashes
        if not name.endswith("/"):
            # bsdtar and 7z write './train/...'
            parts = tuple(part for part in name.split("/") if part not in ("", "."))
            if parts:
                tree[parts] = ZipMember(archive, member.filename)
    return tree


def decode_names(members: Sequence[ZipInfo]) -> list[str]:
    """Return the names of the members of a zip; all in UTF-8 if they can be.

    So macOS writes them. Python reads a name that is not said to be UTF-8 as one of CP437.
    """
    names = []
    try:
        for member in members:
            name = member.filename
            if not member.flag_bits & UTF_8_FLAG:
                name = name.encode("cp437").decode()
            names.append(name)
    except UnicodeError:
        return [member.filename for member in members]
    return names


def is_hidden(parts: Parts) -> bool:
    """Return whether a file is hidden, or lies in a hidden folder."""
    return any(part.startswith(".") or part in HIDDEN_FOLDERS for part in parts)


def exclude_files(
    tree: FileTree, patterns: Sequence[str], source: Path
) -> tuple[FileTree, list[str]]:
    """Return the files whose path below `source` matches no pattern, and a note for each pattern.

    Patterns are those of fnmatch, with capitals told apart; `*` stands for slashes too. InputError
    names a pattern that matches no file.
    """
    names = {parts: normalise_text("/".join(parts)) for parts in tree}
    excluded: set[Parts] = set()
    notes = []
    for pattern in patterns:
        matches = [
            parts for parts, name in names.items() if fnmatchcase(name, normalise_text(pattern))
        ]
        if not matches:
            raise InputError(
                f"--exclude {pattern}: matches none of the {len(tree)} files of {source}, expected "
                "a pattern of whole paths, such as '*/masks/*' or 'masks/*'"
            )
        excluded.update(matches)
        notes.append(f"--exclude {pattern} leaves out {count_files(len(matches))}")
    return {parts: path for parts, path in tree.items() if parts not in excluded}, notes


def normalise_text(text: str) -> str:
    """Return a text with composed letters: the same letter can be stored as several characters."""
    return unicodedata.normalize("NFC", text)


def suggest_exclusion(parts: Parts, *, is_file: bool = False) -> str:
    """Return the pattern, quoted for a shell, that excludes a file, or all files of a folder."""
    path = glob.escape("/".join(parts))
    return quote_text(path if is_file else f"{path}/*")


def quote_text(text: str) -> str:
    """Return a text in the quotes of a shell, also where it needs none."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def count_files(n_files: int) -> str:
    """Return a number of files in words."""
    return "1 file" if n_files == 1 else f"{n_files} files"


def count_shared_folders(paths: Iterable[Parts]) -> int:
    """Return how many folders from the top all paths have in common."""
    levels = zip(*paths, strict=False)
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))


def list_names(names: Iterable[str]) -> str:
    """Return the first names, with `...` if there are more."""
    ordered = [show_name(name) for name in sorted(names)]
    ellipsis = ", ..." if len(ordered) > MAX_LISTED_NAMES else ""
    return ", ".join(ordered[:MAX_LISTED_NAMES]) + ellipsis


def show_name(name: str) -> str:
    """Return a name as it is, or escaped where a terminal cannot show it on one line."""
    return name if name.isprintable() else ascii(name)

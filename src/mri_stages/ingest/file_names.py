"""Find the images that a table names: with or without folders, with or without a suffix."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from mri_stages.ingest.file_tree import Parts, normalise_text
from mri_stages.ingest.formats import (
    DICOM_SUFFIXES,
    VOLUME_SUFFIXES,
    list_data_files,
)
from mri_stages.ingest.image_file import SUFFIXES as PILLOW_SUFFIXES

DRIVE = r"[A-Za-z]:"  # begins an absolute path of Windows


class Match(NamedTuple):
    """What a name can mean."""

    path: Parts  # of a file or a folder below the source
    images: list[Parts]  # the file itself, or all images in the folder


class FileNames:
    """The images of a source, and the folders above them, by their names."""

    def __init__(self, images: Collection[Parts], tree: Collection[Parts], source: Parts) -> None:
        """Take the images among the files of a source.

        `source` is the place of the source itself: a name may begin with folders above it.
        """
        self.source = normalise_parts(source)
        self.images_by_name: dict[str, list[Parts]] = defaultdict(list)
        self.images_by_stem: dict[str, list[Parts]] = defaultdict(list)
        self.images_by_folder: dict[Parts, list[Parts]] = defaultdict(list)
        for parts in images:
            name = normalise_text(parts[-1])
            self.images_by_name[name].append(parts)
            self.images_by_stem[cut_known_suffix(name)].append(parts)
            for depth in range(1, len(parts)):
                self.images_by_folder[parts[:depth]].append(parts)

        self.folders_by_name: dict[str, list[Parts]] = defaultdict(list)
        for folder in self.images_by_folder:
            self.folders_by_name[normalise_text(folder[-1])].append(folder)
        self.add_data_files(images, tree)

    def add_data_files(self, images: Iterable[Parts], tree: Collection[Parts]) -> None:
        """Let the name of the second file of a volume mean the first, which is the image."""
        headers = {(*parts[:-1], cut_known_suffix(parts[-1])): parts for parts in images}
        for parts in list_data_files(tree):
            header = headers.get((*parts[:-1], cut_known_suffix(parts[-1])))
            if header is not None:
                self.images_by_name[normalise_text(parts[-1])].append(header)

    def list_matches(self, name: str) -> list[Match]:
        """Return what a name can mean: nothing, one image or folder, or several.

        Names of images come first, then those without suffix, then folders. A name that is the
        whole path below the source means that path alone.
        """
        parts = split_name(name)
        if not parts:
            return []
        for paths_by_name in (self.images_by_name, self.images_by_stem, self.folders_by_name):
            paths = paths_by_name.get(parts[-1], [])
            matches = [path for path in paths if self.has_folders(path, parts[:-1])]
            whole_paths = [path for path in matches if len(path) == len(parts)]
            if matches:
                paths_meant = whole_paths or matches
                return [
                    Match(path, self.images_by_folder.get(path, [path])) for path in paths_meant
                ]
        return []

    def has_folders(self, path: Parts, folders: Parts) -> bool:
        """Return whether the last folders above a path are these."""
        folders_above = self.source + normalise_parts(path[:-1])
        return not folders or folders_above[-len(folders) :] == folders


def split_name(name: str) -> Parts:
    """Return the folders and the name of a path, with the slashes of any system."""
    parts = normalise_text(name).replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", "."))


def leads_outside(name: str) -> bool:
    """Return whether a name is an absolute path, or leads up."""
    is_absolute = name.startswith(("/", "\\")) or re.match(DRIVE, name) is not None
    return is_absolute or ".." in split_name(name)


def normalise_parts(parts: Parts) -> Parts:
    return tuple(normalise_text(part) for part in parts)


def cut_known_suffix(name: str) -> str:
    """Return a name without the suffix of an image; a number behind a dot is no suffix."""
    lower_name = name.lower()
    for suffix in VOLUME_SUFFIXES:
        if lower_name.endswith(suffix):
            return name[: -len(suffix)]
    suffix = PurePosixPath(lower_name).suffix
    if suffix in PILLOW_SUFFIXES or suffix in DICOM_SUFFIXES:
        return name[: -len(suffix)]
    return name

"""List the images of a set with a folder per class, in a folder or in a zip (not unpacked).

A set is laid out as {train,test}/CLASS/IMAGE or as CLASS/IMAGE, perhaps inside further folders.
"""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mri_stages.errors import InputError
from mri_stages.ingest.file_tree import FileTree, Parts, is_hidden, list_files, normalise_text
from mri_stages.ingest.image_file import SUFFIXES, PillowPicture
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions

EXPECTED_LAYOUT = "{train,test}/CLASS/IMAGE or CLASS/IMAGE"
# What the folder of a split may be called, in lower case.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
MAX_LISTED_CLASSES = 5  # in an error message


class Layout(NamedTuple):
    """Which split each image belongs to, and where the name of its class stands."""

    splits: dict[Parts, str]  # train or test; empty in a set without a split
    class_depth: int  # index of the class folder among the parts of an image
    notes: list[str]


def list_images(source: Path, options: ImportOptions | None = None) -> ImageSet:
    """Return the images of a folder or a zip, their classes, and notes.

    Raise InputError if it holds no images, or not the same two or more classes in train and test.
    """
    tree = list_files(source)
    images = select_visible_images(tree)
    if not images:
        raise InputError(f"{source}: no image in {len(tree)} files, expected {EXPECTED_LAYOUT}")

    layout = find_layout(images)
    notes = [*layout.notes, *describe_unused_files(tree, layout)]
    check_depth(source, layout)

    class_names = {parts: normalise_text(parts[layout.class_depth]) for parts in layout.splits}
    classes = sorted(set(class_names.values()))
    check_split_folders(source, classes)
    check_classes(source, class_names, layout.splits)

    files = [
        ImageFile(
            PillowPicture(tree[parts]), "/".join(parts), split, classes.index(class_names[parts])
        )
        for parts, split in layout.splits.items()
    ]
    files.sort(key=lambda file: file.label)
    return ImageSet(files, classes, notes)


def select_visible_images(tree: FileTree) -> list[Parts]:
    """Return the images among the files, sorted, without those that are or lie in hidden ones."""
    return [parts for parts in sorted(tree) if is_image(parts) and not is_hidden(parts)]


def is_image(parts: Parts) -> bool:
    return Path(parts[-1]).suffix.lower() in SUFFIXES


def find_layout(images: list[Parts]) -> Layout:
    """Return the layout of a set by the names of its folders."""
    root = find_split_root(images)
    splits = read_split_names(images, () if root is None else root)
    if root is None or set(splits.values()) == {"train"}:
        return lay_out_without_split(list(splits) or images)

    splits, notes = assign_validation_images(splits)
    return Layout(splits, len(root) + 1, notes)


def find_split_root(images: Iterable[Parts]) -> Parts | None:
    """Return the folder that holds the train folder, the one nearest to the top, or None."""
    roots: list[Parts] = []
    for parts in images:
        roots += list_split_roots(parts)
    return min(roots, key=len, default=None)


def list_split_roots(parts: Parts) -> list[Parts]:
    """Return the folders above an image in which its next folder is called train."""
    return [
        parts[:depth]
        for depth, folder in enumerate(parts)
        if SPLIT_NAMES.get(folder.lower()) == "train"
    ]


def read_split_names(images: Iterable[Parts], root: Parts) -> dict[Parts, str]:
    """Return the split (train, test or val) of the images in a split's folder below `root`."""
    depth = len(root)
    splits = {}
    for parts in images:
        if len(parts) > depth and parts[:depth] == root:
            split = SPLIT_NAMES.get(parts[depth].lower())
            if split is not None:
                splits[parts] = split
    return splits


def lay_out_without_split(images: list[Parts]) -> Layout:
    """Return the layout of a set whose class folders lie in the deepest folder of all images."""
    folders = [Path(*parts).parent for parts in images]
    common_folder = Path(os.path.commonpath(folders))
    return Layout(dict.fromkeys(images, ""), len(common_folder.parts), [])


def assign_validation_images(splits: Mapping[Parts, str]) -> tuple[dict[Parts, str], list[str]]:
    """Return the splits with validation images in train, or in test if there is none; a note."""
    names = list(splits.values())
    n_validation = names.count("val")
    if not n_validation:
        return dict(splits), []

    target = "train" if "test" in names else "test"
    assigned = {parts: target if split == "val" else split for parts, split in splits.items()}
    return assigned, [f"the {n_validation} images for validation are in {target}"]


def describe_unused_files(tree: FileTree, layout: Layout) -> list[str]:
    """Return a note on the files of the set that are not used, if there are any."""
    unused = sorted(tree.keys() - layout.splits.keys())
    if not unused:
        return []
    return [f"{len(unused)} other files left out, such as {'/'.join(unused[0])!a}"]


def check_depth(source: Path, layout: Layout) -> None:
    """Raise InputError if an image lies in no folder of a class."""
    for parts in layout.splits:
        if len(parts) < layout.class_depth + 2:
            name = "/".join(parts)
            raise InputError(
                f"{source}: {name!a} is not {EXPECTED_LAYOUT}; move, rename or remove it"
            )


def check_split_folders(source: Path, classes: list[str]) -> None:
    """Raise InputError if the classes are folders of splits by other names, such as seg_train."""
    words: set[str] = set()
    for name in classes:
        words.update(split_words(name))
    splits = {SPLIT_NAMES[word] for word in words & SPLIT_NAMES.keys()}
    if len(splits) > 1:
        listed = ", ".join(classes[:MAX_LISTED_CLASSES])
        raise InputError(f"{source}: classes {listed}, expected folders named train and test")


def split_words(name: str) -> list[str]:
    return re.split(r"[\W_]", name.lower())


def check_classes(
    source: Path, class_names: Mapping[Parts, str], splits: Mapping[Parts, str]
) -> None:
    """Raise InputError unless there are two or more classes, the same in train and test."""
    classes = set(class_names.values())
    shared_classes = set(classes)
    for split in set(splits.values()):
        shared_classes &= list_split_classes(class_names, splits, split)

    if len(classes) < 2 or shared_classes != classes:
        lacking = sorted(classes - shared_classes)[:MAX_LISTED_CLASSES]
        raise InputError(
            f"{source}: {len(classes)} classes, expected two or more, the same in train and test; "
            f"in one of them only: {', '.join(lacking) or 'none'}"
        )


def list_split_classes(
    class_names: Mapping[Parts, str], splits: Mapping[Parts, str], split: str
) -> set[str]:
    return {class_names[parts] for parts, name in splits.items() if name == split}

"""Tell by the names of folders which split an image belongs to.

The other folders of an image are counted by levels, from 1: those below its split folder, or below
the source where there is no split. In a set of CLASS/{train,test}/IMAGE, those below the source
without the split folder.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from mri_stages.errors import InputError
from mri_stages.ingest.file_tree import (
    MAX_LISTED_NAMES,
    Parts,
    count_shared_folders,
    list_names,
    suggest_exclusion,
)

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
# Words of the name of a folder that may hold test images.
TEST_WORDS = {"dev", "eval", "evaluation", "holdout", *(SPLIT_NAMES.keys() - {"train", "training"})}
# Of a folder in a test folder whose images have no classes.
NAMES_WITHOUT_CLASS = {"image", "images", "img", "imgs", "unknown", "unlabeled", "unlabelled"}


class Place(NamedTuple):
    """Where an image lies."""

    split: str  # train, test or val; empty in a set without a split
    folders: Parts  # those that levels count


class Origin(StrEnum):
    """Where the levels of the folders begin, as messages say it."""

    SOURCE = "below SOURCE"
    SPLIT = "below the split folder"
    SOURCE_WITHOUT_SPLIT = "below SOURCE, without the split folder"


def place_images(
    images: Sequence[Parts], has_class_level: bool, source: Path
) -> tuple[Origin, dict[Parts, Place]]:
    """Return the place of each image that lies in the folder of a split, or else of all."""
    roots = find_split_roots(images)
    if not roots or (has_class_level and is_train_a_class(images, roots)):
        if not has_class_level:
            check_lone_splits(images, source)
        return Origin.SOURCE, {parts: Place("", parts[:-1]) for parts in images}

    depth = len(roots[0])
    if len(roots) > 1 and not has_class_level:
        check_split_roots(images, roots, source)
    origin = Origin.SPLIT if len(roots) == 1 else Origin.SOURCE_WITHOUT_SPLIT

    places = {}
    for parts in images:
        split = read_split(parts, depth)
        if split and parts[:depth] in roots:
            folders_above = () if origin == Origin.SPLIT else parts[:depth]
            places[parts] = Place(split, folders_above + parts[depth + 1 : -1])
    return origin, places


def is_train_a_class(images: Iterable[Parts], roots: Sequence[Parts]) -> bool:
    """Return whether a train folder that holds images only lies beside folders of other names.

    In a set of vehicles, it is a class.
    """
    if len(roots) > 1:
        return False
    depth = len(roots[0])
    has_other_folders = False
    for parts in images:
        if parts[:depth] != roots[0] or len(parts) < depth + 2:
            continue
        split = read_split(parts, depth)
        if split and len(parts) > depth + 2:
            return False
        has_other_folders |= not split
    return has_other_folders


def find_split_roots(images: Iterable[Parts]) -> list[Parts]:
    """Return the folders that hold a train folder, those nearest to the top; perhaps none."""
    roots: set[Parts] = set()
    for parts in images:
        for depth in range(len(parts) - 1):
            if read_split(parts, depth) == "train":
                roots.add(parts[:depth])
    smallest_depth = min(map(len, roots), default=0)
    return sorted(root for root in roots if len(root) == smallest_depth)


def read_split(parts: Parts, depth: int) -> str:
    """Return the split (train, test, val) that the folder at `depth` is named after, or ""."""
    if depth >= len(parts) - 1:
        return ""
    return SPLIT_NAMES.get(parts[depth].lower(), "")


def check_lone_splits(images: Iterable[Parts], source: Path) -> None:
    """Raise InputError if a folder beside others is called test or val, but none is train."""
    depth = count_shared_folders([parts[:-1] for parts in images])
    names = sorted({parts[depth] for parts in images if read_split(parts, depth)})
    if names:
        raise InputError(
            f"{source}: a folder {names[0]!a} but none named train, expected {EXPECTED_LAYOUT}; "
            f"rename the folder of the training images to train, or give --class-level {depth + 1} "
            f"if {names[0]} is a class"
        )


def check_split_roots(images: Iterable[Parts], roots: Collection[Parts], source: Path) -> None:
    """Raise InputError if train folders lie in several sets, and not in the folders of classes.

    They lie in the folders of classes if they hold images only.
    """
    depth = len(next(iter(roots)))
    has_folders = any(
        len(parts) > depth + 2
        for parts in images
        if read_split(parts, depth) and parts[:depth] in roots
    )
    if has_folders:
        names = list_names("/".join(root) for root in roots)
        exclusions = [suggest_exclusion(root) for root in sorted(roots)[1:]]
        raise InputError(
            f"{source}: {len(roots)} folders hold a train folder ({names}), expected one; choose "
            f"one set, such as by --exclude {' '.join(exclusions[:MAX_LISTED_NAMES])}, or give "
            "--class-level and --subject-level, which count the folders without that of the split"
        )


def check_train_folder(
    images: Sequence[Parts], places: Mapping[Parts, Place], source: Path
) -> None:
    """Raise InputError if the train folder holds images only: a set for another task, perhaps."""
    train_images = [parts for parts, place in places.items() if place.split == "train"]
    if any(places[parts].folders for parts in train_images):
        return
    folder = train_images[0][:-1]
    root = folder[:-1]
    advice = "name the classes by --table FILE.csv"
    if is_train_a_class(images, [root]):
        advice += f", or give --class-level {len(root) + 1} if {folder[-1]} is a class"
    if root and len(places) < len(images):
        advice += f", or leave this set out by --exclude {suggest_exclusion(root)}"
    raise InputError(
        f"{source}: the {len(train_images)} images of {'/'.join(folder)!a} lie in no folder of a "
        f"class, expected {EXPECTED_LAYOUT}; {advice}"
    )


def check_outside_folders(
    images: Iterable[Parts], places: Mapping[Parts, Place], source: Path
) -> None:
    """Raise InputError if a folder beside a lone train folder is named as if it held the test set.

    Such as `Test Set` or test1. It would be left out, and test images be drawn from train.
    """
    if any(place.split != "train" for place in places.values()):
        return
    root = find_split_roots(places)[0]
    depth = len(root)
    folders = {parts[: depth + 1] for parts in images if len(parts) > depth + 1}
    for folder in sorted(folders):
        is_outside = folder[:depth] == root and not read_split((*folder, ""), depth)
        if is_outside and TEST_WORDS.intersection(split_words(folder[-1])):
            raise InputError(
                f"{source}: a folder {folder[-1]!a} beside train, expected test if it holds the "
                "test images; rename it (in a zip, after unpacking), or leave it out by --exclude "
                f"{suggest_exclusion(folder)}"
            )


def split_words(name: str) -> list[str]:
    """Return the words of a name without capitals; a number is a word of its own."""
    return re.findall(r"[^\W\d_]+|\d+", name.lower())


def describe_outside_images(images: Iterable[Parts], places: Collection[Parts]) -> list[str]:
    """Return a note on the images that lie outside the folders of splits, if there are any."""
    outside_images = sorted(set(images) - set(places))
    if not outside_images:
        return []
    name = "/".join(outside_images[0])
    return [f"{len(outside_images)} images beside the split folders left out, such as {name!a}"]


def leave_out_unlabelled_splits(
    places: dict[Parts, Place], class_level: int
) -> tuple[dict[Parts, Place], list[str]]:
    """Return the places without those of a test or validation folder that has no classes; notes.

    All images of such a folder lie in one folder, above the level of classes or of a name that is
    no class, such as test/images.
    """
    notes = []
    for split in ("test", "val"):
        folders = {place.folders for place in places.values() if place.split == split}
        if len(folders) == 1 and is_unlabelled(min(folders), class_level):
            n_images = len(places)
            places = {parts: place for parts, place in places.items() if place.split != split}
            notes.append(f"{n_images - len(places)} images of {split} have no class: left out")
    return places, notes


def is_unlabelled(folders: Parts, class_level: int) -> bool:
    """Return whether no class is named by the folders of an image below its split folder."""
    if len(folders) < class_level:
        return True
    return folders[-1].lower() in SPLIT_NAMES.keys() | NAMES_WITHOUT_CLASS


def assign_splits(places: Mapping[Parts, Place]) -> tuple[dict[Parts, Place], list[str]]:
    """Return the places with validation images in train, or in test if there is none; notes.

    A set of train images only has no split.
    """
    names = [place.split for place in places.values()]
    if set(names) == {"train"}:
        return {parts: place._replace(split="") for parts, place in places.items()}, []
    n_validation = names.count("val")
    if not n_validation:
        return dict(places), []

    target = "train" if "test" in names else "test"
    assigned = {}
    for parts, place in places.items():
        assigned[parts] = place._replace(split=target) if place.split == "val" else place
    return assigned, [f"the {n_validation} images for validation are in {target}"]

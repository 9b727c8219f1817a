"""Tell by its folders how a set of images is laid out: the split and the class of each image.

split_folders.py says which folders are counted. layout_checks.py refuses what could mean two
things.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.file_tree import (
    MAX_LISTED_NAMES,
    Parts,
    count_shared_folders,
    list_names,
    normalise_text,
    suggest_exclusion,
)
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.split_folders import (
    EXPECTED_LAYOUT,
    Origin,
    Place,
    assign_splits,
    check_outside_folders,
    check_train_folder,
    describe_outside_images,
    leave_out_unlabelled_splits,
    place_images,
)
from mri_stages.storage.file_counts import Reason


class Layout(NamedTuple):
    """The images of a set that are used, and how their folders are read."""

    places: dict[Parts, Place]
    origin: Origin
    class_level: int
    class_names: dict[Parts, str]
    left_out: dict[Parts, Reason]  # the other images of the set
    notes: list[str]


def find_layout(images: Sequence[Parts], options: ImportOptions, source: Path) -> Layout:
    """Return the layout of a set by the names of its folders, and by `options.class_level`.

    Images outside the folders of splits are left out, and so is a split without classes, with a
    note. InputError, which names `source`, if several sets lie beside each other, or if an image
    lies in no folder of a class.
    """
    has_class_level = options.class_level is not None
    origin, places = place_images(images, has_class_level, source)
    outside_notes = describe_outside_images(images, places)
    if origin == Origin.SPLIT:
        check_train_folder(images, places, source)
        check_outside_folders(images, places, source)
    class_level = options.class_level or find_class_level(places.values())

    left_out = dict.fromkeys(set(images) - places.keys(), Reason.OUTSIDE_SPLITS)
    labelled_places, unlabelled_notes = leave_out_unlabelled_splits(places, class_level)
    left_out |= dict.fromkeys(places.keys() - labelled_places.keys(), Reason.NO_CLASS)
    places = labelled_places
    check_depth(places, class_level, has_class_level, source)
    class_names, spelling_notes = name_classes(places, class_level, source)
    places, split_notes = assign_splits(places)
    notes = [*spelling_notes, *split_notes, *unlabelled_notes, *outside_notes]
    return Layout(places, origin, class_level, class_names, left_out, notes)


def find_class_level(places: Iterable[Place]) -> int:
    """Return the level of the first folders that differ between the training images.

    It is that of the last folder if all lie in the same.
    """
    folders = [place.folders for place in places if place.split in ("train", "")]
    n_shared_folders = count_shared_folders(folders)
    if len(set(folders)) == 1:
        return max(n_shared_folders, 1)
    return n_shared_folders + 1


def make_key(name: str) -> str:
    """Return a name without capitals, and with a space for spaces, underscores and hyphens.

    Only those between letters or digits, so that A+ and A- stay apart.
    """
    return re.sub(r"(?<=[^\W_])[ _-]+(?=[^\W_])", " ", normalise_text(name)).casefold()


def check_depth(
    places: Mapping[Parts, Place], class_level: int, has_class_level: bool, source: Path
) -> None:
    """Raise InputError if images lie in no folder of a class."""
    stray_images = [parts for parts, place in places.items() if len(place.folders) < class_level]
    if not stray_images:
        return
    expected = EXPECTED_LAYOUT
    if has_class_level:
        expected = f"{class_level} folders or more for --class-level {class_level}"
    patterns = suggest_stray_exclusions(places, stray_images)
    advice = "move them"
    if len(stray_images) == len(places):
        advice = "give a smaller one" if has_class_level else "move them into folders"
    elif len(patterns) <= MAX_LISTED_NAMES:
        advice = f"leave them out by --exclude {' '.join(patterns)}"
    raise InputError(
        f"{source}: {len(stray_images)} of {len(places)} images lie in no folder of a class, such "
        f"as {'/'.join(stray_images[0])!a}, expected {expected}; {advice}, or name the classes by "
        "--table FILE.csv"
    )


def suggest_stray_exclusions(places: Iterable[Parts], stray_images: Collection[Parts]) -> list[str]:
    """Return the patterns that exclude these images and no others: folders, or else files."""
    used_folders: set[Parts] = set()
    for parts in set(places) - set(stray_images):
        used_folders.update(parts[:depth] for depth in range(len(parts)))
    patterns = set()
    for parts in stray_images:
        is_file = parts[:-1] in used_folders
        patterns.add(suggest_exclusion(parts if is_file else parts[:-1], is_file=is_file))
    return sorted(patterns)


def name_classes(
    places: Mapping[Parts, Place], class_level: int, source: Path
) -> tuple[dict[Parts, str], list[str]]:
    """Return the class of each image, and notes on classes that splits spell differently.

    Such a class has the name of the train folder. InputError if one split has two spellings.
    """
    spellings: dict[str, dict[str, set[str]]] = {}  # by key and split
    for place in places.values():
        name = normalise_text(place.folders[class_level - 1])
        by_split = spellings.setdefault(make_key(name), {})
        by_split.setdefault(place.split, set()).add(name)

    names = {}
    notes = []
    for key, by_split in sorted(spellings.items()):
        for split, split_names in by_split.items():
            check_one_spelling(split, split_names, source)
        # The name is that of train, or of the set without a split, where there is one.
        split = "train" if "train" in by_split else min(by_split)
        names[key] = min(by_split[split])
        other_names = set().union(*by_split.values()) - {names[key]}
        if other_names:
            notes.append(f"{list_names(other_names)} and {names[key]} are taken as one class")

    class_names = {
        parts: names[make_key(place.folders[class_level - 1])] for parts, place in places.items()
    }
    return class_names, notes


def check_one_spelling(split: str, names: Collection[str], source: Path) -> None:
    """Raise InputError if a split has two folders that differ in capitals, spaces and the like."""
    if len(names) > 1:
        where = f"in {split}" if split else "in the set"
        raise InputError(
            f"{source}: folders {list_names(map(ascii, names))} {where} differ in capitals, spaces,"
            " underscores or hyphens only; rename one, so that they are one class or clearly two"
        )


def name_subjects(layout: Layout, level: int, source: Path) -> dict[Parts, str]:
    """Return the folder of this level of each image: the id of its subject.

    InputError names an image that has no such folder.
    """
    if level == layout.class_level:
        raise ArgumentError(
            f"--subject-level {level}: is the level of the class too; see --class-level"
        )
    subjects = {}
    for parts, place in layout.places.items():
        if len(place.folders) < level:
            raise InputError(
                f"{source}: {'/'.join(parts)!a} lies in {len(place.folders)} folders, expected "
                f"{level} or more for --subject-level {level}"
            )
        subjects[parts] = normalise_text(place.folders[level - 1])
    return subjects

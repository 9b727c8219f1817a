"""Tell from the folders of a set which split and which class each image belongs to.

The folders of an image are counted by levels, from 1: those below its split folder, or below the
source where there is no split. A set of CLASS/{train,test}/IMAGE counts those below the source
without the split folder. layout_checks.py refuses what could mean two things.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.file_tree import Parts, normalise_text, suggest_exclusion
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
# Of a folder in a test folder whose images have no classes.
NAMES_WITHOUT_CLASS = {"image", "images", "img", "imgs", "unknown", "unlabeled", "unlabelled"}
MAX_LISTED_FOLDERS = 5  # in a message


class Place(NamedTuple):
    """Where an image lies."""

    split: str  # train, test or val; empty in a set without a split
    folders: Parts  # those that levels count


class Origin(StrEnum):
    """Where the levels of the folders begin, as messages say it."""

    SOURCE = "below SOURCE"
    SPLIT = "below the split folder"
    SOURCE_WITHOUT_SPLIT = "below SOURCE, without the split folder"


class Layout(NamedTuple):
    """The images of a set that are used, and how their folders are read."""

    places: dict[Parts, Place]
    origin: Origin
    class_level: int
    class_names: dict[Parts, str]
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
    class_level = options.class_level or find_class_level(places.values())

    places, unlabelled_notes = leave_out_unlabelled_splits(places, class_level)
    check_depth(places, class_level, has_class_level, source)
    class_names, spelling_notes = name_classes(places, class_level, source)
    places, split_notes = assign_splits(places)
    notes = [*spelling_notes, *split_notes, *unlabelled_notes, *outside_notes]
    return Layout(places, origin, class_level, class_names, notes)


def place_images(
    images: Sequence[Parts], has_class_level: bool, source: Path
) -> tuple[Origin, dict[Parts, Place]]:
    """Return the place of each image that lies in the folder of a split, or else of all."""
    roots = find_split_roots(images)
    if not roots:
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


def describe_outside_images(images: Iterable[Parts], places: Collection[Parts]) -> list[str]:
    """Return a note on the images that lie outside the folders of splits, if there are any."""
    outside_images = sorted(set(images) - set(places))
    if not outside_images:
        return []
    name = "/".join(outside_images[0])
    return [f"{len(outside_images)} images beside the split folders left out, such as {name!a}"]


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
            f"one set, such as by --exclude {' '.join(exclusions[:MAX_LISTED_FOLDERS])}, or give "
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
    if root and len(places) < len(images):
        advice += f", or leave this set out by --exclude {suggest_exclusion(root)}"
    raise InputError(
        f"{source}: the {len(train_images)} images of {'/'.join(folder)!a} lie in no folder of a "
        f"class, expected {EXPECTED_LAYOUT}; {advice}"
    )


def find_class_level(places: Iterable[Place]) -> int:
    """Return the level of the first folders that differ between the training images.

    It is that of the last folder if all lie in the same.
    """
    folders = [place.folders for place in places if place.split in ("train", "")]
    n_shared_folders = count_shared_folders(folders)
    if len(set(folders)) == 1:
        return max(n_shared_folders, 1)
    return n_shared_folders + 1


def count_shared_folders(paths: Iterable[Parts]) -> int:
    """Return how many folders from the top all paths have in common."""
    levels = zip(*paths, strict=False)
    return sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))


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
    if len(patterns) <= MAX_LISTED_FOLDERS:
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


def list_level(layout: Layout, level: int) -> list[str]:
    """Return the names of the folders of a level, sorted."""
    names = set()
    for place in layout.places.values():
        if len(place.folders) >= level:
            names.add(normalise_text(place.folders[level - 1]))
    return sorted(names)


def describe_level(layout: Layout, level: int) -> str:
    """Return a level with the number of its folders and the first names."""
    names = list_level(layout, level)
    noun = "folder" if len(names) == 1 else "folders"
    return f"level {level}: {len(names)} {noun} {list_names(names)}"


def list_names(names: Iterable[str]) -> str:
    """Return the first names, with `...` if there are more."""
    ordered = [show_name(name) for name in sorted(names)]
    ellipsis = ", ..." if len(ordered) > MAX_LISTED_FOLDERS else ""
    return ", ".join(ordered[:MAX_LISTED_FOLDERS]) + ellipsis


def show_name(name: str) -> str:
    """Return a name as it is, or escaped where a terminal cannot show it on one line."""
    return name if name.isprintable() else ascii(name)


def describe_layout(layout: Layout, subjects: Mapping[Parts, str], subject_level: int) -> list[str]:
    """Return notes on what is taken as split, class and subject, and on the levels not used.

    `subjects` is empty, and `subject_level` 0, where the folders give no subjects.
    """
    split_counts = Counter(place.split or "none" for place in layout.places.values())
    class_counts = Counter(layout.class_names.values())
    notes = [
        f"split: {list_counts(split_counts)}",
        f"class: the folders of level {layout.class_level} {layout.origin} "
        f"({list_counts(class_counts)})",
    ]
    if subjects:
        notes += describe_subjects(layout, subjects, subject_level)

    depth = max(len(place.folders) for place in layout.places.values())
    for level in range(1, depth + 1):
        is_used = level in (layout.class_level, subject_level)
        if not is_used and divides_classes(layout, level):
            notes.append(
                f"not used: {describe_level(layout, level)}; --subject-level {level} takes them as "
                f"subjects, --class-level {level} as classes"
            )
    return notes


def describe_subjects(
    layout: Layout, subjects: Mapping[Parts, str], subject_level: int
) -> list[str]:
    """Return notes on the subjects, and on those of several classes.

    Where the numbers of subjects begin anew in each class, different subjects have the same id.
    """
    notes = [f"subject: the folders of {describe_level(layout, subject_level)} ({layout.origin})"]
    classes_by_subject: dict[str, set[str]] = {}
    for parts, subject in subjects.items():
        classes_by_subject.setdefault(subject, set()).add(layout.class_names[parts])
    shared_subjects = [name for name, classes in classes_by_subject.items() if len(classes) > 1]
    if shared_subjects and subject_level > layout.class_level:
        notes.append(
            f"{len(shared_subjects)} subjects have images of two or more classes "
            f"({list_names(shared_subjects)}): the same folder name is the same subject"
        )
    return notes


def divides_classes(layout: Layout, level: int) -> bool:
    """Return whether a class has images in two or more folders of a level within a split."""
    names: dict[tuple[str, str], set[str]] = {}
    for parts, place in layout.places.items():
        if len(place.folders) >= level:
            owner = (place.split, layout.class_names[parts])
            names.setdefault(owner, set()).add(place.folders[level - 1])
    return any(len(folders) > 1 for folders in names.values())


def list_counts(counts: Mapping[str, int]) -> str:
    """Return the first names in order, with their counts."""
    return list_names(f"{name} {count}" for name, count in counts.items())

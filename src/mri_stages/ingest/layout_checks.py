"""Refuse a set whose folders could mean two things, and name the options that say which.

With --class-level the user has said it: what would be refused becomes a note.
"""

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from mri_stages.errors import InputError
from mri_stages.ingest.file_tree import (
    MAX_LISTED_NAMES,
    Parts,
    list_names,
    quote_text,
    suggest_exclusion,
)
from mri_stages.ingest.layout import Layout, make_key
from mri_stages.ingest.layout_notes import describe_level, list_level
from mri_stages.ingest.split_folders import SPLIT_NAMES, Origin, read_split

# The last word of a folder of masks, such as masks, lung_masks or Ground Truth.
MASK_WORDS = {
    "annotation",
    "annotations",
    "contours",
    "groundtruth",
    "gt",
    "label",
    "labels",
    "mask",
    "masks",
    "segmentation",
    "segmentations",
    "truth",
}
# The whole name of a folder beside others. Sets of faces have classes such as 'mask' and 'no mask'.
MASK_FOLDERS = MASK_WORDS - {"label", "mask", "truth"} | {"ground truth"}
# The end of the name of a mask beside its image: 'benign (4)_mask_1' of 'benign (4)'.
MASK_MARK = (
    r"[ ._-]?(?:masks?|seg|segmentations?|gt|ground[ _-]?truth|labels?|annotations?)(?:[ _-]?\d+)?"
)


def check_layout(layout: Layout, has_class_level: bool, source: Path) -> list[str]:
    """Return notes on images that look like masks; InputError if the layout is ambiguous."""
    check_split_folders(layout, source)
    mask_folders = find_mask_folders(layout)
    mask_marks = find_mask_marks(layout)
    if has_class_level:
        return describe_masks(mask_folders, mask_marks)

    check_mask_classes(layout, source)
    check_masks(mask_folders, mask_marks, layout, source)
    check_shared_folders(layout, source)
    check_nested_copies(layout, source)
    return []


def check_split_folders(layout: Layout, source: Path) -> None:
    """Raise InputError if the classes are folders of splits by other names, such as seg_train."""
    classes = set(layout.class_names.values())
    words: set[str] = set()
    for name in classes:
        words.update(split_words(name))
    splits = {SPLIT_NAMES[word] for word in words & SPLIT_NAMES.keys()}
    if len(splits) > 1:
        raise InputError(
            f"{source}: classes {list_names(classes)}, expected folders named train and test; "
            "rename them (those of a zip after unpacking)"
        )


def split_words(name: str) -> list[str]:
    return re.split(r"[\W_]+", name.lower())


def find_mask_folders(layout: Layout) -> dict[str, int]:
    """Return the folders below the classes that are called masks or alike, with their images."""
    counts: dict[str, int] = {}
    for place in layout.places.values():
        for folder in place.folders[layout.class_level :]:
            if split_words(folder)[-1] in MASK_WORDS:
                counts[folder] = counts.get(folder, 0) + 1
    return counts


def find_mask_marks(layout: Layout) -> dict[str, int]:
    """Return the ends of names that mark the mask of another image in the same folder.

    With the number of such images; digits of an end are written as `?`.
    """
    stems = {(parts[:-1], remove_suffix(parts[-1])) for parts in layout.places}
    counts: dict[str, int] = {}
    for folder, stem in stems:
        match = re.fullmatch(rf"(.+?)({MASK_MARK})", stem, re.IGNORECASE)
        if match and (folder, match[1]) in stems:
            mark = re.sub(r"\d", "?", match[2])
            counts[mark] = counts.get(mark, 0) + 1
    return counts


def remove_suffix(name: str) -> str:
    """Return a file's name without its suffix, also without both of `.nii.gz`."""
    return Path(name).stem.removesuffix(".nii")


def describe_masks(mask_folders: dict[str, int], mask_marks: dict[str, int]) -> list[str]:
    """Return a note on images that look like masks, if there are any."""
    notes = []
    for folder, count in sorted(mask_folders.items()):
        notes.append(f"{count} images lie in folders {folder!a} and are taken as images")
    for mark, count in sorted(mask_marks.items()):
        notes.append(f"{count} names are that of another image and {mark!a}: taken as images")
    return notes


def check_mask_classes(layout: Layout, source: Path) -> None:
    """Raise InputError if a folder of a class is called masks or alike."""
    for parts, name in layout.class_names.items():
        if make_key(name) in MASK_FOLDERS:
            pattern = suggest_level_exclusion(layout, parts, layout.class_level)
            raise InputError(
                f"{source}: the folder {name!a} stands where classes are expected; --exclude "
                f"{pattern} leaves it out, --class-level {layout.class_level} takes it as a class"
            )


def check_masks(
    mask_folders: dict[str, int], mask_marks: dict[str, int], layout: Layout, source: Path
) -> None:
    """Raise InputError if images look like masks of others."""
    if mask_folders:
        patterns = [quote_text(f"*/{glob.escape(folder)}/*") for folder in sorted(mask_folders)]
        reason = f"lie in folders {list_names(map(ascii, mask_folders))}"
        n_images = sum(mask_folders.values())
    elif mask_marks:
        patterns = [quote_text(f"*{mark}.*") for mark in sorted(mask_marks)]
        reason = f"are named as another image and {list_names(map(ascii, mask_marks))}"
        n_images = sum(mask_marks.values())
    else:
        return
    raise InputError(
        f"{source}: {n_images} of {len(layout.places)} images {reason}, like masks; --exclude "
        f"{' '.join(patterns)} leaves them out, --class-level {layout.class_level} takes them as "
        "images"
    )


def check_shared_folders(layout: Layout, source: Path) -> None:
    """Raise InputError if the classes hold folders of the same names: which level is the class?

    The first level below the class is looked at that has two or more folders. Half of its names or
    more stand in two or more classes: patients need not have images of all classes.
    """
    level = find_differing_level(layout)
    if not level:
        return
    owners: dict[str, set[str]] = {}
    for parts, place in layout.places.items():
        owners.setdefault(place.folders[level - 1], set()).add(layout.class_names[parts])
    n_shared_names = sum(len(classes) > 1 for classes in owners.values())
    if 2 * n_shared_names < len(owners):
        return

    raise InputError(
        f"{source}: the folders of level {layout.class_level} hold the same folders, so either "
        f"level may be the class ({layout.origin}, {describe_level(layout, layout.class_level)}; "
        f"{describe_level(layout, level)}); {suggest_levels(layout, level)}"
    )


def suggest_levels(layout: Layout, level: int) -> str:
    """Return the options that say what the folders of the class level and of `level` are."""
    upper = layout.class_level
    lower_classes = list_names(list_level(layout, level))
    advice = (
        f"if {lower_classes} are the classes, give --class-level {level}, and --subject-level "
        f"{upper} if the upper folders are subjects; if not, give --class-level {upper}, or --table"
    )
    if len(list_level(layout, upper)) > MAX_LISTED_NAMES:
        return advice
    pattern = suggest_level_exclusion(layout, min(layout.places), upper)
    return (
        f"{advice}; if the upper folders are copies, leave one out, such as by --exclude {pattern}"
    )


def find_differing_level(layout: Layout) -> int:
    """Return the first level below the class that has two or more folders, and all images in them.

    Return 0 if there is none.
    """
    all_folders = [place.folders for place in layout.places.values()]
    smallest_depth = min(map(len, all_folders))
    for level in range(layout.class_level + 1, smallest_depth + 1):
        if len({folders[level - 1] for folders in all_folders}) > 1:
            return level
    return 0


def suggest_level_exclusion(layout: Layout, parts: Parts, level: int) -> str:
    """Return the quoted pattern that excludes the folder of this level above an image.

    Folders of this name in other folders are excluded too, such as those of train and of test.
    """
    folder = layout.places[parts].folders[level - 1]
    if find_folder(layout, parts, level) == (folder,):
        return suggest_exclusion((folder,))
    return quote_text(f"*/{glob.escape(folder)}/*")


def find_folder(layout: Layout, parts: Parts, level: int) -> Parts:
    """Return the path of the folder of this level above an image."""
    folders = layout.places[parts].folders
    if layout.origin == Origin.SOURCE_WITHOUT_SPLIT:
        return parts[: parts.index(folders[level - 1]) + 1]
    return parts[: len(parts) - 1 - len(folders) + level]


def check_nested_copies(layout: Layout, source: Path) -> None:
    """Raise InputError if a class holds a folder that is named like another class.

    Also if it holds one of its own name beside images: a folder unpacked into itself.
    """
    copies = find_nested_copies(layout)
    if not copies:
        return
    folders = find_exclusions(layout, copies)
    names = {parts[-1] for parts in copies.values()}
    patterns = [suggest_exclusion(folder) for folder in folders[:MAX_LISTED_NAMES]]
    holders = {layout.class_names[parts] for parts in copies}
    raise InputError(
        f"{source}: a class holds folders that are named like classes, perhaps a copy "
        f"({list_names(map(ascii, holders))} holds {list_names(map(ascii, names))}, {len(copies)} "
        f"of {len(layout.places)} images); --exclude {' '.join(patterns)} leaves them out, "
        f"--class-level {layout.class_level} takes them as images of the class above"
    )


def find_nested_copies(layout: Layout) -> dict[Parts, Parts]:
    """Return the images in a folder named like a class inside a class, and that folder."""
    keys = {make_key(name) for name in layout.class_names.values()}
    classes_with_images = set()
    for parts, place in layout.places.items():
        if len(place.folders) == layout.class_level:
            classes_with_images.add(layout.class_names[parts])

    copies: dict[Parts, Parts] = {}
    for parts, place in layout.places.items():
        class_name = layout.class_names[parts]
        ignored_keys = set() if class_name in classes_with_images else {make_key(class_name)}
        for level in range(layout.class_level + 1, len(place.folders) + 1):
            if make_key(place.folders[level - 1]) in keys - ignored_keys:
                copies.setdefault(parts, find_folder(layout, parts, level))
    return copies


def find_exclusions(layout: Layout, copies: dict[Parts, Parts]) -> list[Parts]:
    """Return the folders to exclude: those of the copies, or of a class that holds nothing else."""
    classes_to_keep = {
        find_folder(layout, parts, layout.class_level)
        for parts in layout.places
        if parts not in copies
    }
    folders: set[Parts] = set()
    for parts, copy in copies.items():
        class_folder = find_folder(layout, parts, layout.class_level)
        folders.add(copy if class_folder in classes_to_keep else class_folder)
    return sorted(folders)


def check_classes(layout: Layout, source: Path) -> None:
    """Raise InputError unless there are two or more classes, the same in train and test."""
    classes_by_split: dict[str, set[str]] = {}
    for parts, place in layout.places.items():
        classes_by_split.setdefault(place.split, set()).add(layout.class_names[parts])
    classes = set(layout.class_names.values())
    shared_classes = classes.intersection(*classes_by_split.values())
    if len(classes) >= 2 and shared_classes == classes:
        return

    problems = [
        f"{len(classes)} classes ({layout.origin}, {describe_level(layout, layout.class_level)}), "
        "expected two or more, the same in train and test",
        *describe_lacking(classes_by_split),
    ]
    if len(classes_by_split) > 1 and not shared_classes:
        problems.append(
            f"if the images of test have no classes, --exclude {suggest_test_exclusion(layout)} "
            "leaves them out"
        )
    raise InputError(f"{source}: {'; '.join(problems)}; see also --class-level and --table")


def suggest_test_exclusion(layout: Layout) -> str:
    """Return the quoted patterns that exclude the folders of the test images."""
    patterns = set()
    for parts, place in layout.places.items():
        if place.split == "test":
            depth = next(depth for depth in range(len(parts)) if read_split(parts, depth))
            patterns.add(suggest_exclusion(parts[: depth + 1]))
    return " ".join(sorted(patterns)[:MAX_LISTED_NAMES])


def describe_lacking(classes_by_split: dict[str, set[str]]) -> Iterable[str]:
    """Yield what a split has and the other lacks."""
    for split, classes in sorted(classes_by_split.items()):
        for other_classes in classes_by_split.values():
            if classes - other_classes:
                yield f"in {split} only: {list_names(classes - other_classes)}"

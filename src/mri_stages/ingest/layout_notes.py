"""Say in notes what is taken as split, class and subject of a set of images in folders."""

from collections import Counter
from collections.abc import Mapping

from mri_stages.ingest.file_tree import Parts, list_names, normalise_text
from mri_stages.ingest.layout import Layout


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


def list_counts(counts: Mapping[str, int]) -> str:
    """Return the first names in order, with their counts."""
    return list_names(f"{name} {count}" for name, count in counts.items())


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


def describe_level(layout: Layout, level: int) -> str:
    """Return a level with the number of its folders and the first names."""
    names = list_level(layout, level)
    noun = "folder" if len(names) == 1 else "folders"
    return f"level {level}: {len(names)} {noun} {list_names(names)}"


def list_level(layout: Layout, level: int) -> list[str]:
    """Return the names of the folders of a level, sorted."""
    names = set()
    for place in layout.places.values():
        if len(place.folders) >= level:
            names.add(normalise_text(place.folders[level - 1]))
    return sorted(names)

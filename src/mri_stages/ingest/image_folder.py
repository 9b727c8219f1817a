"""List the images of a set with a folder per class, in a folder or in a zip (not unpacked).

A set is laid out as {train,test}/CLASS/IMAGE or as CLASS/IMAGE, perhaps inside further folders.
split_folders.py and layout.py read the folders, layout_checks.py refuses what could mean two
things, layout_notes.py says what is taken.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from mri_stages.errors import InputError
from mri_stages.ingest.file_tree import FileTree, Parts, count_files, exclude_files, list_files
from mri_stages.ingest.formats import find_headers, list_data_files, open_pictures, select_images
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.layout import Layout, find_layout, name_subjects
from mri_stages.ingest.layout_checks import check_classes, check_layout
from mri_stages.ingest.layout_notes import describe_layout
from mri_stages.ingest.split_folders import EXPECTED_LAYOUT
from mri_stages.storage.file_counts import FileCounts, Reason

DEFAULT_OPTIONS = ImportOptions()
TABLE_SUFFIXES = (".csv", ".tsv")


def list_images(source: Path, options: ImportOptions = DEFAULT_OPTIONS) -> ImageSet:
    """Return the images of a folder or a zip, their classes, and notes.

    Raise InputError if it holds no images, if its folders could mean two things, or if there are
    not the same two or more classes in train and test.
    """
    all_files = list_files(source)
    tree, notes = exclude_files(all_files, options.exclude, source)
    images = select_images(tree)
    if not images:
        left = "".join(f"; {note}" for note in notes)
        n_files = count_files(len(all_files))
        example = "".join(f", such as {'/'.join(parts)!a}" for parts in sorted(tree)[:1])
        raise InputError(
            f"{source}: no image in {n_files}{example}, expected {EXPECTED_LAYOUT}{left}"
        )
    check_several_folders(images, tree, source)

    layout = find_layout(images, options, source)
    mask_notes = check_layout(layout, options.class_level is not None, source)
    check_classes(layout, source)
    subject_level = options.subject_level or 0
    subjects = name_subjects(layout, subject_level, source) if subject_level else {}
    files, classes = open_files(tree, layout, subjects, options)

    notes += describe_layout(layout, subjects, subject_level)
    notes += layout.notes + mask_notes
    notes += describe_other_files(tree, images)
    origin = f"--subject-level {subject_level}" if subject_level else "the files"
    left_out = dict.fromkeys(all_files.keys() - tree.keys(), Reason.EXCLUDED) | layout.left_out
    counts = count_left_out(all_files, layout.places, left_out)
    return ImageSet(files, classes, notes, subject_origin=origin, file_counts=counts)


def count_left_out(
    tree: FileTree,
    taken: Collection[Parts],
    left_out: Mapping[Parts, Reason],
    n_rows_without_file: int = 0,
) -> FileCounts:
    """Return the counts of all files of a source, from those that are images.

    taken: the files that are opened. left_out: why others are not; without a reason, a file is no
    image. The second file of a volume counts as its header does.
    """
    header_by_data_file = find_headers(tree)
    n_taken = 0
    counts = Counter[Reason]()
    for parts in tree:
        file = header_by_data_file.get(parts, parts)
        if file in taken:
            n_taken += 1
        else:
            counts[left_out.get(file, Reason.NO_IMAGE)] += 1
    return FileCounts(
        seen=len(tree),
        taken=n_taken,
        left_out={reason: counts[reason] for reason in Reason if counts[reason]},
        rows_without_file=n_rows_without_file,
    )


def check_several_folders(images: Collection[Parts], tree: Iterable[Parts], source: Path) -> None:
    """Raise InputError if all images lie in one folder: they have no classes."""
    folders = {parts[:-1] for parts in images}
    if len(folders) > 1:
        return
    folder = "/".join(min(folders)) or "."
    tables = sorted("/".join(parts) for parts in tree if parts[-1].lower().endswith(TABLE_SUFFIXES))
    example = f", such as {tables[0]!a} in it" if tables else ""
    raise InputError(
        f"{source}: all {len(images)} images lie in one folder {folder!a}, expected "
        f"{EXPECTED_LAYOUT}; a table can name the classes: --table FILE.csv{example}"
    )


def open_files(
    tree: FileTree, layout: Layout, subjects: Mapping[Parts, str], options: ImportOptions
) -> tuple[list[ImageFile], list[str]]:
    """Return the images, sorted by class and then by name, and the classes, sorted."""
    classes = sorted(set(layout.class_names.values()))
    labels = {name: label for label, name in enumerate(classes)}

    files = []
    for parts, place in layout.places.items():
        label = labels[layout.class_names[parts]]
        for opened in open_pictures(tree[parts], "/".join(parts), options):
            # A folder that the user names wins over an id in the file.
            has_folder = parts in subjects
            subject = subjects[parts] if has_folder else opened.subject
            is_private = opened.is_subject_private and not has_folder
            files.append(
                ImageFile(opened.picture, opened.name, place.split, label, subject, is_private)
            )
    files.sort(key=lambda file: file.label)
    return files, classes


def describe_other_files(tree: FileTree, images: Collection[Parts]) -> list[str]:
    """Return a note on the files that are no images, or hidden, if there are any."""
    other_files = sorted(tree.keys() - set(images) - list_data_files(tree))
    if not other_files:
        return []
    return [f"{len(other_files)} other files left out, such as {'/'.join(other_files[0])!a}"]

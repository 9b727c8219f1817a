"""List the images of a source by a table: a row says the class of an image, and perhaps more.

table_rows.py reads the rows, file_names.py finds the images that they name.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mri_stages.console import show_progress
from mri_stages.errors import InputError
from mri_stages.ingest.csv_table import read_table, show
from mri_stages.ingest.file_names import FileNames, Match, leads_outside, split_name
from mri_stages.ingest.file_tree import FileTree, Parts, count_files, exclude_files, list_files
from mri_stages.ingest.formats import open_pictures, select_images
from mri_stages.ingest.image_folder import count_left_out, describe_other_files
from mri_stages.ingest.image_set import FilePath, ImageFile, ImageSet
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.layout_notes import list_counts
from mri_stages.ingest.table_rows import (
    SUBJECT_COLUMN,
    ImageRow,
    assign_splits,
    check_class_names,
    choose_columns,
    collect_rows,
)
from mri_stages.storage.file_counts import Reason

MAX_LISTED_MATCHES = 3  # in an error message


class TablePlace(NamedTuple):
    """Where the table lies."""

    path: FilePath
    name: str  # in messages
    parts: Parts  # below the source; empty if it lies elsewhere


class TableImages(NamedTuple):
    """The images of a source that a table names, with their rows, and what is left out."""

    rows: dict[Parts, ImageRow]  # with a class
    left_out: dict[Parts, Reason]  # the other images
    n_rows_without_file: int
    notes: list[str]


class Matches(NamedTuple):
    """The rows of a table, by the images that they name."""

    rows: dict[Parts, ImageRow]
    rows_without_image: list[ImageRow]
    n_folders: int  # rows that name a folder


def list_table_images(source: Path, options: ImportOptions) -> ImageSet:
    """Return the images of a folder or a zip, with the classes that `options.table` says; notes.

    InputError, which names the table or the source, if rows and images do not fit together.
    """
    tree = list_files(source)
    place = find_table(source, tree, options)
    table = read_table(place.path, place.name, (options.file_column, options.class_column))
    columns = choose_columns(table, options)
    rows = collect_rows(table, columns)

    images = select_images(tree)
    if not images:
        raise InputError(
            f"{source}: no image in {count_files(len(tree))}, expected those of {place.name}"
        )
    kept_tree, exclusion_notes = exclude_files(tree, options.exclude, source)
    table_images = find_images(place, source, rows, images, kept_tree, options)
    image_rows = table_images.rows

    splits, split_notes = assign_splits(place.name, image_rows, columns, options)
    class_counts = Counter(row.class_name for row in image_rows.values())
    classes = sorted(class_counts)
    check_class_names(place.name, columns.class_name, image_rows, splits)
    files = open_images(tree, image_rows, splits, classes, options)

    notes = [
        f"class: column {show(columns.class_name)} of {place.name} ({list_counts(class_counts)})"
    ]
    notes += split_notes + columns.notes + exclusion_notes + table_images.notes
    kept_tree.pop(place.parts, None)
    notes += describe_other_files(kept_tree, images)

    excluded = dict.fromkeys(tree.keys() - kept_tree.keys(), Reason.EXCLUDED)
    tree.pop(place.parts, None)
    left_out = excluded | table_images.left_out
    counts = count_left_out(tree, image_rows, left_out, table_images.n_rows_without_file)
    return ImageSet(
        files,
        classes,
        notes,
        subject_origin=f"column {columns.subject}" if columns.subject else "the files",
        no_subjects_reason=f"{place.name} has no column {SUBJECT_COLUMN}, see --subject-column",
        file_counts=counts,
    )


def find_images(
    place: TablePlace,
    source: Path,
    rows: Sequence[ImageRow],
    images: Sequence[Parts],
    kept_tree: FileTree,
    options: ImportOptions,
) -> TableImages:
    """Return the rows by the image in `kept_tree` that they name, with a class."""
    kept_images = [parts for parts in images if parts in kept_tree]
    excluded_images = [parts for parts in images if parts not in kept_tree]
    folders = find_parts(source)
    matches = match_rows(place.name, rows, FileNames(kept_images, kept_tree, folders))
    excluded_names = FileNames(excluded_images, [], folders)
    matches = leave_out_excluded_rows(matches, excluded_names)
    complete_rows, notes = select_complete_rows(place, source, kept_images, matches, options)
    left_out = {}
    for image in kept_images:
        if image not in complete_rows:
            left_out[image] = Reason.NO_CLASS if image in matches.rows else Reason.NO_ROW
    return TableImages(complete_rows, left_out, len(matches.rows_without_image), notes)


def find_parts(source: Path) -> Parts:
    """Return the folders of a source, with which the names of a table may begin; none for a zip."""
    return source.resolve().parts if source.is_dir() else ()


def find_table(source: Path, tree: FileTree, options: ImportOptions) -> TablePlace:
    """Return where the table lies: here, or in the source. InputError if both have one."""
    path = options.table or Path()
    names = split_name(str(path))
    places = []
    if path.is_file():
        same_files = [parts for parts in tree if is_same_file(tree[parts], path)]
        places.append(TablePlace(path, str(path), same_files[0] if same_files else ()))

    inner_files = [parts for parts in tree if parts[-len(names) :] == names]
    for parts in [parts for parts in inner_files if parts == names] or inner_files:
        if not is_same_file(tree[parts], path):
            places.append(TablePlace(tree[parts], "/".join(parts), parts))

    if not places:
        raise InputError(f"--table {path}: no such file, neither here nor in {source}")
    if len(places) > 1:
        listed = ", ".join(str(place.path) for place in places[:MAX_LISTED_MATCHES])
        raise InputError(
            f"--table {path}: {len(places)} files have this name ({listed}), expected one; give "
            "the whole path"
        )
    return places[0]


def is_same_file(inner_path: FilePath, path: Path) -> bool:
    """Return whether a file of a source is the file at `path`, which may be missing."""
    if not isinstance(inner_path, Path) or inner_path.name != path.name or not path.is_file():
        return False
    return inner_path.samefile(path)


def match_rows(table: str, rows: Sequence[ImageRow], names: FileNames) -> Matches:
    """Return the rows by image; InputError, which names `table`, if one is not clear.

    A name is not clear if it leads outside, if it can mean several files, or if another row names
    the same image.
    """
    rows_by_image: dict[Parts, ImageRow] = {}
    rows_without_image = []
    n_folders = 0
    for row in rows:
        match = find_match(table, row, names)
        if match is None:
            rows_without_image.append(row)
            continue
        n_folders += match.images != [match.path]
        for image in match.images:
            other_row = rows_by_image.setdefault(image, row)
            if other_row is not row:
                raise explain_two_rows(table, image, other_row, row)
    return Matches(rows_by_image, rows_without_image, n_folders)


def leave_out_excluded_rows(matches: Matches, excluded_names: FileNames) -> Matches:
    """Return the matches without the rows that name an image which `--exclude` leaves out."""
    rows = [row for row in matches.rows_without_image if not excluded_names.list_matches(row.file)]
    return matches._replace(rows_without_image=rows)


def find_match(table: str, row: ImageRow, names: FileNames) -> Match | None:
    """Return what the name in a row means, or None; InputError if that is not clear."""
    if leads_outside(row.file):
        raise InputError(
            f"{table}: line {row.line}: {show(row.file)} leads outside of the images' folder, "
            "expected a path below it"
        )
    matches = names.list_matches(row.file)
    if len(matches) > 1:
        paths = ", ".join(show("/".join(match.path)) for match in matches[:MAX_LISTED_MATCHES])
        raise InputError(
            f"{table}: line {row.line}: {show(row.file)} can mean {len(matches)} files ({paths}), "
            "expected one; write the suffix or the folders too, or leave the others out of SOURCE"
        )
    return matches[0] if matches else None


def explain_two_rows(table: str, image: Parts, first: ImageRow, second: ImageRow) -> InputError:
    """Return the error for two rows of one image: of two classes, or a row written twice."""
    name = show("/".join(image))
    lines = f"lines {first.line} and {second.line}"
    if first.class_name != second.class_name:
        classes = f"{show(first.class_name)} and {show(second.class_name)}"
        return InputError(f"{table}: {name} has two classes, {classes} ({lines}), expected one")
    return InputError(f"{table}: {name} has two rows ({lines}), expected one")


def select_complete_rows(
    place: TablePlace,
    source: Path,
    images: Sequence[Parts],
    matches: Matches,
    options: ImportOptions,
) -> tuple[dict[Parts, ImageRow], list[str]]:
    """Return the rows with an image and a class, by image; and notes.

    InputError counts what is missing, unless `options.skip_missing`.
    """
    images_without_row = [image for image in images if image not in matches.rows]
    complete_rows = {image: row for image, row in matches.rows.items() if row.class_name}
    unclassified_rows = {row.line: row for row in matches.rows.values() if not row.class_name}

    gaps = describe_rows("without a file in SOURCE", matches.rows_without_image)
    if images_without_row:
        example = show("/".join(images_without_row[0]))
        gaps.append(f"{len(images_without_row)} images without a row, such as {example}")
    gaps += describe_rows("without a class", list(unclassified_rows.values()))
    if gaps and not options.skip_missing:
        raise InputError(
            f"{place.name}: {'; '.join(gaps)}, expected a row of one class for each image of "
            f"{source}; --skip-missing leaves them out"
        )
    if not complete_rows:
        reason = "--exclude leaves all of them out"
        raise InputError(
            f"{place.name}: no row has an image in {source}: {'; '.join(gaps) or reason}"
        )

    notes = [f"left out by --skip-missing: {gap}" for gap in gaps]
    if matches.n_folders:
        notes.append(f"{matches.n_folders} rows name a folder: all images in it get the row")
    return complete_rows, notes


def describe_rows(fault: str, rows: Sequence[ImageRow]) -> list[str]:
    """Return a phrase that counts the rows of a fault, or nothing if there are none."""
    if not rows:
        return []
    first = rows[0]
    return [f"{len(rows)} rows {fault}, such as {show(first.file)} (line {first.line})"]


def open_images(
    tree: FileTree,
    rows: Mapping[Parts, ImageRow],
    splits: Mapping[Parts, str],
    classes: Sequence[str],
    options: ImportOptions,
) -> list[ImageFile]:
    """Return the images of all files, sorted by class and then by file."""
    files = []
    with show_progress(len(rows), "open", "file") as advance:
        for parts, row in sorted(rows.items()):
            for picture in open_pictures(tree[parts], "/".join(parts), options):
                file = ImageFile(
                    picture.picture,
                    picture.name,
                    splits[parts],
                    classes.index(row.class_name),
                    subject=row.subject or picture.subject,
                    is_subject_private=picture.is_subject_private and not row.subject,
                    details=row.details,
                )
                files.append(file)
            advance(1)
    return sorted(files, key=lambda file: file.label)

"""Read the rows of a table of images: file, class, subject, split, and columns to keep.

A table of several labels per image is told here, and refused.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.csv_table import Table, check_columns, list_columns, show
from mri_stages.ingest.file_tree import Parts
from mri_stages.ingest.import_options import ImportOptions
from mri_stages.ingest.layout import make_key
from mri_stages.ingest.layout_notes import list_counts
from mri_stages.ingest.split_folders import SPLIT_NAMES
from mri_stages.storage.files import is_missing

SUBJECT_COLUMN = "subject"  # the names of columns that a table may lack
SPLIT_COLUMN = "split"
OWN_COLUMNS = ("row", "split", "class", "subject", "file", "name")  # of files.csv, subjects.csv

BOOLEAN_CELLS = {"0", "1", "0.0", "1.0"}
LABEL_CELLS = BOOLEAN_CELLS | {"", "-1", "-1.0"}  # -1: uncertain, empty: not mentioned
MAX_LISTED_VALUES = 5  # in a message


class ImageRow(NamedTuple):
    """A row of the table. A text is empty where the table has none."""

    line: int
    file: str
    class_name: str
    subject: str
    split: str
    details: Mapping[str, str]


class Columns(NamedTuple):
    """The columns that are read; "" for one that is not."""

    file: str
    class_name: str
    subject: str
    split: str
    details: tuple[str, ...]
    notes: list[str]


def choose_columns(table: Table, options: ImportOptions) -> Columns:
    """Return the columns to read, with notes on what they are; InputError if one is missing.

    The columns `subject` and `split` are taken where the table has them, unless another option
    says the subjects or the test images.
    """
    check_class_column(table, options.class_column)
    details = tuple(dict.fromkeys(options.keep))
    for column in details:
        if column in OWN_COLUMNS:
            raise ArgumentError(f"--keep {column}: files.csv has such a column of its own")
    check_columns(table, [options.file_column], "--file-column")
    check_columns(table, details)

    subject, subject_notes = choose_subject_column(table, options)
    split, split_notes = choose_split_column(table, options)
    check_columns(table, [column for column in (subject, split) if column])
    check_roles(options.file_column, options.class_column, subject, split)

    notes = subject_notes + split_notes + note_label_columns(table, options.class_column)
    return Columns(options.file_column, options.class_column, subject, split, details, notes)


def check_class_column(table: Table, column: str) -> None:
    """Raise InputError if the column is missing; it says so if there is a column per label."""
    label_columns = list_label_columns(table)
    if column not in table.columns and len(label_columns) > 1:
        raise InputError(
            f"{table.name}: no column {show(column)}; {len(label_columns)} columns of 0 and 1 "
            f"({list_columns(label_columns[:MAX_LISTED_VALUES])}, ...) are a column per label, "
            "expected one column with the class of each image"
        )
    check_columns(table, [column], "--class-column")


def list_label_columns(table: Table) -> list[str]:
    """Return the columns that hold 1 and nothing but 0, 1, -1 and empty cells."""
    columns = []
    for index, column in enumerate(table.columns):
        cells = {row.cells[index] for row in table.rows}
        if cells <= LABEL_CELLS and cells & {"1", "1.0"} and len(cells) > 1:
            columns.append(column)
    return columns


def note_label_columns(table: Table, class_column: str) -> list[str]:
    """Return a note if the class is one of several columns of 0 and 1."""
    label_columns = list_label_columns(table)
    if class_column not in label_columns or len(label_columns) == 1:
        return []
    other_columns = [column for column in label_columns if column != class_column]
    return [
        f"column {show(class_column)} holds 0 and 1, as {len(other_columns)} other columns do, "
        f"such as {show(other_columns[0])}: if these are further labels of the images, they "
        "are not learned"
    ]


def choose_subject_column(table: Table, options: ImportOptions) -> tuple[str, list[str]]:
    """Return the column of subjects or "", and notes."""
    has_other_ids = options.subject_pattern is not None or options.subjects is not None
    column = options.subject_column
    usual_column = find_usual_column(table, SUBJECT_COLUMN)
    if column is None and usual_column:
        if has_other_ids:
            note = f"column {show(usual_column)} is not used: another option gives the subjects"
            return "", [note]
        column = usual_column
    if column is None:
        return "", []
    return column, [f"subject: column {show(column)}"]


def find_usual_column(table: Table, name: str) -> str:
    """Return the column of this name, or else the only one that has it in capitals; "" if none."""
    columns = [column for column in table.columns if column.lower() == name]
    return name if name in columns or len(columns) > 1 else "".join(columns)


def choose_split_column(table: Table, options: ImportOptions) -> tuple[str, list[str]]:
    """Return the column of train and test or "", and notes."""
    column = options.split_column
    usual_column = find_usual_column(table, SPLIT_COLUMN)
    if column is None and usual_column:
        if options.test_share is not None:
            return "", [f"column {show(usual_column)} is not used: --test-share is given"]
        column = usual_column
    if column is not None:
        return column, []
    if options.test_values:
        raise ArgumentError(
            f"--test-values: {table.name} has no column {SPLIT_COLUMN}; name it by --split-column"
        )
    return "", []


def check_roles(file: str, class_name: str, subject: str, split: str) -> None:
    """Raise ArgumentError if one column is read as two things."""
    for first, second in (
        (file, class_name),
        (class_name, subject),
        (class_name, split),
        (file, split),
        (subject, split),
    ):
        if first and first == second:
            raise ArgumentError(
                f"column {show(first)} is asked twice, expected different columns for file, class, "
                "subject and split"
            )


def collect_rows(table: Table, columns: Columns) -> list[ImageRow]:
    """Return the rows of a table; a class may be empty, file, subject and split may not.

    InputError if there are several labels in a cell, or if such a cell is empty.
    """
    empty_cells = [""] * len(table.rows)
    files = table.list_cells(columns.file)
    classes = empty_missing_cells(table.list_cells(columns.class_name))
    subjects = empty_cells
    if columns.subject:
        subjects = empty_missing_cells(table.list_cells(columns.subject))
    splits = table.list_cells(columns.split) if columns.split else empty_cells
    details = [table.list_cells(column) for column in columns.details]
    check_not_empty(table, columns.file, files)
    if columns.subject:
        check_not_empty(table, columns.subject, subjects)
    if columns.split:
        check_not_empty(table, columns.split, splits)
    check_single_labels(table, columns.class_name, classes)

    rows = []
    for index, row in enumerate(table.rows):
        kept_cells = {
            column: cells[index] for column, cells in zip(columns.details, details, strict=True)
        }
        rows.append(
            ImageRow(
                row.line, files[index], classes[index], subjects[index], splits[index], kept_cells
            )
        )
    return rows


def empty_missing_cells(cells: Sequence[str]) -> list[str]:
    """Return the cells, with "" where a word such as n/a says that there is no value."""
    return ["" if is_missing(cell) else cell for cell in cells]


def check_not_empty(table: Table, column: str, cells: Sequence[str]) -> None:
    """Raise InputError, which counts them, if cells of a column hold no value."""
    n_empty = cells.count("")
    if n_empty:
        line = table.rows[cells.index("")].line
        raise InputError(
            f"{table.name}: {n_empty} cells without a value in column {show(column)}, such as in "
            f"line {line}, expected none; fill them, or remove these rows"
        )


def check_single_labels(table: Table, column: str, classes: Sequence[str]) -> None:
    """Raise InputError if cells hold several labels, such as a|b.

    A comma or semicolon separates labels only where all parts are classes by themselves.
    """
    names = set(classes)
    labels_of_lists = Counter(part for name in names for part in name.split("|"))
    for index, name in enumerate(classes):
        if "|" in name:
            has_shared_label = any(labels_of_lists[part] > 1 for part in name.split("|"))
        else:
            parts = [part.strip() for part in name.replace(";", ",").split(",")]
            has_shared_label = len(parts) > 1 and names.issuperset(parts)
        if has_shared_label:
            raise InputError(
                f"{table.name}: column {show(column)} holds several labels per image, such as "
                f"{show(name)} in line {table.rows[index].line}, expected one class"
            )


def assign_splits(
    table: str, rows: Mapping[Parts, ImageRow], columns: Columns, options: ImportOptions
) -> tuple[dict[Parts, str], list[str]]:
    """Return train or test for each image, or "" where the table says none; and notes.

    InputError, which names `table`, if values of its column mean neither.
    """
    if not columns.split:
        return dict.fromkeys(rows, ""), note_split_folders(rows)
    values = {image: row.split for image, row in rows.items()}
    if options.test_values:
        check_test_values(table, columns.split, set(values.values()), options.test_values)
        test_values = set(options.test_values)
        splits = {
            image: "test" if value in test_values else "train" for image, value in values.items()
        }
    else:
        check_split_values(table, columns.split, values.values())
        splits = {image: SPLIT_NAMES[value.lower()] for image, value in values.items()}

    notes = []
    n_validation = list(splits.values()).count("val")
    if n_validation:
        target = "train" if "test" in splits.values() else "test"
        splits = {image: target if split == "val" else split for image, split in splits.items()}
        notes.append(f"the {n_validation} images for validation are in {target}")
    if "train" not in splits.values():
        raise InputError(f"{table}: no row of column {show(columns.split)} is train")
    notes.insert(
        0, f"split: column {show(columns.split)} ({list_counts(Counter(splits.values()))})"
    )
    if "test" not in splits.values():
        return dict.fromkeys(rows, ""), notes
    return splits, notes


def note_split_folders(images: Mapping[Parts, ImageRow]) -> list[str]:
    """Return a note if images lie in folders named train and test, which a table overrules."""
    names = {folder for parts in images for folder in parts[:-1] if folder.lower() in SPLIT_NAMES}
    if len({SPLIT_NAMES[name.lower()] for name in names}) < 2:
        return []
    return [f"the folders {', '.join(sorted(names))} are not used: the table has no split column"]


def check_test_values(
    table: str, column: str, values: set[str], test_values: Sequence[str]
) -> None:
    """Raise ArgumentError that names a value which the column does not have."""
    for value in test_values:
        if value not in values:
            listed = ", ".join(show(name) for name in sorted(values)[:MAX_LISTED_VALUES])
            raise ArgumentError(
                f"--test-values {show(value)}: no row of {table} has it in column {show(column)}, "
                f"which holds {listed}"
            )


def check_split_values(table: str, column: str, values: Iterable[str]) -> None:
    """Raise InputError, which counts them, if values are not the names of splits."""
    counts = Counter(value for value in values if value.lower() not in SPLIT_NAMES)
    if counts:
        listed = ", ".join(
            f"{show(value)} ({count} rows)"
            for value, count in counts.most_common(MAX_LISTED_VALUES)
        )
        raise InputError(
            f"{table}: {len(counts)} values of column {show(column)} are not train, test or val: "
            f"{listed}; --test-values names those of the test set"
        )


def make_class_key(name: str) -> str | float:
    """Return what the spellings of a class share: its number, such as 1 and 1.0, or its key."""
    try:
        return float(name)
    except ValueError:
        return make_key(name)


def check_class_names(
    table: str, column: str, rows: Mapping[Parts, ImageRow], splits: Mapping[Parts, str]
) -> None:
    """Raise InputError unless there are two or more classes, the same in train and test."""
    names_by_split: dict[str, set[str]] = defaultdict(set)
    for image, row in rows.items():
        names_by_split[splits[image]].add(row.class_name)
    class_sets = list(names_by_split.values())
    classes = set[str]().union(*class_sets)

    spellings: dict[str | float, str] = {}
    for name in sorted(classes):
        if not name.isprintable():
            raise InputError(f"{table}: class {show(name)} has letters that cannot be printed")
        other_name = spellings.setdefault(make_class_key(name), name)
        if other_name != name:
            raise InputError(
                f"{table}: the classes {show(other_name)} and {show(name)} are two "
                "spellings of one name, expected one of them"
            )

    lacking = sorted(classes - classes.intersection(*class_sets))
    if len(classes) < 2 or lacking:
        listed = ", ".join(show(name) for name in lacking[:MAX_LISTED_VALUES])
        raise InputError(
            f"{table}: {len(classes)} classes in column {show(column)}, expected two or more, the "
            f"same in train and test; in one of them only: {listed or 'none'}"
        )

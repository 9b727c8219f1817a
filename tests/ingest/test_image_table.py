"""Images by a table: which image a row means, and what a row says of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.image_set import ImageFile, ImageSet
from mri_stages.ingest.image_table import list_table_images
from mri_stages.ingest.import_options import ImportOptions
from tests.helpers.medical_files import WINDOW, write_dicom

# Twelve images of six subjects; images are not opened while a set is listed.
NAMES = [f"img/x{number}.png" for number in range(12)]


def write_files(folder: Path, names: Sequence[str] = NAMES) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write_table(path: Path, columns: str, rows: Sequence[str], encoding: str = "utf-8") -> Path:
    path.write_text("\n".join([columns, *rows]) + "\n", encoding=encoding)
    return path


def make_rows(names: Sequence[str] = NAMES, separator: str = ",") -> list[str]:
    """Return rows of file, class, subject: two classes by turns, two images of each subject."""
    return [
        separator.join([name, "ab"[index % 2], f"s{index // 2}"])
        for index, name in enumerate(names)
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_files(tmp_path / "set")


def list_set(
    source: Path, rows: Sequence[str], columns: str = "file,class,subject", **options: Any
) -> ImageSet:
    """Return the set by a table beside the source."""
    table = write_table(source.parent / "table.csv", columns, rows)
    return list_table_images(source, ImportOptions(table=table, **options))


def refuse(
    source: Path, rows: Sequence[str], columns: str = "file,class,subject", **options: Any
) -> str:
    """Return the line with which the import ends."""
    with pytest.raises(InputError) as error:
        list_set(source, rows, columns, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def get_file(image_set: ImageSet, name: str) -> ImageFile:
    return next(file for file in image_set.files if file.name == name)


def list_names(image_set: ImageSet) -> list[str]:
    return [file.name for file in image_set.files]


def test_table_gives_each_image_its_class(source: Path) -> None:
    image_set = list_set(source, make_rows())
    classes = {file.name: image_set.classes[file.label] for file in image_set.files}
    assert classes == {name: "ab"[index % 2] for index, name in enumerate(NAMES)}


def test_table_gives_each_image_its_subject(source: Path) -> None:
    image_set = list_set(source, make_rows())
    subjects = {file.name: file.subject for file in image_set.files}
    assert subjects == {name: f"s{index // 2}" for index, name in enumerate(NAMES)}


def test_table_sorts_images_by_class_then_name(source: Path) -> None:
    names = list_names(list_set(source, list(reversed(make_rows()))))
    assert names == sorted(NAMES[::2]) + sorted(NAMES[1::2])


def test_table_without_subjects_gives_none(source: Path) -> None:
    rows = [row.rpartition(",")[0] for row in make_rows()]
    image_set = list_set(source, rows, "file,class")
    assert {file.subject for file in image_set.files} == {""}
    assert "no column subject" in image_set.no_subjects_reason


def test_table_keeps_columns(source: Path) -> None:
    rows = [f"{row},{index}, x" for index, row in enumerate(make_rows())]
    image_set = list_set(source, rows, "file,class,subject,age,sex", keep=("sex", "age"))
    assert get_file(image_set, "img/x7.png").details == {"sex": "x", "age": "7"}


def test_table_counts_the_classes(source: Path) -> None:
    assert "class: column class" in list_set(source, make_rows()).notes[0]
    assert "(a 6, b 6)" in list_set(source, make_rows()).notes[0]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_table_of_any_separator_is_read(source: Path, separator: str, encoding: str) -> None:
    columns = separator.join(["file", "class", "subject"])
    table = write_table(source.parent / "t.csv", columns, make_rows(separator=separator), encoding)
    image_set = list_table_images(source, ImportOptions(table=table))
    assert get_file(image_set, "img/x5.png").subject == "s2"


def test_table_separator_is_that_of_the_named_columns(source: Path) -> None:
    # The first line has more commas than semicolons.
    rows = [f"{row};x" for row in make_rows(separator=";")]
    image_set = list_set(source, rows, "file;class;subject;one, two, three, four, five")
    assert get_file(image_set, "img/x5.png").subject == "s2"


def test_table_of_semicolons_takes_decimal_commas(source: Path) -> None:
    rows = [f"{row};1,5" for row in make_rows(separator=";")]
    image_set = list_set(source, rows, "file;class;subject;size, weight", keep=("size, weight",))
    assert image_set.files[0].details == {"size, weight": "1,5"}


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name,
        lambda name: Path(name).name,
        lambda name: Path(name).stem,
        lambda name: str(Path(name).with_suffix("")),
        lambda name: f"./{name}",
        lambda name: name.replace("/", "\\"),
        lambda name: f"set/{name}",
        lambda name: f'"{name} "',
    ],
)
def test_table_names_are_taken_in_any_form(source: Path, change: Any) -> None:
    image_set = list_set(source, make_rows([change(name) for name in NAMES]))
    assert get_file(image_set, "img/x5.png").subject == "s2"


def test_table_name_with_dots_has_no_suffix(tmp_path: Path) -> None:
    source = write_files(tmp_path / "set", ["1.2.3.png", "1.2.4.png"])
    image_set = list_set(source, ["1.2.3,a,p", "1.2.4,b,q"])
    assert [file.subject for file in image_set.files] == ["p", "q"]


def test_table_name_is_not_cut_at_a_number(tmp_path: Path) -> None:
    source = write_files(tmp_path / "set", ["1.2.3.png", "1.2.4.png"])
    assert "1 rows without a file" in refuse(source, ["1.2,a,p", "1.2.4,b,q"])


def test_table_name_of_a_whole_path_means_that_file(tmp_path: Path) -> None:
    source = write_files(tmp_path / "set", ["x.png", "deep/x.png"])
    image_set = list_set(source, ["x.png,a,p", "deep/x.png,b,q"])
    assert get_file(image_set, "x.png").subject == "p"


@pytest.mark.parametrize("second", ["img/x0.jpg", "other/x0.png"])
def test_table_name_of_two_files_names_both(source: Path, second: str) -> None:
    write_files(source, [second])
    line = refuse(source, make_rows([Path(name).stem for name in NAMES]))
    assert "img/x0.png" in line
    assert second in line


def test_table_name_of_two_files_is_clear_by_exclusion(source: Path) -> None:
    write_files(source, [name.replace("img", "masks") for name in NAMES])
    rows = make_rows([Path(name).stem for name in NAMES])
    assert sorted(list_names(list_set(source, rows, exclude=("masks/*",)))) == sorted(NAMES)


def test_table_of_excluded_files_alone_says_so(source: Path) -> None:
    assert refuse(source, make_rows(), exclude=("*.png",)).endswith(
        "--exclude leaves all of them out"
    )


def test_table_rows_of_excluded_files_are_left_out(source: Path) -> None:
    image_set = list_set(source, make_rows(), exclude=("*/x11.png",))
    assert sorted(list_names(image_set)) == sorted(NAMES[:-1])


def test_table_row_of_a_folder_means_all_its_images(tmp_path: Path) -> None:
    names = [f"disc1/p{patient}/raw/{number}.png" for patient in "12" for number in range(3)]
    source = write_files(tmp_path / "set", names)
    image_set = list_set(source, ["p1,a,", "p2,b,"], "file,class,x")
    assert list_names(image_set) == names
    assert [file.label for file in image_set.files] == [0, 0, 0, 1, 1, 1]
    assert any("2 rows name a folder" in note for note in image_set.notes)


def test_table_row_of_a_volume_may_name_its_data(tmp_path: Path) -> None:
    source = write_files(tmp_path / "set", ["v.hdr", "v.img", "w.hdr", "w.img"])
    image_set = list_set(source, ["v.img,a,p", "w.hdr,b,q"], slices="0:1")
    assert [file.subject for file in image_set.files] == ["p", "q"]


def test_table_may_lie_in_the_source(source: Path) -> None:
    (source / "data").mkdir()
    write_table(source / "data/labels.csv", "file,class,subject", make_rows())
    image_set = list_table_images(source, ImportOptions(table=Path("labels.csv")))
    assert len(image_set.files) == len(NAMES)
    assert not any("other files" in note for note in image_set.notes)


def test_table_may_lie_in_a_zip(source: Path) -> None:
    table = write_table(source.parent / "labels.csv", "file,class,subject", make_rows())
    archive = source.parent / "set.zip"
    with ZipFile(archive, "w") as file:
        file.write(table, "top/labels.csv")
        for name in NAMES:
            file.write(source / name, f"top/{name}")
    image_set = list_table_images(archive, ImportOptions(table=Path("labels.csv")))
    assert get_file(image_set, "top/img/x5.png").subject == "s2"


def test_table_that_lies_here_and_in_the_source_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(source / "table.csv", "file,class,subject", make_rows())
    write_table(source.parent / "table.csv", "file,class,subject", make_rows())
    monkeypatch.chdir(source.parent)
    with pytest.raises(InputError, match="2 files have this name"):
        list_table_images(source, ImportOptions(table=Path("table.csv")))


def test_table_in_the_source_by_its_path_is_one_table(source: Path) -> None:
    table = write_table(source / "table.csv", "file,class,subject", make_rows())
    assert len(list_table_images(source, ImportOptions(table=table)).files) == len(NAMES)


def make_split_rows(values: Sequence[str]) -> list[str]:
    """Return rows with a split column, whose last rows have the last of these values."""
    rows = make_rows()
    return [f"{row},{values[index * len(values) // 12]}" for index, row in enumerate(rows)]


SPLIT_COLUMNS = "file,class,subject,split"


@pytest.mark.parametrize(
    "values", [("train", "test"), ("Training", "TESTING"), ("train", "valid"), ("train", "val")]
)
def test_table_split_takes_the_names_of_folders(source: Path, values: tuple[str, str]) -> None:
    image_set = list_set(source, make_split_rows(values), SPLIT_COLUMNS)
    assert get_file(image_set, NAMES[5]).split == "train"
    assert get_file(image_set, NAMES[6]).split == "test"


def test_table_split_puts_validation_into_train(source: Path) -> None:
    image_set = list_set(source, make_split_rows(["train", "Validation", "test"]), SPLIT_COLUMNS)
    assert [get_file(image_set, NAMES[index]).split for index in (0, 5, 11)] == [
        "train",
        "train",
        "test",
    ]
    assert any("4 images for validation are in train" in note for note in image_set.notes)


def test_table_split_of_other_values_names_them(source: Path) -> None:
    line = refuse(source, make_split_rows(["train", "0", "test"]), SPLIT_COLUMNS)
    assert "0 (4 rows)" in line
    assert "--test-values" in line


def test_table_split_takes_test_values(source: Path) -> None:
    rows = make_split_rows(["0", "1", "2"])
    image_set = list_set(source, rows, SPLIT_COLUMNS, test_values=("1",))
    assert [get_file(image_set, NAMES[index]).split for index in (0, 5, 11)] == [
        "train",
        "test",
        "train",
    ]


def test_table_split_without_that_value_names_it(source: Path) -> None:
    rows = make_split_rows(["0", "1"])
    assert "7" in refuse(source, rows, SPLIT_COLUMNS, test_values=("7",))


def test_table_split_of_train_only_is_no_split(source: Path) -> None:
    image_set = list_set(source, make_split_rows(["train"]), SPLIT_COLUMNS)
    assert {file.split for file in image_set.files} == {""}


def test_table_split_without_train_is_refused(source: Path) -> None:
    assert "no row" in refuse(source, make_split_rows(["test"]), SPLIT_COLUMNS)


def test_table_without_a_split_notes_folders_of_splits(tmp_path: Path) -> None:
    names = ["train/x0.png", "train/x1.png", "test/x2.png", "test/x3.png"]
    image_set = list_set(write_files(tmp_path / "set", names), make_rows(names))
    assert any("test, train are not used" in note for note in image_set.notes)


def test_table_rows_without_a_file_are_counted(source: Path) -> None:
    line = refuse(source, [*make_rows(), "x99.png,a,s", "x98.png,a,s"])
    assert "2 rows without a file" in line
    assert "x99.png (line 14)" in line
    assert "--skip-missing" in line


def test_table_files_without_a_row_are_counted(source: Path) -> None:
    line = refuse(source, make_rows()[2:])
    assert "2 images without a row" in line
    assert "img/x0.png" in line


def test_table_rows_without_a_class_are_counted(source: Path) -> None:
    rows = make_rows()
    rows[3] = "x3.png,,s1"
    assert "1 rows without a class, such as x3.png (line 5)" in refuse(source, rows)


@pytest.mark.parametrize("word", ["n/a", "NA", "nan", " NULL "])
def test_table_word_for_no_value_is_no_class(source: Path, word: str) -> None:
    rows = make_rows()
    rows[3] = f"x3.png,{word},s1"
    assert "1 rows without a class, such as x3.png (line 5)" in refuse(source, rows)


def test_table_class_of_two_numbers_that_are_one_is_refused(source: Path) -> None:
    rows = [f"{name},{['0', '1', '1.0'][index % 3]},s" for index, name in enumerate(NAMES)]
    assert "1 and 1.0 are two spellings" in refuse(source, rows)


@pytest.mark.parametrize("column", ["subject", "Subject", "SUBJECT"])
def test_table_column_of_subjects_may_have_capitals(source: Path, column: str) -> None:
    image_set = list_set(source, make_rows(), f"file,class,{column}")
    assert get_file(image_set, NAMES[2]).subject == "s1"


def test_table_word_for_no_value_is_no_subject(source: Path) -> None:
    rows = make_rows()
    rows[2] = "x2.png,a,n/a"
    rows[3] = "x3.png,b,n/a"
    line = refuse(source, rows)
    assert "2 cells" in line
    assert "line 4" in line


def test_table_leaves_out_what_is_missing(source: Path) -> None:
    rows = make_rows()
    rows[3] = "x3.png,,s1"
    image_set = list_set(source, [*rows[2:], "x99.png,a,s"], skip_missing=True)
    assert sorted(list_names(image_set)) == sorted([NAMES[2], *NAMES[4:]])
    assert sum("left out by --skip-missing" in note for note in image_set.notes) == 3


def test_table_without_any_file_is_refused(source: Path) -> None:
    assert "no row has an image" in refuse(source, ["y.png,a,s"], skip_missing=True)


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png", "C:\\x.png"])
def test_table_name_that_leads_outside_is_refused(source: Path, name: str) -> None:
    assert "leads outside" in refuse(source, [*make_rows(), f"{name},a,s"])


def test_table_with_two_classes_of_a_file_names_them(source: Path) -> None:
    line = refuse(source, [*make_rows(), "x4,b,s2"])
    assert "img/x4.png has two classes, a and b (lines 6 and 14)" in line


def test_table_with_two_rows_of_a_file_names_it(source: Path) -> None:
    line = refuse(source, [*make_rows(), make_rows()[4]])
    assert "img/x4.png has two rows (lines 6 and 14)" in line


@pytest.mark.parametrize(
    "column", ["file_column", "class_column", "subject_column", "split_column"]
)
def test_table_without_a_column_lists_those_there(source: Path, column: str) -> None:
    line = refuse(source, make_rows(), **{column: "gone"})
    assert "no column gone" in line
    assert "file, class, subject" in line


def test_table_without_a_kept_column_lists_those_there(source: Path) -> None:
    assert "file, class, subject" in refuse(source, make_rows(), keep=("gone",))


def test_table_with_a_column_twice_names_it(source: Path) -> None:
    rows = [f"{row},z" for row in make_rows()]
    assert "2 columns class" in refuse(source, rows, "file,class,subject,class")


@pytest.mark.parametrize("column", [0, 2])
def test_table_with_an_empty_cell_names_its_line(source: Path, column: int) -> None:
    rows = make_rows()
    cells = rows[3].split(",")
    cells[column] = " "
    rows[3] = ",".join(cells)
    assert "line 5" in refuse(source, rows)


@pytest.mark.parametrize("row", ["x.png,a", "x.png,a,s,t", '"x.png,a,s', '"x"7.png,a,s'])
def test_table_with_a_broken_row_names_its_line(source: Path, row: str) -> None:
    assert "line 14" in refuse(source, [*make_rows(), row])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"file,class\nx\xe9.png,a\n", "line 2 is not UTF-8"),
        ("file,class\nx.png,a\n".encode("utf-16"), "UTF-16"),
        (b"", "no row"),
        (b"file,class\n", "no row"),
        (b"file,class\n\0\0\0,\n", "not a text"),
        (b"PK\x03\x04\xff\xff", "not UTF-8"),
    ],
)
def test_table_that_is_no_csv_is_named(source: Path, content: bytes, text: str) -> None:
    path = source.parent / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"table\.csv: .*{text}"):
        list_table_images(source, ImportOptions(table=path))


def test_table_that_is_missing_is_named(source: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: no such file"):
        list_table_images(source, ImportOptions(table=Path("gone.csv")))


@pytest.mark.parametrize("labels", ["a|b", "a;b", "a, b"])
def test_table_of_several_labels_in_a_cell_is_refused(source: Path, labels: str) -> None:
    rows = make_rows()
    rows[3] = f'x3.png,"{labels}",s1'
    assert "several labels per image" in refuse(source, rows)


def test_table_takes_a_class_with_a_comma(source: Path) -> None:
    rows = [row.replace(",b,", ',"b, mild",') for row in make_rows()]
    assert list_set(source, rows).classes == ["a", "b, mild"]


def test_table_of_a_column_per_label_says_what_it_is(source: Path) -> None:
    rows = [f"{name},{index % 2},{1 - index % 2}" for index, name in enumerate(NAMES)]
    assert "a column per label" in refuse(source, rows, "file,MEL,NV")


def test_table_class_of_one_label_column_is_noted(source: Path) -> None:
    rows = [f"{name},{index % 2},{index // 6}" for index, name in enumerate(NAMES)]
    image_set = list_set(source, rows, "file,MEL,NV", class_column="MEL")
    assert image_set.classes == ["0", "1"]
    assert any("1 other columns do, such as NV" in note for note in image_set.notes)


def test_table_of_two_spellings_of_a_class_names_both(source: Path) -> None:
    rows = make_rows()
    rows[3] = "x3.png,B,s1"
    assert "B and b" in refuse(source, rows)


def test_table_of_one_class_is_refused(source: Path) -> None:
    rows = [row.replace(",b,", ",a,") for row in make_rows()]
    assert "1 classes in column class" in refuse(source, rows)


def test_table_of_a_class_in_train_only_is_refused(source: Path) -> None:
    rows = make_split_rows(["train", "test"])
    rows[0] = "x0.png,c,s0,train"
    assert "in one of them only: c" in refuse(source, rows, SPLIT_COLUMNS)


@pytest.mark.parametrize("column", ["subject", "split", "file", "name", "row"])
def test_table_keeps_no_column_named_as_those_of_files_csv(source: Path, column: str) -> None:
    assert "--keep" in refuse(source, make_rows(), keep=(column,))


@pytest.mark.parametrize(("subject", "is_private"), [("", True), (",s1", False)])
def test_table_replaces_the_private_id_of_dicom(
    tmp_path: Path, subject: str, is_private: bool
) -> None:
    for number in (1, 2):
        write_dicom(tmp_path / f"set/{number}.dcm", elements=WINDOW)
    columns = "file,class,subject" if subject else "file,class"
    rows = [f"1.dcm,a{subject}", f"2.dcm,b{subject}"]
    files = list_set(tmp_path / "set", rows, columns).files
    assert {file.subject for file in files} == {subject[1:] or "P1"}
    assert {file.is_subject_private for file in files} == {is_private}

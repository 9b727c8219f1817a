"""Files and subjects of a raw folder are compared with its rows and ids."""

from pathlib import Path

import pytest

from mri_stages.errors import InputError
from mri_stages.ingest.details import Details, read_details, write_details
from mri_stages.ingest.raw_folder import read_raw
from tests.helpers.raw_folders import write_raw

N_TRAIN = 4
N_TEST = 3
FILES = """row,split,class,subject,file,age
1,test,Sane,0,t1.png,50
0,test,Ill,0,t0.png,50
2,test,Unsure,0,t2.png,50
0,train,Ill,0,a0.png,50
1,train,Sane,0,a1.png,50
2,train,Unsure,0,a2.png,50
3,train,Ill,1,a3.png,
"""
SUBJECTS = "subject,age\n1,\n0,50\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a raw folder of seven rows of two subjects, with their files and ages."""
    raw_folder = tmp_path / "raw"
    write_raw(raw_folder, N_TRAIN, N_TEST, shape=(1, 3, 4))
    (raw_folder / "files.csv").write_text(FILES)
    (raw_folder / "subjects.csv").write_text(SUBJECTS)
    return raw_folder


def read(folder: Path) -> Details:
    return read_details(folder, read_raw(folder))


def test_details_have_files_in_order_of_the_rows(folder: Path) -> None:
    names = [row["file"] for row in read(folder).files.rows]
    assert names == ["a0.png", "a1.png", "a2.png", "a3.png", "t0.png", "t1.png", "t2.png"]


def test_details_keep_further_columns(folder: Path) -> None:
    assert read(folder).files.rows[0]["age"] == "50"
    assert read(folder).subjects.rows == [
        {"subject": "1", "age": ""},
        {"subject": "0", "age": "50"},
    ]


def test_details_are_written_as_read(folder: Path, tmp_path: Path) -> None:
    write_details(tmp_path / "details", read(folder))
    written = (tmp_path / "details/files.csv").read_text().splitlines()
    assert written[0] == FILES.splitlines()[0]
    assert sorted(written) == sorted(FILES.splitlines())
    assert (tmp_path / "details/subjects.csv").read_text() == SUBJECTS


def test_details_of_a_folder_without_any_have_headers_only(folder: Path, tmp_path: Path) -> None:
    (folder / "files.csv").unlink()
    (folder / "subjects.csv").unlink()
    write_details(tmp_path / "details", read(folder))
    contents = {path.name: path.read_text() for path in (tmp_path / "details").iterdir()}
    assert contents == {
        "import.json": "{}\n",
        "files.csv": "row,split,class,subject,file\n",
        "subjects.csv": "subject\n",
    }


def test_details_have_the_options_of_the_import(folder: Path) -> None:
    (folder / "import.json").write_text('{"seed": 5}')
    assert read(folder).import_options["seed"] == 5


def test_details_of_a_table_of_a_spreadsheet_are_read(folder: Path) -> None:
    (folder / "subjects.csv").write_bytes(b"\xef\xbb\xbf" + SUBJECTS.encode() + b"\r\n")
    assert len(read(folder).subjects.rows) == 2


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("row,split", "number,split", "no column row"),
        (",age\n", ",file\n", "two columns file"),
        ("a0.png,50", "a0.png,50,9", "line 5 has 7 fields"),
        ("0,train,", "0,val,", "'val', expected train or test"),
        ("2,test,Unsure,0,t2.png,50\n", "", "2 rows of test, expected 3"),
        ("3,train,Ill,1", "2,train,Ill,1", "train has no row 3"),
        ("1,test,Sane", "1,test,Ill", "test row 1 is of class 'Ill', expected 'Sane'"),
        ("1,test,Sane,0", "1,test,Sane,7", "test row 1 is of subject '7', expected '0'"),
        ("1,test,Sane,0", "1,test,Sane,", "test row 1 is of subject '', expected '0'"),
    ],
)
def test_details_name_what_is_wrong_in_files(folder: Path, old: str, new: str, named: str) -> None:
    assert old in FILES
    (folder / "files.csv").write_text(FILES.replace(old, new))
    with pytest.raises(InputError, match=rf"files\.csv: .*{named}"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("id,age\n0,1\n1,2\n", "no column subject"),
        ("", "no column subject"),
        ("subject;age\n0;1\n1;2\n", "'subject;age'"),
        ("subject\n0\n", "that have images, but no row here: 1, such as 1"),
        ("subject\n0\n1\n2\n", "that have no image.*: 1, such as 2"),
        ("subject\n0\n1\n1\n", "2 rows of subject 1"),
        ("subject\n0\n1.0\n", "'1.0', expected a whole number"),
        ("subject\n0\n01\n", "'01', expected a whole number"),
        ('subject\n0\n"1', "expected a CSV"),
    ],
)
def test_details_name_what_is_wrong_in_subjects(folder: Path, content: str, named: str) -> None:
    (folder / "subjects.csv").write_text(content)
    with pytest.raises(InputError, match=rf"subjects\.csv: .*{named}"):
        read(folder)


@pytest.mark.parametrize(("name", "named"), [("files", "not there"), ("subjects", "no row has")])
def test_details_of_subjects_without_ids_are_an_error(folder: Path, name: str, named: str) -> None:
    for split in ("train", "test"):
        (folder / f"{split}_subjects.pt").unlink()
    for other in {"files", "subjects"} - {name}:
        (folder / f"{other}.csv").unlink()
    with pytest.raises(InputError, match=rf"{name}\.csv: .*{named}"):
        read(folder)

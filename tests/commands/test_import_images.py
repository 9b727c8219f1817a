"""`mri-stages import` of small sets of images: every row has its pixels, label and subject."""

import csv
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from mri_stages.commands import import_images
from mri_stages.errors import ArgumentError, InputError
from mri_stages.ingest.import_options import Fit, ImportOptions, read_import_options
from mri_stages.ingest.raw_folder import Raw, read_raw
from mri_stages.storage.dataset import SPLITS
from tests.helpers.medical_files import WINDOW, write_dicom
from tests.helpers.stages import list_files

CLASSES = ["Ill", "Sané"]
N_CLASS_IMAGES = 15  # 3 subjects x 5 slices, of which slices 4 and 5 are test
N_IMAGES = 30
N_TRAIN = 18
# In the order of train and then test files; in the names' order subjects are (2), (3), none.
CLASS_SUBJECTS = [1, 2, 0] * 3 + [0, 1, 2] * 2
HEIGHT = 20
WIDTH = 16


class FileRow(NamedTuple):
    """A row of files.csv."""

    row: str
    split: str
    class_name: str
    subject: str
    file: str


def write_image_set(folder: Path) -> Path:
    """Write a set named as the public one, in which image i is of grey level i."""
    names = [f"train/CLASS/x{i}.png" for i in range(9)]
    names += [f"test/CLASS/{s}{k}.png" for s in (4, 5) for k in ("", " (2)", " (3)")]
    for level in range(N_IMAGES):
        name = names[level % N_CLASS_IMAGES]
        path = folder / name.replace("CLASS", CLASSES[level // N_CLASS_IMAGES])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (WIDTH, HEIGHT), level).save(path)
    return folder


def write_flat_set(folder: Path) -> dict[str, int]:
    """Write 24 and 48 images in class folders, without a split; return the subject of each.

    Eight subjects have images of both classes, and one of the second class only.
    """
    subjects = {}
    for class_name, n_images in (("Ill", 24), ("Sane", 48)):
        (folder / class_name).mkdir(parents=True)
        for i in range(n_images):
            subject = 9 if i >= 45 else i * 8 // n_images
            name = f"{class_name}/s{subject}_{i}.png"
            Image.new("L", (4, 5), i).save(folder / name)
            subjects[name] = subject
    return subjects


def import_set(source: Path, out: Path, *arguments: str) -> Path:
    """Run the command; return the raw folder."""
    import_images.main([str(source), "--out", str(out), *arguments])
    return out


def read_files(folder: Path) -> list[FileRow]:
    with (folder / "files.csv").open(newline="", encoding="utf-8") as lines:
        return [FileRow(*row) for row in csv.reader(lines)][1:]


def list_test_files(folder: Path) -> set[str]:
    return {row.file for row in read_files(folder) if row.split == "test"}


def read_levels(raw: Raw, split: str) -> list[int]:
    levels: list[int] = raw.images[split][:, 0, 0, 0].tolist()
    return levels


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set that no test changes."""
    return write_image_set(tmp_path_factory.mktemp("set") / "download/Some Dataset")


@pytest.fixture(scope="module")
def folder(image_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw folder of `image_set`, which no test changes."""
    return import_set(image_set.parent, tmp_path_factory.mktemp("raw") / "raw")


@pytest.fixture(scope="module")
def raw(folder: Path) -> Raw:
    return read_raw(folder)


def test_import_names_the_classes(raw: Raw) -> None:
    assert raw.classes == CLASSES


def test_import_keeps_every_image_in_its_split(raw: Raw) -> None:
    is_train = {level: level % N_CLASS_IMAGES < 9 for level in range(N_IMAGES)}
    assert sorted(read_levels(raw, "train")) == [i for i in range(N_IMAGES) if is_train[i]]
    assert sorted(read_levels(raw, "test")) == [i for i in range(N_IMAGES) if not is_train[i]]


def test_import_shuffles_both_splits(raw: Raw) -> None:
    for split in SPLITS:
        levels = read_levels(raw, split)
        assert levels != sorted(levels)


def test_import_keeps_all_pixels(raw: Raw) -> None:
    for split in SPLITS:
        levels = torch.tensor(read_levels(raw, split), dtype=torch.uint8)
        expected = levels.view(-1, 1, 1, 1).expand(-1, 3, HEIGHT, WIDTH)
        assert torch.equal(raw.images[split], expected)


def test_import_stores_grey_images_once(raw: Raw) -> None:
    assert raw.images["train"].untyped_storage().nbytes() == N_TRAIN * HEIGHT * WIDTH


def test_import_gives_each_row_its_label(raw: Raw) -> None:
    for split in SPLITS:
        expected = [level // N_CLASS_IMAGES for level in read_levels(raw, split)]
        assert raw.labels[split].tolist() == expected


def test_import_gives_each_row_its_subject(raw: Raw) -> None:
    for split in SPLITS:
        expected = [
            3 * (level // N_CLASS_IMAGES) + CLASS_SUBJECTS[level % N_CLASS_IMAGES]
            for level in read_levels(raw, split)
        ]
        assert raw.subjects[split].tolist() == expected


def test_import_names_the_file_of_each_row(image_set: Path, folder: Path, raw: Raw) -> None:
    for row in read_files(folder):
        level = np.asarray(Image.open(image_set.parent / row.file))[0, 0]
        assert level == read_levels(raw, row.split)[int(row.row)]


def test_import_tells_split_and_class_of_each_file(folder: Path) -> None:
    for row in read_files(folder):
        assert f"{row.split}/{row.class_name}/" in row.file


def test_import_tells_the_subject_of_each_file(folder: Path, raw: Raw) -> None:
    for row in read_files(folder):
        assert int(row.subject) == raw.subjects[row.split][int(row.row)]


def test_import_of_a_zip_gives_the_same_bytes(
    image_set: Path, folder: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "set"), "zip", image_set.parent)
    from_zip = import_set(Path(archive), tmp_path / "raw")
    assert {path.name: path.read_bytes() for path in from_zip.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_import_keeps_no_temporary_name_in_the_bytes(folder: Path) -> None:
    assert not any(b"partial" in path.read_bytes() for path in folder.iterdir())


def test_import_with_another_seed_orders_otherwise(
    image_set: Path, folder: Path, tmp_path: Path
) -> None:
    other = import_set(image_set, tmp_path / "raw", "--seed", "1")
    assert read_levels(read_raw(other), "train") != read_levels(read_raw(folder), "train")


def test_import_writes_data_raw_by_default(
    image_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    import_images.main([str(image_set)])
    assert (tmp_path / "data/raw/train_data.pt").is_file()


@pytest.fixture
def renamed_set(tmp_path: Path) -> Path:
    """A set of which one file is not named as in the public set."""
    folder = write_image_set(tmp_path / "set")
    (folder / "test/Sané/4.png").rename(folder / "test/Sané/other.png")
    return folder


def test_import_of_other_names_has_no_subjects(renamed_set: Path, tmp_path: Path) -> None:
    assert read_raw(import_set(renamed_set, tmp_path / "raw")).subjects == {}


def test_import_of_other_names_leaves_subjects_empty(renamed_set: Path, tmp_path: Path) -> None:
    folder = import_set(renamed_set, tmp_path / "raw")
    assert {row.subject for row in read_files(folder)} == {""}


def test_import_says_which_name_has_no_subject(
    renamed_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_set(renamed_set, tmp_path / "raw")
    assert "(Sané: other.png" in capsys.readouterr().out


def test_import_keeps_colours(tmp_path: Path) -> None:
    colour = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    source = write_image_set(tmp_path / "set")
    grey_path = source / "train/Ill/x0.png"
    for path in source.rglob("*.png"):
        Image.fromarray(colour).save(path)
    Image.new("L", (4, 5), 8).save(grey_path)  # one grey image among them

    folder = import_set(source, tmp_path / "raw")
    images = read_raw(folder).images
    for row in read_files(folder):
        is_grey = source / row.file == grey_path
        expected = np.full((3, 5, 4), 8) if is_grey else colour.transpose(2, 0, 1)
        np.testing.assert_array_equal(images[row.split][int(row.row)], expected)


def test_import_stretches_to_height_and_width(image_set: Path, tmp_path: Path) -> None:
    folder = import_set(image_set, tmp_path / "raw", "--resize", "5", "4")
    assert read_raw(folder).images["train"].shape == (N_TRAIN, 3, 5, 4)


def test_import_stretches_several_sizes_to_one(tmp_path: Path) -> None:
    source = write_image_set(tmp_path / "set")
    Image.new("L", (7, 9), 8).save(source / "train/Ill/x0.png")
    folder = import_set(source, tmp_path / "raw", "--resize", "5", "4")
    assert read_raw(folder).images["train"].shape == (N_TRAIN, 3, 5, 4)


class FlatSet(NamedTuple):
    """A set without a split, and the subject of each file."""

    source: Path
    subjects: dict[str, int]


@pytest.fixture(scope="module")
def flat_set(tmp_path_factory: pytest.TempPathFactory) -> FlatSet:
    source = tmp_path_factory.mktemp("flat") / "flat"
    return FlatSet(source, write_flat_set(source))


@pytest.fixture(params=["--subject-pattern", "--subjects"])
def subject_arguments(
    request: pytest.FixtureRequest, flat_set: FlatSet, tmp_path: Path
) -> list[str]:
    """The arguments that tell the subjects of the flat set, by a pattern or a table."""
    option: str = request.param
    if option == "--subject-pattern":
        return [option, r"s(\d+)_"]
    lines = [f"{file},{subject}\n" for file, subject in flat_set.subjects.items()]
    (tmp_path / "ids.csv").write_text("file,subject\n" + "".join(lines))
    return [option, str(tmp_path / "ids.csv")]


def split_flat_set(flat_set: FlatSet, out: Path, *arguments: str) -> Path:
    return import_set(flat_set.source, out, "--test-share", "0.25", *arguments)


def count_test_files(folder: Path) -> list[int]:
    files = list_test_files(folder)
    return [sum(file.startswith(name) for file in files) for name in ("Ill/", "Sane/")]


def test_import_splits_files_stratified(flat_set: FlatSet, tmp_path: Path) -> None:
    assert count_test_files(split_flat_set(flat_set, tmp_path / "raw")) == [6, 12]


def test_import_of_a_flat_set_has_no_subjects(flat_set: FlatSet, tmp_path: Path) -> None:
    assert read_raw(split_flat_set(flat_set, tmp_path / "raw")).subjects == {}


def test_import_splits_alike_with_the_same_seed(flat_set: FlatSet, tmp_path: Path) -> None:
    folders = [split_flat_set(flat_set, tmp_path / name, "--seed", "3") for name in "ab"]
    assert read_files(folders[0]) == read_files(folders[1])


def test_import_splits_otherwise_with_another_seed(flat_set: FlatSet, tmp_path: Path) -> None:
    folders = [split_flat_set(flat_set, tmp_path / seed, "--seed", seed) for seed in "01"]
    assert list_test_files(folders[0]) != list_test_files(folders[1])


def test_import_splits_whole_subjects(
    flat_set: FlatSet, tmp_path: Path, subject_arguments: list[str]
) -> None:
    folder = split_flat_set(flat_set, tmp_path / "raw", *subject_arguments)
    test_files = list_test_files(folder)
    train_files = flat_set.subjects.keys() - test_files
    test_subjects = {flat_set.subjects[file] for file in test_files}
    assert not test_subjects & {flat_set.subjects[file] for file in train_files}


def test_import_takes_the_share_of_subjects(
    flat_set: FlatSet, tmp_path: Path, subject_arguments: list[str]
) -> None:
    folder = split_flat_set(flat_set, tmp_path / "raw", *subject_arguments)
    # Three of nine subjects, with or without the one of a single class.
    assert count_test_files(folder) in ([6, 12 + 3], [9, 18])


def test_import_keeps_subject_ids_that_are_numbers(
    flat_set: FlatSet, tmp_path: Path, subject_arguments: list[str]
) -> None:
    folder = split_flat_set(flat_set, tmp_path / "raw", *subject_arguments)
    assert {row.file: int(row.subject) for row in read_files(folder)} == flat_set.subjects


def test_import_counts_the_subjects(
    flat_set: FlatSet,
    tmp_path: Path,
    subject_arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    split_flat_set(flat_set, tmp_path / "raw", *subject_arguments)
    assert "subjects: 9" in capsys.readouterr().out


def test_import_splits_a_class_of_one_subject(flat_set: FlatSet, tmp_path: Path) -> None:
    # Such a class cannot be stratified, and is in train or in test only.
    with pytest.raises(InputError, match="--test-share"):
        split_flat_set(flat_set, tmp_path / "raw", "--subject-pattern", "(Ill|Sane)")


def test_import_counts_levels_of_16_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_image_set(tmp_path / "set")
    first_path, *other_paths = sorted(source.rglob("Ill/*.png"))
    Image.fromarray(np.full((HEIGHT, WIDTH), 65535, np.uint16)).save(first_path)
    for path in other_paths:
        Image.fromarray(np.full((HEIGHT, WIDTH), 4095, np.uint16)).save(path)
    import_set(source, tmp_path / "raw")
    output = capsys.readouterr().out
    assert "note: 1 images are scaled" in output
    assert "note: 14 images are scaled" in output


def refuse(source: Path, out: Path, *arguments: str) -> str:
    """Return the line with which the command ends, having written no file."""
    files = list_files(out.parent)
    with pytest.raises((InputError, OSError)) as error:
        import_set(source, out, *arguments)
    assert "\n" not in str(error.value)
    assert list_files(out.parent) == files
    return str(error.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**32)], "--seed"),
        (["--test-share", "0.2"], "--test-share"),
        (["--test-share", "1"], "--test-share"),
        (["--subjects", "gone.csv"], "gone.csv"),
        (["--subjects", "a.csv", "--subject-pattern", "a"], "--subject"),
        (["--resize", "0", "4"], "--resize"),
    ],
)
def test_import_with_wrong_arguments_names_them(
    image_set: Path, tmp_path: Path, arguments: list[str], text: str
) -> None:
    assert text in refuse(image_set, tmp_path / "raw", *arguments)


def test_import_takes_the_largest_seed(image_set: Path, tmp_path: Path) -> None:
    import_set(image_set, tmp_path / "raw", "--seed", str(2**32 - 1))


def test_import_into_an_existing_file_names_it(image_set: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("kept")
    assert "raw: exists" in refuse(image_set, tmp_path / "raw")


@pytest.mark.parametrize("share", ["0", "1.5", "0.99"])
def test_import_with_a_wrong_share_names_it(flat_set: FlatSet, tmp_path: Path, share: str) -> None:
    assert share in refuse(flat_set.source, tmp_path / "raw", "--test-share", share)


def test_import_of_a_flat_set_asks_for_a_share(flat_set: FlatSet, tmp_path: Path) -> None:
    assert "--test-share" in refuse(flat_set.source, tmp_path / "raw")


def test_import_to_a_place_below_a_file_names_it(tmp_path: Path) -> None:
    source = write_image_set(tmp_path / "set")
    (tmp_path / "notes").write_text("text")
    with pytest.raises(InputError, match="notes is a file"):
        import_set(source, tmp_path / "notes" / "data" / "raw")
    assert (tmp_path / "notes").read_text() == "text"


def test_import_counts_all_faults_by_kind(tmp_path: Path) -> None:
    source = write_image_set(tmp_path / "set")
    for name in ("x3", "x4"):
        (source / f"train/Ill/{name}.png").write_bytes(b"text")
    Image.new("RGBA", (WIDTH, HEIGHT)).save(source / "test/Ill/4.png")
    line = refuse(source, tmp_path / "raw")
    assert "of 30 images" in line
    assert "2 unreadable, such as " in line
    assert "1 transparent, such as test/Ill/4.png" in line


def test_import_names_five_files_of_a_kind_of_fault(tmp_path: Path) -> None:
    source = write_image_set(tmp_path / "set")
    for i in range(7):
        (source / f"train/Ill/x{i}.png").write_bytes(b"text")
    line = refuse(source, tmp_path / "raw")
    assert "7 unreadable" in line
    assert [f"x{i}.png" in line for i in range(7)] == [True] * 5 + [False] * 2


def test_import_counts_all_sizes(tmp_path: Path) -> None:
    source = write_image_set(tmp_path / "set")
    for name, size in (("x0", (16, 21)), ("x1", (16, 21)), ("x2", (15, 20))):
        Image.new("L", size).save(source / f"train/Ill/{name}.png")
    line = refuse(source, tmp_path / "raw")
    assert "3 sizes: 27 of 20 x 16, 2 of 21 x 16, 1 of 20 x 15" in line
    assert "--resize" in line


def test_import_of_a_cut_zip_names_it(image_set: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "set"), "zip", image_set))
    archive.write_bytes(archive.read_bytes()[:-100])
    assert "set.zip" in refuse(archive, tmp_path / "raw")


def test_import_of_an_empty_folder_names_it(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in refuse(tmp_path / "empty", tmp_path / "raw")


def test_import_of_a_missing_source_names_it(tmp_path: Path) -> None:
    assert "gone" in refuse(tmp_path / "gone", tmp_path / "raw")


def write_table_set(folder: Path) -> Path:
    """Write 24 images of 12 subjects in one folder, of which image i is of grey level i."""
    lines = ["id,kind,who,age"]
    (folder / "images").mkdir(parents=True)
    for level in range(24):
        Image.new("L", (4, 5), level).save(folder / f"images/x{level:02}.png")
        subject = level // 2
        lines.append(f"x{level:02},{'ab'[subject % 2]},p{subject:02},{40 + subject}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder


TABLE_ARGUMENTS = [
    *("--table", "table.csv", "--file-column", "id", "--class-column", "kind"),
    *("--keep", "age", "--test-share", "0.25"),
]


@pytest.fixture(scope="module")
def table_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table_set(tmp_path_factory.mktemp("table") / "set")


@pytest.fixture(scope="module")
def table_folder(table_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw folder of `table_set`, which no test changes."""
    out = tmp_path_factory.mktemp("raw") / "raw"
    return import_set(table_set, out, *TABLE_ARGUMENTS, "--subject-column", "who")


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_import_by_table_gives_each_row_its_label(table_folder: Path) -> None:
    raw = read_raw(table_folder)
    for split in SPLITS:
        expected = [level // 2 % 2 for level in read_levels(raw, split)]
        assert raw.labels[split].tolist() == expected


def test_import_by_table_numbers_the_subjects(table_folder: Path) -> None:
    raw = read_raw(table_folder)
    for split in SPLITS:
        expected = [level // 2 for level in read_levels(raw, split)]
        assert raw.subjects[split].tolist() == expected


def test_import_by_table_keeps_columns_of_files(table_folder: Path) -> None:
    raw = read_raw(table_folder)
    for row in read_table(table_folder / "files.csv"):
        level = read_levels(raw, row["split"])[int(row["row"])]
        assert row["age"] == str(40 + level // 2)


def test_import_by_table_names_the_subjects(table_folder: Path) -> None:
    assert read_table(table_folder / "subjects.csv") == [
        {"subject": str(subject), "name": f"p{subject:02}", "age": str(40 + subject)}
        for subject in range(12)
    ]


def test_import_by_table_without_ids_writes_no_subjects(table_set: Path, tmp_path: Path) -> None:
    folder = import_set(table_set, tmp_path / "raw", *TABLE_ARGUMENTS)
    assert not (folder / "subjects.csv").exists()
    assert read_table(folder / "files.csv")[0]["age"] != ""


def test_import_by_table_takes_ids_by_a_pattern(table_set: Path, tmp_path: Path) -> None:
    columns = ["--file-column", "id", "--class-column", "kind"]
    arguments = ["--table", "table.csv", *columns, "--test-share", "0.4"]
    folder = import_set(table_set, tmp_path / "raw", *arguments, "--subject-pattern", r"x(\d)")
    assert {row["subject"] for row in read_table(folder / "files.csv")} == {"0", "1", "2"}


def test_import_refuses_a_kept_column_that_differs(table_set: Path, tmp_path: Path) -> None:
    arguments = [*TABLE_ARGUMENTS, "--subject-column", "kind"]
    assert "kind is asked twice" in refuse(table_set, tmp_path / "raw", *arguments)
    pattern = ["--subject-pattern", r"x(\d)", "--test-share", "0.4"]
    line = refuse(table_set, tmp_path / "raw", *TABLE_ARGUMENTS, *pattern)
    assert "--keep age: differs within subject 0" in line


def test_import_names_a_class_that_no_share_can_split(table_set: Path, tmp_path: Path) -> None:
    table = [row.split(",") for row in (table_set / "table.csv").read_text().split()[1:]]
    lines = [f"{name},{'c' if name == 'x23' else kind}" for name, kind, *_ in table]
    (tmp_path / "table.csv").write_text("\n".join(["id,kind", *lines]) + "\n")
    columns = ["--table", str(tmp_path / "table.csv"), "--file-column", "id"]
    arguments = [*columns, "--class-column", "kind", "--test-share", "0.25"]
    line = refuse(table_set, tmp_path / "raw", *arguments)
    assert "class c has a single image" in line
    assert "--seed" not in line
    line = refuse(table_set, tmp_path / "raw", *arguments, "--subject-pattern", "x(..)")
    assert "class c has a single subject" in line


def test_import_takes_repeated_options(table_set: Path, tmp_path: Path) -> None:
    arguments = [*TABLE_ARGUMENTS, "--subject-column", "who", "--keep", "id", "--keep", "age"]
    line = refuse(table_set, tmp_path / "raw", *arguments)
    assert "--keep id" in line  # it differs within a subject


def test_import_of_several_class_columns_says_what_they_are(
    table_set: Path, tmp_path: Path
) -> None:
    arguments = ["--table", "table.csv", "--class-column", "kind", "who"]
    assert "a column per label" in refuse(table_set, tmp_path / "raw", *arguments)


def test_import_names_subjects_by_the_pattern(flat_set: FlatSet, tmp_path: Path) -> None:
    folder = split_flat_set(flat_set, tmp_path / "raw", "--subject-pattern", r"(s\d+)_")
    names = [row["name"] for row in read_table(folder / "subjects.csv")]
    assert names == [f"s{subject}" for subject in (*range(8), 9)]


def test_import_writes_its_options(table_set: Path, table_folder: Path) -> None:
    options = read_import_options(table_folder)
    assert options.table == Path("table.csv")
    assert options.keep == ("age",)
    assert options.test_share == 0.25
    assert str(table_set.parent) not in (table_folder / "import.json").read_text()


def test_import_writes_how_pixels_are_read(image_set: Path, tmp_path: Path) -> None:
    arguments = ["--resize", "5", "4", "--fit", "pad", "--percentiles", "1", "99"]
    options = read_import_options(import_set(image_set, tmp_path / "raw", *arguments))
    assert (options.resize, options.fit, options.percentiles) == ((5, 4), Fit.PAD, (1.0, 99.0))


def test_import_pads_to_height_and_width(tmp_path: Path) -> None:
    source = write_flat_images(tmp_path / "set", size=(4, 8), level=200)
    arguments = ["--test-share", "0.5", "--resize", "8", "8", "--fit", "pad"]
    image = read_raw(import_set(source, tmp_path / "raw", *arguments)).images["train"][0, 0]
    assert image.tolist() == [[0, 0, 200, 200, 200, 200, 0, 0]] * 8


def write_flat_images(folder: Path, size: tuple[int, int], level: int) -> Path:
    """Write four images in each of two class folders."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", size, level).save(folder / f"{name}/{number}.png")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fit", "pad"],
        ["--percentiles", "99", "1"],
        ["--percentiles", "1", "99", "--window", "40", "80"],
        ["--window", "40", "0"],
        ["--slices", "5:5"],
        ["--slices", "1:9:0"],
        ["--axis", "oblique"],
        ["--class-level", "0"],
        ["--keep", "age"],
        ["--skip-missing"],
        ["--table", "t.csv", "--class-level", "1"],
        ["--subject-level", "1", "--subject-pattern", "a"],
    ],
)
def test_import_with_wrong_options_ends_with_status_2(
    image_set: Path, tmp_path: Path, arguments: list[str]
) -> None:
    with pytest.raises(ArgumentError, match=arguments[-2] if len(arguments) == 2 else "--"):
        import_set(image_set, tmp_path / "raw", *arguments)


@pytest.mark.parametrize("has_table", [False, True])
def test_import_of_dicom_writes_no_identity(tmp_path: Path, has_table: bool) -> None:
    """A PatientID that is a whole number is numbered too, and not kept as it is."""
    lines = ["file,class"]
    for number, class_name in enumerate(["Ill", "Ill", "Sane", "Sane"]):
        name = f"{class_name}/{number}.dcm"
        person = {"PatientID": f"70001{number}", "PatientName": "Doe^7000"}
        write_dicom(tmp_path / "set" / name, elements={**WINDOW, **person})
        lines.append(f"{name},{class_name}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines))

    arguments = ["--table", str(table)] if has_table else []
    out = import_set(tmp_path / "set", tmp_path / "out", "--test-share", "0.5", *arguments)
    subjects = np.concatenate(list(read_raw(out).subjects.values()))
    assert sorted(subjects.tolist()) == [0, 1, 2, 3]
    assert not any(b"7000" in file.read_bytes() for file in list_files(out))


@pytest.mark.parametrize("name", ["npz", "NPZ"])
def test_import_of_npz_gives_its_images(tmp_path: Path, name: str) -> None:
    images = np.arange(40 * 6, dtype=np.uint8).reshape(40, 2, 3)
    labels = np.arange(40)[:, None] % 2
    with (tmp_path / f"set.{name}").open("wb") as file:
        np.savez_compressed(
            file,
            train_images=images[:30],
            train_labels=labels[:30],
            test_images=images[30:],
            test_labels=labels[30:],
        )
    folder = import_set(tmp_path / f"set.{name}", tmp_path / "raw")
    raw = read_raw(folder)
    for row in read_files(folder):
        array_row = int(row.file.split(":")[1]) + (30 if row.split == "test" else 0)
        image = raw.images[row.split][int(row.row)].numpy()
        np.testing.assert_array_equal(image, np.stack([images[array_row]] * 3))
        assert raw.labels[row.split][int(row.row)] == array_row % 2


def test_read_import_options_of_an_old_folder_gives_defaults(tmp_path: Path) -> None:
    assert read_import_options(tmp_path) == ImportOptions()


def test_read_import_options_of_an_empty_object_gives_defaults(tmp_path: Path) -> None:
    (tmp_path / "import.json").write_text("{}\n")
    assert read_import_options(tmp_path) == ImportOptions()


@pytest.mark.parametrize(
    ("content", "key"), [('{"resize": [0, 4]}', "resize"), ('{"size": 4}', "size"), ("[", "")]
)
def test_read_import_options_that_are_wrong_names_them(
    tmp_path: Path, content: str, key: str
) -> None:
    (tmp_path / "import.json").write_text(content)
    with pytest.raises(InputError, match=rf"import\.json: {key}"):
        read_import_options(tmp_path)

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mri_stages.commands import import_images
from mri_stages.errors import InputError
from mri_stages.ingest.raw_folder import read_raw

SUBJECTS = [1, 2, 0] * 3 + [0, 1, 2] * 2  # of a class; in string order: (2), (3), none


def convert(*arguments: str) -> None:
    import_images.main(arguments)


def table(folder: Path) -> list[list[str]]:
    with (folder / "files.csv").open(newline="") as lines:
        return list(csv.reader(lines))[1:]


@pytest.fixture
def image_set(workspace: Path) -> Path:
    """Return 2 classes of 3 subjects x 5 slices, 4 and 5 in test; image i is of grey level i."""
    top = workspace / "download/Some Dataset"
    files = [f"train/CLASS/x{i}.png" for i in range(9)]
    files += [f"test/CLASS/{s}{k}.png" for s in (4, 5) for k in ("", " (2)", " (3)")]
    for i in range(30):
        path = top / files[i % 15].replace("CLASS", ("Ill", "Sané")[i // 15])
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 20), i).save(path)
    (top / "train/Ill/Thumbs.db").write_bytes(b"no image")
    return top


def test_import_images_gives_each_row_its_label_and_subject(image_set: Path) -> None:
    shutil.make_archive("set", "zip", image_set.parent)
    convert("set.zip")
    convert(str(image_set.parent), "--out", "unpacked")
    convert("set.zip", "--out", "reordered", "--seed", "1")
    for path in Path("data/raw").iterdir():
        assert path.read_bytes() == Path("unpacked", path.name).read_bytes()
        assert b"partial" not in path.read_bytes()  # the name of a temporary file
    raw = read_raw(Path("data/raw"))
    assert raw.classes == ["Ill", "Sané"]
    images = torch.cat([raw.images["train"], raw.images["test"]])
    levels = images[:, 0, 0, 0].tolist()
    expected = torch.tensor(levels, dtype=torch.uint8).view(30, 1, 1, 1).expand(30, 3, 20, 16)
    assert torch.equal(images, expected)
    assert raw.images["train"].untyped_storage().nbytes() == 18 * 20 * 16  # one channel
    for row, split, name, subject, file in table(Path("data/raw")):
        label, id_ = raw.labels[split][int(row)], raw.subjects[split][int(row)]
        level = np.asarray(Image.open(image_set.parent / file))[0, 0]
        assert f"{split}/{name}/" in file
        assert level == raw.images[split][int(row), 0, 0, 0]
        assert (name, int(subject)) == (raw.classes[label], id_)
        assert (label, id_) == (level // 15, 3 * (level // 15) + SUBJECTS[level % 15])
    assert sorted(levels[:18]) == [i for i in range(30) if i % 15 < 9] != levels[:18]
    assert sorted(levels) == list(range(30))
    assert not torch.equal(read_raw(Path("reordered")).images["train"], raw.images["train"])


def test_import_images_of_other_names_has_no_subjects(
    image_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image_set / "test/Sané/4.png").rename(image_set / "test/Sané/other.png")
    convert(str(image_set))
    assert "(Sané: other.png" in capsys.readouterr().out
    raw = read_raw(Path("data/raw"))
    assert not raw.subjects
    assert [np.bincount(raw.labels[s]).tolist() for s in ("train", "test")] == [[9, 9], [6, 6]]


def test_import_images_keeps_colours_and_stretches_to_a_size(image_set: Path) -> None:
    colour = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    for path in image_set.rglob("*.png"):
        Image.fromarray(colour).save(path)
    Image.new("L", (7, 9), 8).save(image_set / "train/Ill/x0.png")
    convert(str(image_set), "--resize", "5", "4")
    images, rows = read_raw(Path("data/raw")).images, table(Path("data/raw"))
    for row, split, _, _, file in rows:
        grey = file.endswith("Ill/x0.png")
        expected = np.full((3, 5, 4), 8) if grey else colour.transpose(2, 0, 1)
        np.testing.assert_array_equal(images[split][int(row)], expected)
    assert len(rows) == 30


@pytest.mark.parametrize("by", ["row", "--subject-pattern", "--subjects"])
def test_import_images_splits_a_flat_set_stratified_and_by_subject(
    image_set: Path, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    flat, subject_of = image_set.parent / "flat", {}
    for name, n_rows in {"Ill": 24, "Sane": 48}.items():
        (flat / name).mkdir(parents=True)
        for i in range(n_rows):  # eight subjects of both classes, and one of Sane only
            subject = 9 if i >= 45 else i * 8 // n_rows
            file = f"{name}/s{subject}_{i}.png"
            Image.new("L", (4, 5), i).save(flat / file)
            subject_of[file] = subject
    lines = [f"{file},{subject}\n" for file, subject in subject_of.items()]
    Path("ids.csv").write_text("file,subject\n" + "".join(lines))
    value = {"--subject-pattern": [by, r"s(\d+)_"], "--subjects": [by, "ids.csv"]}.get(by, [])
    rows = []
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        convert(str(flat), "--test-share", "0.25", *value, "--out", out, "--seed", seed)
        rows.append(table(Path(out)))
    assert rows[0] == rows[1]
    in_test = [{row[4] for row in of if row[1] == "test"} for of in rows]
    test, train = in_test[0], subject_of.keys() - in_test[0]
    assert test != in_test[2]
    share = [sum(file.startswith(name) for file in test) for name in ("Ill/", "Sane/")]
    if by == "row":
        assert share == [6, 12]
        assert not read_raw(Path("a")).subjects
    else:
        assert share in ([6, 12 + 3], [9, 18])  # three of nine subjects
        assert not {subject_of[file] for file in test} & {subject_of[file] for file in train}
        assert all(int(subject) == subject_of[file] for *_, subject, file in rows[0])
        pairs = {(subject_of[r[4]], r[3]) for r in rows[0]}
        assert len(pairs) == len(dict(pairs)) == 9
        assert "subjects: 9" in capsys.readouterr().out


def test_import_images_notes_levels_of_16_bits(
    image_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, path in enumerate(image_set.rglob("Ill/*.png")):
        Image.fromarray(np.full((20, 16), 4095 if i else 65535, np.uint16)).save(path)
    convert(str(image_set))
    said = capsys.readouterr().out
    assert "note: 1 images are scaled" in said
    assert "note: 14 images are scaled from 16 to 8 bits: grey level k becomes k/257, and" in said


@pytest.mark.parametrize(
    ("source", "arguments", "named"),
    [("", ["--seed", "-1"], "--seed"), ("", ["--out", "params.yaml"], "params.yaml"),
     ("", ["--test-share", "0.2"], "--test-share"), ("", ["--subjects", "gone.csv"], "gone.csv"),
     ("", ["--subjects", "a.csv", "--subject-pattern", "a"], "--subject"),
     # A flat set, which these do not split.
     *(("train", ["--test-share", share], share) for share in ("0", "1.5", "0.99")),
     ("train", ["--test-share", "0.5", "--subject-pattern", "(Ill|Sané)"], "--test-share"),
     ("train", [], "--test-share")],
)  # fmt: skip
def test_import_images_with_wrong_arguments_names_them_and_writes_nothing(
    workspace: Path, image_set: Path, source: str, arguments: list[str], named: str
) -> None:
    check_refused(workspace, [str(image_set / source), *arguments], named)


def check_refused(workspace: Path, arguments: list[str], *named: str) -> None:
    before = set(workspace.rglob("*"))
    with pytest.raises((InputError, OSError)) as error:
        convert(*arguments)
    assert "\n" not in str(error.value)
    for text in named:
        assert text in str(error.value)
    assert {path for path in workspace.rglob("*") if path.is_file()} <= before


def test_import_images_counts_what_is_wrong_by_kind(workspace: Path, image_set: Path) -> None:
    for name, size in (("x0", (16, 21)), ("x1", (16, 21)), ("x2", (15, 20))):
        Image.new("L", size).save(image_set / f"train/Ill/{name}.png")
    for name in ("x3", "x4"):
        (image_set / f"train/Ill/{name}.png").write_bytes(b"text")
    Image.new("RGBA", (16, 20)).save(image_set / "test/Ill/4.png")
    named = ["30 images", "2 unreadable, such as ", "1 transparent, such as ", "Ill/4.png",
             "24 of 20 x 16, 2 of 21 x 16, 1 of 20 x 15", "--resize"]  # fmt: skip
    check_refused(workspace, [str(image_set)], *named)


def test_import_images_of_nothing_names_it(workspace: Path, image_set: Path) -> None:
    archive = Path(shutil.make_archive("set", "zip", image_set.parent))
    archive.write_bytes(archive.read_bytes()[:-100])
    (workspace / "empty").mkdir()
    for source in ("set.zip", "empty", "gone"):
        check_refused(workspace, [source], source)

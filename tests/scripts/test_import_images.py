import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts import import_images
from src.cli import InputError
from src.data.raw_tensors import read_raw

N_BYTES = 30 * 3 * 20 * 16 * 4  # of all pixels of `image_set`
SUBJECTS = [1, 2, 0] * 3 + [0, 1, 2] * 2  # of a class; in string order: (2), (3), none


def convert(*arguments: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["import_images", *arguments])
        import_images.main()


@pytest.fixture
def image_set(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return 2 classes of 3 subjects x 5 slices, 4 and 5 in test; image i is of grey level i."""
    monkeypatch.chdir(workspace)
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
    convert("set.zip", "--max-bytes", str(N_BYTES), "--max-pixels", "320")  # just enough
    convert(str(image_set), "--out", "unpacked")
    convert("set.zip", "--out", "reordered", "--seed", "1")
    for path in Path("data/raw").iterdir():
        assert path.read_bytes() == Path("unpacked", path.name).read_bytes()
        assert b"partial" not in path.read_bytes()  # the name of a temporary file
    raw = read_raw(Path("data/raw"))
    assert raw.classes == ["Ill", "Sané"]
    assert raw.subjects is not None
    images = torch.cat([raw.images["train"], raw.images["test"]])
    levels = [round(level) for level in (255 * images[:, 0, 0, 0]).tolist()]
    expected = torch.tensor(levels).view(30, 1, 1, 1).expand(30, 3, 20, 16) / 255
    assert torch.equal(images, expected)
    assert raw.labels.tolist() == [i // 15 for i in levels]
    assert raw.subjects.tolist() == [3 * (i // 15) + SUBJECTS[i % 15] for i in levels]
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
    assert raw.subjects is None
    assert np.bincount(raw.labels).tolist() == [15, 15]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--max-bytes", str(N_BYTES - 1)], "--max-bytes"), (["--seed", "-1"], "--seed"),
     (["--max-pixels", "319"], "--max-pixels"), (["--out", "params.yaml"], "params.yaml"),
     ([], "x3.png"), ([], "5 (2).png")],  # of another height, and width
)  # fmt: skip
def test_import_images_that_cannot_be_names_why_and_writes_nothing(
    workspace: Path, image_set: Path, arguments: list[str], named: str
) -> None:
    for path in image_set.rglob(f"Sané/{named}"):
        Image.new("L", (16, 21) if "x" in named else (15, 20)).save(path)
    before = set(workspace.rglob("*"))
    with pytest.raises(InputError, match=re.escape(named)):
        convert(str(image_set), *arguments)
    assert {path for path in workspace.rglob("*") if path.is_file()} <= before

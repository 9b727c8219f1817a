import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts import import_images
from src.cli import InputError
from src.data.raw_tensors import read_raw

Convert = Callable[..., str]
N_BYTES = 30 * 3 * 20 * 16 * 4  # of all pixels of `image_set`


@pytest.fixture
def convert(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Convert:
    """Run the script in the workspace; return what it prints."""
    monkeypatch.chdir(workspace)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["import_images", *arguments])
        import_images.main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def image_set(workspace: Path) -> Path:
    """Return the public layout: 2 classes of 3 subjects x 5 slices, slices 4 and 5 in test."""
    rng = np.random.default_rng(0)
    top = workspace / "download/Some Dataset"
    for name in ("Ill", "Sané"):
        files = [f"train/{name}/x{i}.jpg" for i in range(9)]
        files += [f"test/{name}/{s}{k}.jpg" for s in (4, 5) for k in ("", " (2)", " (3)")]
        for file in files:
            (top / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 16), np.uint8)).save(top / file)
    (top / "train/Ill/Thumbs.db").write_bytes(b"no image")
    return top


def test_import_images_of_a_zip_or_its_folder_gives_each_row_its_label_and_subject(
    workspace: Path, image_set: Path, convert: Convert
) -> None:
    shutil.make_archive(str(workspace / "set"), "zip", image_set.parent)
    limits = ["--max-bytes", str(N_BYTES), "--max-pixels", str(20 * 16)]  # just enough
    assert "subjects: 6" in convert("set.zip", *limits)
    convert(str(image_set), "--out", "unpacked")
    convert("set.zip", "--out", "reordered", "--seed", "1")
    for path in Path("data/raw").iterdir():
        assert path.read_bytes() == (Path("unpacked") / path.name).read_bytes()
        assert b"partial" not in path.read_bytes()  # the name of a temporary file

    raw = read_raw(Path("data/raw"))
    assert raw.classes == ["Ill", "Sané"]
    images = torch.cat([raw.images["train"], raw.images["test"]])
    assert images.shape == (18 + 12, 3, 20, 16)
    assert raw.subjects is not None
    subjects = {f"x{i}.jpg": (1, 2, 0)[i % 3] for i in range(9)}  # string order: (2), (3), none
    subjects |= {f"{s}{k}.jpg": i for s in (4, 5) for i, k in enumerate(("", " (2)", " (3)"))}
    row_of = {image[1].numpy().tobytes(): row for row, image in enumerate(images)}
    order: dict[str, list[int]] = {"train": [], "test": []}
    for path in sorted(image_set.rglob("*.jpg")):
        row = row_of[(np.asarray(Image.open(path)) / np.float32(255)).tobytes()]
        label = raw.classes.index(path.parent.name)
        assert raw.labels[row] == label
        assert raw.subjects[row] == 3 * label + subjects[path.name]
        order[path.parent.parent.name].append(row)
    assert sorted(order["train"]) == list(range(18)) != order["train"]
    assert sorted(order["test"]) == list(range(18, 30))
    assert not torch.equal(read_raw(Path("reordered")).images["train"], raw.images["train"])


def test_import_images_of_other_names_has_no_subjects(image_set: Path, convert: Convert) -> None:
    (image_set / "test/Sané/4.jpg").rename(image_set / "test/Sané/other.jpg")
    assert "(Sané: other.jpg" in convert(str(image_set))
    raw = read_raw(Path("data/raw"))
    assert raw.subjects is None
    assert np.bincount(raw.labels).tolist() == [15, 15]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--max-bytes", str(N_BYTES - 1)], "--max-bytes"), (["--seed", "-1"], "--seed"),
     (["--max-pixels", "319"], "--max-pixels"), (["--out", "params.yaml"], "params.yaml"),
     ([], "x3.jpg"), ([], "5 (2).jpg")],  # of another height, and width
)  # fmt: skip
def test_import_images_that_cannot_be_names_why_and_writes_nothing(
    workspace: Path, image_set: Path, convert: Convert, arguments: list[str], named: str
) -> None:
    for path in image_set.rglob(f"Sané/{named}"):
        Image.new("L", (16, 21) if "x" in named else (15, 20)).save(path)
    before = {path for path in workspace.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=re.escape(named)):
        convert(str(image_set), *arguments)
    assert {path for path in workspace.rglob("*") if path.is_file()} == before

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from src.cli import InputError
from src.storage.dataset import read_info
from stages import load
from tests.conftest import PARAMS, RunStage, load_npy, write_raw

FLAT = Path("data/flat")


@pytest.fixture
def here(raw: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the good raw folder, with the workspace as the current folder."""
    monkeypatch.chdir(raw.parents[1])
    return raw


def set_split(split: str, fold: int) -> None:
    new = f"split: {split}\n  folds: 3\n  fold: {fold}"
    Path("params.yaml").write_text(PARAMS.replace("split: given\n  folds: 2\n  fold: 0", new))


def test_load_writes_each_row_once_and_describes_them(here: Path) -> None:
    load.main()
    for split, n_rows in (("train", 23), ("test", 14)):
        x = load_npy(FLAT / f"x_{split}.npy")
        assert x.dtype == np.uint8
        images = torch.load(here / f"{split}_data.pt")
        np.testing.assert_array_equal(x / np.float32(255), images[:, 0].flatten(1))
        for kind, expected in (("y", np.arange(n_rows) % 3), ("subjects", np.arange(n_rows) // 3)):
            numbers = load_npy(FLAT / f"{kind}_{split}.npy")
            assert numbers.dtype == np.int64
            np.testing.assert_array_equal(numbers, expected)
    assert json.loads((FLAT / "info.json").read_text()) == {
        "image_shape": [3, 36, 40],
        **{key: ["Ill", "Sane", "Unsure"] for key in ("classes", "scored")},
        "counts": {"train": [8, 8, 7], "test": [5, 5, 4]},
        "stored": {"channels": 1, "dtype": "uint8"},
    }
    assert Path("plots/sample.png").is_file()


def test_load_of_another_folder_replaces_all_outs_or_none(here: Path) -> None:
    load.main()
    shutil.rmtree(here)
    write_raw(here, shape=(3, 9, 7), classes=("a", "b"), subjects=False)
    images = torch.load(here / "test_data.pt")
    images[13, 2, 3, 3] = 0.123  # one channel of the last row
    torch.save(images, here / "test_data.pt")
    load.main()
    assert not list(FLAT.glob("subjects_*"))
    np.testing.assert_array_equal(load_npy(FLAT / "x_test.npy"), images.flatten(1))

    good = {path.name: path.read_bytes() for path in FLAT.iterdir()}
    images = images.double()
    images[9, 2, 5, 5] = 1e39  # beyond float32's range
    torch.save(images, here / "test_data.pt")
    for split, named in (("given", r"test_data.pt: row 9 "), ("subject", r"data\.split")):
        set_split(split, 0)
        with pytest.raises(InputError, match=named):
            load.main()
    assert {path.name: path.read_bytes() for path in FLAT.iterdir()} == good


def test_load_with_unseen_classes_says_so_in_an_ascii_terminal_too(
    here: Path, run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(torch.full((23,), 2), here / "train_labels.pt")
    torch.save(torch.arange(14) % 2, here / "test_labels.pt")
    (here / "classes.json").write_text(json.dumps(["Démence", "a,\"b'", "$\\frac{$"]))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    said = run_stage("load").stdout
    assert [name in said for name in (r"D\xe9mence", "a,\"b'", "$\\frac{$")] == [True, True, False]
    assert read_info().scored == read_info().classes[:2]
    assert read_info().counts == {"train": [0, 0, 23], "test": [7, 7, 0]}


def by_row(split: str) -> dict[bytes, tuple[int, int]]:
    """Return the label and the subject of each row by its pixels."""
    x, y, subjects = (load_npy(FLAT / f"{kind}_{split}.npy") for kind in ("x", "y", "subjects"))
    return dict(zip(map(bytes, x), zip(y, subjects, strict=True), strict=True))


@pytest.mark.parametrize("split", ["subject", "random"])
def test_load_of_folds_tests_each_row_once_with_its_own_label(
    here: Path, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for half, n_rows in (("train", 23), ("test", 14)):
        ids = torch.arange(n_rows) % 8
        torch.save(ids, here / f"{half}_subjects.pt")
        torch.save((ids >= 4).long() + (ids == 7), here / f"{half}_labels.pt")
    load.main()
    given = by_row("train") | by_row("test")
    tested: list[bytes] = []
    for fold in range(3):
        set_split(split, fold)
        load.main()
        train, test = by_row("train"), by_row("test")
        assert train | test == given
        tested += test
        subjects = [{subject for _, subject in rows.values()} for rows in (train, test)]
        assert subjects[0].isdisjoint(subjects[1]) is (split == "subject")
        for rows in (train, test):  # which are shuffled
            assert [row for row in given if row in rows] != [*rows]
        # The only subject of Unsure is in one fold.
        assert ("Unsure" in capsys.readouterr().out) is (split == "subject")
        assert read_info().unscored_classes == (["Unsure"] if split == "subject" else [])
    assert sorted(tested) == sorted(given)

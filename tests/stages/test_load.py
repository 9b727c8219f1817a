import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from stages import load
from tests.helpers.raw_folders import write_raw
from tests.helpers.stages import RunStage, load_npy

from mri_stages.errors import InputError
from mri_stages.storage.dataset import read_info

FLAT = Path("data/flat")


def test_load_writes_each_row_once_and_describes_them(raw: Path) -> None:
    load.main()
    for split, n_rows in (("train", 23), ("test", 14)):
        x = load_npy(FLAT / f"x_{split}.npy")
        assert x.dtype == np.uint8
        images = torch.load(raw / f"{split}_data.pt")
        np.testing.assert_array_equal(x / np.float32(255), images[:, 0].flatten(1))
        for kind, expected in (("y", np.arange(n_rows) % 3), ("subjects", np.arange(n_rows) // 3)):
            numbers = load_npy(FLAT / f"{kind}_{split}.npy")
            assert numbers.dtype == np.int64
            np.testing.assert_array_equal(numbers, expected)
    assert json.loads((FLAT / "info.json").read_text()) == {
        "image_shape": [3, 36, 40],
        "classes": ["Ill", "Sane", "Unsure"],
        "counts": {"train": [8, 8, 7], "test": [5, 5, 4]},
        "stored": {"channels": 1, "dtype": "uint8"},
    }


def test_load_of_another_folder_replaces_all_outs_or_none(raw: Path) -> None:
    load.main()
    shutil.rmtree(raw)
    write_raw(raw, shape=(3, 9, 7), classes=("a", "b"), subjects=False)
    images = torch.load(raw / "test_data.pt")
    images[13, 2, 3, 3] = 0.123  # one channel of the last row
    torch.save(images, raw / "test_data.pt")
    load.main()
    assert not list(FLAT.glob("subjects_*"))
    np.testing.assert_array_equal(load_npy(FLAT / "x_test.npy"), images.flatten(1))

    good = {path.name: path.read_bytes() for path in FLAT.iterdir()}
    images = images.double()
    images[9, 2, 5, 5] = 1e39  # beyond float32's range
    torch.save(images, raw / "test_data.pt")
    with pytest.raises(InputError, match=r"test_data.pt: row 9 "):
        load.main()
    assert {path.name: path.read_bytes() for path in FLAT.iterdir()} == good


def test_load_with_unseen_classes_says_so_in_an_ascii_terminal_too(
    raw: Path, run_stage: RunStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(torch.full((23,), 2), raw / "train_labels.pt")
    torch.save(torch.arange(14) % 2, raw / "test_labels.pt")
    (raw / "classes.json").write_text(json.dumps(["Démence", "a,\"b'", "$\\frac{$"]))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    said = run_stage("load").stdout
    assert [name in said for name in (r"D\xe9mence", "a,\"b'", "$\\frac{$")] == [True, True, False]
    assert read_info().counts == {"train": [0, 0, 23], "test": [7, 7, 0]}

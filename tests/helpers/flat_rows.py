"""A data/flat of 60 rows of 15 subjects, whose rows in train and in test are alike."""

import json
from pathlib import Path

import numpy as np

N_TRAIN = 40
CLASSES = ["Ill", "Sane", "Unsure"]
RNG = np.random.default_rng(0)
SUBJECTS = np.concatenate([np.arange(N_TRAIN) % 15, 14 - np.arange(20) % 12])
PIXELS = (RNG.integers(0, 200, (15, 20))[SUBJECTS] + RNG.integers(0, 50, (60, 20))).astype(np.uint8)
LABELS = (SUBJECTS >= 9) + (SUBJECTS == 14).astype(int)  # only subject 14 is Unsure


def write_flat_rows(folder: Path) -> None:
    """Write `folder`/data/flat, images of 3 x 5 x 4 with equal channels."""
    flat = folder / "data/flat"
    flat.mkdir(parents=True)
    for split, part in (("train", slice(N_TRAIN)), ("test", slice(N_TRAIN, None))):
        np.save(flat / f"x_{split}.npy", PIXELS[part])
        np.save(flat / f"y_{split}.npy", LABELS[part])
        np.save(flat / f"subjects_{split}.npy", SUBJECTS[part])
    info = {"image_shape": [3, 5, 4], "classes": CLASSES, "counts": {}}
    (flat / "info.json").write_text(json.dumps(info))
    (folder / "data/details").mkdir()
    (folder / "data/details/files.csv").write_text("row,split,class,subject,file\n")


def remove_subject_ids(folder: Path) -> None:
    for split in ("train", "test"):
        (folder / f"data/flat/subjects_{split}.npy").unlink()

"""Raw folders of tiny made-up images."""

import json
from pathlib import Path

import torch

ROWS_PER_SUBJECT = 3


def write_raw(
    folder: Path,
    n_train: int = 23,
    n_test: int = 14,
    shape: tuple[int, ...] = (3, 36, 40),
    classes: tuple[str, ...] = ("Ill", "Sane", "Unsure"),
    subjects: bool = True,
) -> None:
    """Write a raw folder of random grey slices (equal channels, k/255), labels of every class."""
    generator = torch.Generator().manual_seed(1)
    folder.mkdir(parents=True)

    for split, n_rows in (("train", n_train), ("test", n_test)):
        grey = torch.randint(0, 256, (n_rows, 1, *shape[1:]), generator=generator).float() / 255
        grey[:, :, :4] = 0  # a background that is constant
        torch.save(grey.repeat(1, shape[0], 1, 1), folder / f"{split}_data.pt")
        torch.save(torch.arange(n_rows) % len(classes), folder / f"{split}_labels.pt")
        if subjects:
            torch.save(torch.arange(n_rows) // ROWS_PER_SUBJECT, folder / f"{split}_subjects.pt")

    (folder / "classes.json").write_text(json.dumps(classes))

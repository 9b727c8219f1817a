"""Phantom slices as a raw folder, so that a fresh clone runs with no download."""

from pathlib import Path

import numpy as np
import torch

from src.cli import run
from src.files import replacing
from src.params import read_params
from src.phantoms import CLASSES, phantoms
from src.raw import save_labels, save_tensor

OUT = Path("data/sample")
TRAIN_SHARE = 0.8  # of each subject's slices, as in the published split: by slice, not by subject


def main() -> None:
    sample = read_params().sample
    images, labels = phantoms(
        sample.subjects, sample.slices, sample.height, sample.width, sample.seed
    )
    rng = np.random.default_rng(sample.seed)
    _, position = np.indices(images.shape[:2])
    in_train = position < round(TRAIN_SHARE * sample.slices)
    rows = {
        split: rng.permutation(np.argwhere(chosen))  # (N, 2): subject, slice
        for split, chosen in (("train", in_train), ("test", ~in_train))
    }
    with replacing(OUT) as folder:
        folder.mkdir()
        for split, index in rows.items():
            grey = torch.from_numpy(images[tuple(index.T)]).float() / 255
            save_tensor(folder / f"{split}_data.pt", grey[:, None].repeat(1, 3, 1, 1))
        save_labels(
            folder,
            CLASSES,
            {split: labels[index[:, 0]] for split, index in rows.items()},
            {split: index[:, 0].copy() for split, index in rows.items()},
        )


if __name__ == "__main__":
    run(main)

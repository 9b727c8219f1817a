"""Draw phantom slices as a raw folder, so that a fresh clone runs without a download."""

import numpy as np
import torch

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.ingest.phantoms import CLASSES, draw_phantoms
from mri_stages.ingest.raw_folder import save_labels, save_tensor
from mri_stages.storage.files import write_atomically

# Of each subject's slices. As in the published split, slices are split and not subjects.
TRAIN_SHARE = 0.8


def main() -> None:
    sample = read_params().sample
    images, subject_labels = draw_phantoms(**sample.model_dump())
    _, slice_numbers = np.indices(images.shape[:2])
    train_mask = slice_numbers < round(TRAIN_SHARE * sample.slices)

    rng = np.random.default_rng(sample.seed)
    labels = {}
    subjects = {}
    with write_atomically(paths.SAMPLE) as folder:
        folder.mkdir()
        for split, mask in (("train", train_mask), ("test", ~train_mask)):
            indices = rng.permutation(np.argwhere(mask))  # (N, 2): subject, slice
            subjects[split] = indices[:, 0].copy()
            labels[split] = subject_labels[subjects[split]]
            grey = torch.from_numpy(images[tuple(indices.T)]).float() / 255
            save_tensor(folder / f"{split}_data.pt", grey[:, None].repeat(1, 3, 1, 1))
        save_labels(folder, CLASSES, labels, subjects)


if __name__ == "__main__":
    run_stage(main)

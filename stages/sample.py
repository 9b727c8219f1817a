"""Draw phantom slices as a raw folder, so that a fresh clone runs without a download."""

import numpy as np
import torch

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.ingest.phantoms import CLASSES, draw_phantoms
from mri_stages.ingest.raw_folder import save_labels, save_tensor
from mri_stages.storage.files import write_atomically

TRAIN_SHARE = 0.8  # of each subject's slices, as in the published split: by slice, not by subject


def main() -> None:
    sample = read_params().sample
    images, labels = draw_phantoms(**sample.model_dump())
    rng = np.random.default_rng(sample.seed)
    _, position = np.indices(images.shape[:2])
    in_train = position < round(TRAIN_SHARE * sample.slices)
    subjects = {}
    with write_atomically(paths.SAMPLE) as folder:
        folder.mkdir()
        for split, chosen in (("train", in_train), ("test", ~in_train)):
            index = rng.permutation(np.argwhere(chosen))  # (N, 2): subject, slice
            subjects[split] = index[:, 0].copy()
            grey = torch.from_numpy(images[tuple(index.T)]).float() / 255
            save_tensor(folder / f"{split}_data.pt", grey[:, None].repeat(1, 3, 1, 1))
        save_labels(folder, CLASSES, {s: labels[ids] for s, ids in subjects.items()}, subjects)


if __name__ == "__main__":
    run_stage(main)

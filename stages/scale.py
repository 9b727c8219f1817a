"""Standardise every feature by its mean and standard deviation over the training rows."""

from math import prod

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.preprocessing.scaler import save_scaler
from mri_stages.preprocessing.scaling import list_scale_warnings, write_scaled
from mri_stages.storage.dataset import read_info, read_stored_splits


def main() -> None:
    read_params()  # every stage checks the whole file
    info = read_info()
    train, test = read_stored_splits(info)

    # The rows of train and test share one running index.
    indices = np.arange(len(train) + len(test))
    train_indices, test_indices = np.split(indices, [len(train)])
    scaler = write_scaled(
        [train, test],
        {
            paths.scaled_images("train"): train_indices,
            paths.scaled_images("test"): test_indices,
        },
    )
    save_scaler(paths.SCALER, scaler, prod(info.image_shape))
    for warning in list_scale_warnings(scaler, test):
        print(warning)


if __name__ == "__main__":
    run_stage(main)

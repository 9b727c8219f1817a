"""Standardise every feature by its mean and standard deviation over the training rows."""

from math import prod

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.preprocessing.scaler import save_scaler
from mri_stages.preprocessing.scaling import (
    fit_checked_scaler,
    list_scale_warnings,
    write_no_rows,
    write_scaled,
)
from mri_stages.storage.dataset import read_info, read_stored_splits


def main() -> None:
    scaled = read_params().data.scaled
    info = read_info()
    train, test = read_stored_splits(info)

    # The rows of train and test share one running index.
    indices = np.arange(len(train) + len(test))
    train_indices, test_indices = np.split(indices, [len(train)])
    files = {
        paths.scaled_images("train"): train_indices,
        paths.scaled_images("test"): test_indices,
    }
    if scaled == "saved":
        scaler = write_scaled([train, test], files)
    else:
        scaler = fit_checked_scaler([train, test], files)
        write_no_rows(files, train.shape[1])
    save_scaler(paths.SCALER, scaler, prod(info.image_shape))
    for warning in list_scale_warnings(scaler, test):
        print(warning)


if __name__ == "__main__":
    run_stage(main)

"""Standardise every feature by its mean and deviation over the training rows."""

from math import prod

import numpy as np

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.preprocessing.scaling import list_scale_warnings, save_scaler, write_scaled
from mri_stages.storage.dataset import SPLITS, read_info, read_stored_splits


def main() -> None:
    read_params()  # every stage checks the whole file
    info = read_info()
    stored = read_stored_splits(info)
    train, test = np.split(np.arange(sum(map(len, stored))), [len(stored[0])])
    files = dict(zip(map(paths.scaled_images, SPLITS), (train, test), strict=True))
    scaler = write_scaled(stored, files)
    save_scaler(paths.SCALER, scaler, prod(info.image_shape))
    for warning in list_scale_warnings(scaler, stored[1]):
        print(warning)


if __name__ == "__main__":
    run_stage(main)

"""Standardise every feature by its mean and deviation over the training rows."""

from math import prod

import numpy as np

from src import paths
from src.cli import run
from src.data.scaling import fit_scaler, save_scaler, scaled_chunks
from src.params import read_params
from src.storage.arrays import read_rows, write_array
from src.storage.dataset import SPLITS, read_info


def main() -> None:
    read_params()  # every stage checks the whole file
    image_shape = read_info().image_shape
    sources = [paths.flat_images(split) for split in SPLITS]
    train, test = (read_rows(source, image_shape) for source in sources)
    scaler = fit_scaler(train)
    for split, source, stored in zip(SPLITS, sources, (train, test), strict=True):
        chunks = scaled_chunks(scaler, stored, source)
        write_array(paths.scaled_images(split), stored.shape, np.float32, chunks)
    save_scaler(paths.SCALER, scaler, prod(image_shape))


if __name__ == "__main__":
    run(main)

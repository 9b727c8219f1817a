"""Standardise every feature by its mean and deviation over the training rows."""

from math import prod
from pathlib import Path

import numpy as np

from src.arrays import read_train_and_test, write_array
from src.cli import run
from src.meta import read_meta
from src.params import read_params
from src.scaler import finite_chunks, fit_scaler, save_scaler, scaled_chunks

FLAT = Path("data/flat")
OUT = Path("data/scaled")
SCALER = Path("data/scaler.npz")


@np.errstate(all="ignore")  # what overflows is found by finite_chunks
def main() -> None:
    read_params()  # every stage checks the whole file
    meta = read_meta(FLAT / "meta.json")
    train, test = read_train_and_test(FLAT, meta.image_shape)
    scaler = fit_scaler(train)
    for name, x in (("x_train.npy", train), ("x_test.npy", test)):
        chunks = finite_chunks(scaled_chunks(scaler, x), FLAT / name)
        write_array(OUT / name, x.shape, np.float32, chunks)
    save_scaler(SCALER, scaler, prod(meta.image_shape))


if __name__ == "__main__":
    run(main)

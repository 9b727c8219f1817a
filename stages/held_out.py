"""Choose the training rows that the studies hold out: once, the same for all cells."""

from pathlib import Path

import numpy as np

from src.arrays import read_array, write_array
from src.cli import run
from src.held_out import held_out_rows
from src.params import read_params

FLAT = Path("data/flat")
OUT = Path("studies/held_out.npy")


def main() -> None:
    read_params()  # every stage checks the whole file
    y = read_array(FLAT / "y_train.npy")
    subjects = FLAT / "subjects_train.npy"
    held_out = held_out_rows(y, read_array(subjects) if subjects.exists() else None)
    write_array(OUT, held_out.shape, np.bool_, [held_out])


if __name__ == "__main__":
    run(main)

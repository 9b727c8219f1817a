"""The cells of the studies as the later stages read them."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from src.files import read_json
from src.params import Studies

Cell = dict[str, Any]  # what stages/study_cell.py writes


class Cells(NamedTuple):
    """The cells of each study, in the order of its values and seeds."""

    seed: list[Cell]
    learning_rate: list[Cell]
    fixed: list[Cell]  # batch sizes at the model's own learning rate
    linear: list[Cell]  # batch sizes at a learning rate in proportion


def cell_paths(folder: Path, studies: Studies) -> list[list[Path]]:
    """The files of the cells that params.yaml names, a list for each field of Cells.

    A file is named after its value as DVC writes it into the stage's name, which is Python's str.
    """
    seed, rate, size = studies.seed, studies.learning_rate, studies.batch_size
    return [
        [folder / f"{prefix}{value}-{seed}.json" for value, seed in product(values, seeds)]
        for prefix, values, seeds in (
            ("seed/", seed.models, seed.seeds),
            ("learning_rate/", rate.values, rate.seeds),
            ("batch_size/fixed-", size.values, size.seeds),
            ("batch_size/linear-", size.values, size.seeds),
        )
    ]


def read_cells(folder: Path, studies: Studies) -> Cells:
    """Those that params.yaml names, no other that lies in the folder; InputError if one lacks."""
    return Cells(*([read_json(path) for path in paths] for paths in cell_paths(folder, studies)))


def by_value(cells: Iterable[Cell], key: str) -> dict[Any, list[Cell]]:
    """The cells of each value of `key` ("lr", "batch_size" or "model"); numbers in their order."""
    groups: dict[Any, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell[key], []).append(cell)
    return groups if key == "model" else dict(sorted(groups.items()))


def numbers(cells: Iterable[Cell], measure: str) -> list[float]:
    """The measure of the cells that have it as a number."""
    found = [cell.get(measure) for cell in cells]
    return [float(value) for value in found if isinstance(value, int | float)]


def mean_and_deviation(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (of a sample: n - 1); None where there are too few values."""
    return (mean(values) if values else None), (stdev(values) if len(values) > 1 else None)

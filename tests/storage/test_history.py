"""The history of a model: one row per epoch, and per network of an ensemble."""

import math
import re
from pathlib import Path

import pytest

from mri_stages.storage.files import read_csv
from mri_stages.storage.history import (
    Epoch,
    find_best_epoch,
    find_kept_epoch,
    split_by_network,
    write_history,
)


def make_history(*losses: float | None, network: int | None = None) -> list[Epoch]:
    return [Epoch(i, 0.5, 0.25, 0.0, loss, 0.5, network) for i, loss in enumerate(losses, start=1)]


FIRST = make_history(3.0, 1.0, 2.0, network=0)
SECOND = make_history(1.0, math.inf, network=1)
THIRD = make_history(math.nan, math.nan, network=2)
FOURTH = make_history(3.0, 2.0, 1.0, network=3)


@pytest.mark.parametrize(
    ("history", "best"),
    [
        (make_history(3.0, 1.0, 2.0), 2),
        (make_history(1.0, 1.0), 1),  # the first of equal losses
        (make_history(math.nan, 5.0, math.inf), 2),
        (make_history(2.0, 1.0), 2),
        (make_history(math.nan, math.inf), None),
        (make_history(None, None), None),
    ],
)
def test_find_best_epoch(history: list[Epoch], best: int | None) -> None:
    assert find_best_epoch(history) == best


@pytest.mark.parametrize(
    ("history", "kept"),
    [
        (make_history(3.0, 1.0), 2),
        ([*FIRST, *SECOND, *FOURTH], 2),  # of 2, 1 and 3
        ([*FIRST, *FOURTH], 2),  # the lower one of 2 and 3
        ([*FOURTH, *THIRD], 3),  # one network has no epoch
        (THIRD, None),
    ],
)
def test_find_kept_epoch_is_the_lower_median(history: list[Epoch], kept: int | None) -> None:
    assert find_kept_epoch(history) == kept


@pytest.mark.parametrize(
    ("validation_loss", "figures"),
    [(None, ["0.5", "25.0%"]), (2.0, ["0.5", "25.0%", "2", "75.0%"])],
)
def test_epoch_is_described_by_the_figures_that_it_has(
    validation_loss: float | None, figures: list[str]
) -> None:
    accuracy = None if validation_loss is None else 0.75
    text = Epoch(1, 0.5, 0.4, 0.25, validation_loss, accuracy).describe()
    assert re.findall(r"[\d.]+%?", text) == figures


def test_split_by_network_gives_their_histories() -> None:
    assert split_by_network([*FIRST, *SECOND]) == [FIRST, SECOND]
    assert split_by_network(make_history(1.0, 2.0)) == [make_history(1.0, 2.0)]


@pytest.mark.parametrize(
    ("history", "last_column"),
    [(make_history(1.0, None), "validation_accuracy"), ([*FIRST, *SECOND], "network")],
)
def test_history_reads_back_as_written(
    tmp_path: Path, history: list[Epoch], last_column: str
) -> None:
    path = tmp_path / "history.csv"
    write_history(path, history)
    assert read_csv(path, Epoch) == history
    assert path.read_text().splitlines()[0].split(",")[-1] == last_column

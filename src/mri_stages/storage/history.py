"""The history of a training: one row per epoch, and per network of an ensemble."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from mri_stages.storage.files import write_csv


class Epoch(NamedTuple):
    """A row of plots/history/M.csv; train_* are of each batch before its own step."""

    epoch: int  # from 1
    train_loss: float  # mean over the training rows
    last_batch_loss: float  # what the notebook prints
    train_accuracy: float  # NaN logits count as class 0, which is what argmax makes of them
    validation_loss: float | None = None  # after the epoch; None without validation
    validation_accuracy: float | None = None
    network: int | None = None  # of an ensemble, from 0; None where there is one network

    def describe(self) -> str:
        """Return the losses and accuracies in one line."""
        text = f"loss {self.train_loss:.4g}, accuracy {self.train_accuracy:.1%}"
        if self.validation_loss is not None and self.validation_accuracy is not None:
            text += f", validation {self.validation_loss:.4g}, {self.validation_accuracy:.1%}"
        return text


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the history of a model; `network` is a column only if the model is an ensemble."""
    columns = list_columns(history)
    write_csv(path, columns, [list_values(row, columns) for row in history])


def list_columns(history: Iterable[Epoch]) -> list[str]:
    """Return the columns of a table of these rows, without `network` where no row has one."""
    columns = list(Epoch._fields)
    if all(row.network is None for row in history):
        columns.remove("network")
    return columns


def list_values(row: Epoch, columns: Iterable[str]) -> list[float | None]:
    """Return what a row holds in these columns."""
    return [getattr(row, column) for column in columns]


def split_by_network(history: Iterable[Epoch]) -> list[list[Epoch]]:
    """Return the history of each network of a model, in their order."""
    histories: dict[int | None, list[Epoch]] = {}
    for row in history:
        histories.setdefault(row.network, []).append(row)
    return list(histories.values())


def find_kept_epoch(history: Iterable[Epoch]) -> int | None:
    """Return the epoch whose weights are kept; None without a finite validation loss.

    Of an ensemble it is the median over the networks that have one, or the lower of the two in the
    middle.
    """
    best_epochs = [find_best_epoch(rows) for rows in split_by_network(history)]
    kept_epochs = [epoch for epoch in best_epochs if epoch is not None]
    return median_low(kept_epochs) if kept_epochs else None


def find_best_epoch(history: Iterable[Epoch]) -> int | None:
    """Return one network's first epoch of the lowest validation loss; None without a finite one."""
    best_epoch = None
    best_loss = math.inf
    for row in history:
        if row.validation_loss is not None and row.validation_loss < best_loss:
            best_epoch = row.epoch
            best_loss = row.validation_loss
    return best_epoch

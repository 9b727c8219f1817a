"""The rows of the studies' CSV files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from mri_stages.storage.files import write_csv


class Record(BaseModel):
    """A row of a CSV file; its fields are the columns."""

    model_config = ConfigDict(frozen=True)


R = TypeVar("R", bound=Record)


class Run(Record):
    """A row of studies/runs/{seed,learning_rate,batch_size}: one training with one seed.

    It trains on four fifths of the training rows and is scored on the fifth that is held out.
    Losses are mean cross-entropies in nats. NaN is a measure that was not taken.
    """

    model: str
    seed: int
    lr: float
    batch_size: int
    rows: int  # trained on
    held_out_rows: int
    constant_loss: float  # the lowest of a constant answer: the entropy of the class shares
    start_loss: float  # over the rows trained on, before training
    train_loss: float  # over the same rows, after training
    held_out_loss: float
    train_accuracy: float  # after training; NaN logits count as class 0
    held_out_accuracy: float
    gap: float  # train_accuracy - held_out_accuracy
    diverged: bool  # train_loss is NaN, or at least ten times start_loss
    lowest_loss: float  # the lowest of an epoch, where each batch counts as before its own step
    epochs_to_90: float  # until an epoch had 90 % training accuracy; inf: never
    steps_to_90: float
    largest_rise: float  # of the loss from one epoch to the next; 0 if it only fell
    overshoots: bool  # an epoch's loss is above start_loss, or NaN
    turns: int  # of the loss from falling to rising or back, over the epochs
    distance: float = math.nan  # between first and last weights; NaN after divergence
    # These are measured where the study asks for the curvature, those of the end only if the run
    # did not diverge.
    gradient_start: float = math.nan  # length of the gradient
    noise_scale_start: float = math.nan  # rows; NaN also if undefined, see `measure_gradient_noise`
    gradient_end: float = math.nan
    noise_scale_end: float = math.nan
    sharpness: float = math.nan  # see `measure_sharpness`, also for its limits


class LeakageRun(Record):
    """A row of studies/runs/leakage: one training with one seed."""

    model: str
    seed: int  # of the test subjects, of the rows, of the training
    share: int  # per cent of the test subjects that also train
    permuted: bool  # whether each subject has the label of a random one: there is nothing to learn
    rows: int  # trained on
    test_rows: int
    accuracy: float  # by row
    ci_low: float  # 95 % confidence interval, see metrics/*.json
    ci_high: float
    balanced_accuracy: float
    majority: float  # accuracy of the largest class of the training rows


class Summary(Record):
    """A row of studies/summary.csv: one measure of the runs of one value."""

    study: str  # seed, learning_rate, or the rule for the learning rate of a batch size
    value: str | int | float
    measure: str
    mean: float | None
    sd: float | None  # sample standard deviation
    runs: int  # with a number
    without: int
    diverged: int  # of all runs


def write_records(path: Path, kind: type[R], records: Sequence[R]) -> None:
    """Write a CSV with the fields of `kind` as its header, also where there is no record."""
    rows = [list(record.model_dump().values()) for record in records]
    write_csv(path, list(kind.model_fields), rows)

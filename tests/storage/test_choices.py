"""The choices of the outer folds read back as they were written."""

import pytest

from mri_stages.storage.choices import (
    Choice,
    describe_choices,
    read_choices,
    read_chosen_metrics,
    write_choices,
    write_chosen_metrics,
)
from mri_stages.storage.records import Estimate

CHOICES = [Choice(0, 0, "b", 0.5), Choice(0, 1, "a", None), Choice(1, 0, "a", 0.75)]


@pytest.fixture(autouse=True)
def folder(workspace: None) -> None:
    """A folder of its own."""


@pytest.mark.parametrize("n_choices", [0, 3])
def test_choices_read_back(n_choices: int) -> None:
    write_choices(CHOICES[:n_choices])
    assert read_choices() == CHOICES[:n_choices]


def test_describe_choices_has_the_most_frequent_first() -> None:
    assert describe_choices(CHOICES) == "a in 2 folds, b in 1 fold"


def test_chosen_metrics_read_back() -> None:
    write_chosen_metrics({"auc_by_fold": 0.5, "auc_by_fold_low": 0.25, "auc_by_fold_high": 0.75})
    metrics = read_chosen_metrics()
    assert metrics is not None
    assert metrics.estimate == Estimate(0.5, 0.25, 0.75)


def test_chosen_metrics_without_a_choice_are_none() -> None:
    assert read_chosen_metrics() is None
    write_chosen_metrics({})
    assert read_chosen_metrics() is None

"""Read the runs of the studies, group them by value, and summarise each group."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TypeVar

from mri_stages.config.schema import Params
from mri_stages.storage.files import read_csv
from mri_stages.studies.points import LrRule, StudyName, StudyPoint, list_points
from mri_stages.studies.records import Run, Summary

SUMMARISED_MEASURES = (
    "train_loss", "train_accuracy", "held_out_accuracy", "gap", "epochs_to_90", "steps_to_90",
    "largest_rise", "distance", "noise_scale_start", "noise_scale_end", "sharpness",
)  # fmt: skip

T = TypeVar("T")
V = TypeVar("V", str, int, float)

RunsByNumber = Mapping[float, Sequence[Run]]  # by learning rate or batch size


@dataclass(frozen=True)
class StudyRuns:
    """The runs of every study by value: models as in params.yaml, numbers from the lowest."""

    seed: Mapping[str, Sequence[Run]]
    learning_rate: RunsByNumber
    batch_size: Mapping[LrRule, RunsByNumber]


def read_study_runs(params: Params) -> StudyRuns:
    """Return the runs that params.yaml names; InputError if a file is missing."""
    seed_runs = _read_runs(list_points(params, StudyName.SEED))
    rate_runs = _read_runs(list_points(params, StudyName.LEARNING_RATE))
    size_runs = {
        rule: _read_runs(list_points(params, StudyName.BATCH_SIZE, rule)) for rule in LrRule
    }
    return StudyRuns(
        seed=group_runs(seed_runs, lambda run: run.model),
        learning_rate=group_by_rate(rate_runs),
        batch_size={rule: group_by_size(runs) for rule, runs in size_runs.items()},
    )


def _read_runs(points: Iterable[StudyPoint]) -> list[Run]:
    runs = []
    for point in points:
        runs += read_csv(point.path, Run)
    return runs


def group_by_rate(runs: Iterable[Run]) -> dict[float, list[Run]]:
    return dict(sorted(group_runs(runs, lambda run: run.lr).items()))


def group_by_size(runs: Iterable[Run]) -> dict[float, list[Run]]:
    groups: dict[int, list[Run]] = group_runs(runs, lambda run: run.batch_size)
    return dict(sorted(groups.items()))


def group_runs(runs: Iterable[T], value_of: Callable[[T], V]) -> dict[V, list[T]]:
    """Return the runs of each value, in the order in which the values first occur."""
    groups: defaultdict[V, list[T]] = defaultdict(list)
    for run in runs:
        groups[value_of(run)].append(run)
    return dict(groups)


def summarise_studies(runs: StudyRuns) -> list[Summary]:
    """Return the rows of studies/summary.csv."""
    summaries = [
        *summarise_groups(StudyName.SEED, runs.seed),
        *summarise_groups(StudyName.LEARNING_RATE, runs.learning_rate),
    ]
    for rule, groups in runs.batch_size.items():
        summaries += summarise_groups(rule, groups)
    return summaries


def summarise_groups(study: str, groups: Mapping[V, Sequence[Run]]) -> list[Summary]:
    """Return a row for each measure of each value."""
    summaries = []
    for value, runs in groups.items():
        n_diverged = sum(run.diverged for run in runs)
        for measure in SUMMARISED_MEASURES:
            values = select_finite(getattr(run, measure) for run in runs)
            average, deviation = compute_mean_and_std(values)
            summaries.append(
                Summary(
                    study=study,
                    value=value,
                    measure=measure,
                    mean=average,
                    sd=deviation,
                    runs=len(values),
                    without=len(runs) - len(values),
                    diverged=n_diverged,
                )
            )
    return summaries


def select_finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def compute_mean_and_std(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation (n - 1); None where there are too few values."""
    average = mean(values) if values else None
    deviation = stdev(values) if len(values) > 1 else None
    return average, deviation

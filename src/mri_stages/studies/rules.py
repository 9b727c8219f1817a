"""The rules that judge the notebook's claims by the runs of the studies.

A rule says in words what it asks (`describe`) and what would decide a claim that it could not
decide (`would_decide`), and it judges the runs. The words are part of studies/claims.json.
The rules were fixed before the results; only `OnlyAboveLowestLoss` was changed afterwards.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean, median
from typing import Any, NamedTuple, Protocol

from scipy.stats import spearmanr

from mri_stages.studies.points import LrRule
from mri_stages.studies.records import Run
from mri_stages.studies.summary import (
    RunsByNumber,
    StudyRuns,
    compute_mean_and_std,
    select_finite,
)

SIGNIFICANCE_LEVEL = 0.05
MIN_TREND_VALUES = 2
MIN_TREND_POINTS = 5  # of fewer points, no order is rare enough to be significant

MAX_LEARNED_LOSS = 0.9  # of the loss of a constant answer
MAX_STUCK_GRADIENT = 0.1  # of the length of the gradient before training
MIN_TURNS_OF_OSCILLATION = 2
MOST_SEEDS = 0.5  # the share of the seeds of a value that is less than most of them


class Verdict(StrEnum):
    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    UNDECIDED = "not decided here"


class Finding(NamedTuple):
    """The result of a rule: a verdict, and figures that claims.json shows beside it."""

    verdict: Verdict
    figures: dict[str, Any]


class Rule(Protocol):
    def describe(self) -> str:
        """Return what the rule asks of the runs."""

    def would_decide(self) -> str:
        """Return which runs would decide the claim where these do not."""

    def judge(self, runs: StudyRuns) -> Finding: ...


@dataclass(frozen=True)
class Condition:
    """What a run meets or does not meet, and the words for runs that meet it."""

    description: str
    is_met: Callable[[Run], bool]


@dataclass(frozen=True)
class Measure:
    """A figure of a run."""

    description: str
    read_value: Callable[[Run], float]

    def list_values(self, runs: Sequence[Run]) -> list[float]:
        """Return the figure of each run of one value."""
        return [self.read_value(run) for run in runs]


class DistanceFromMedian(Measure):
    """The distance of a run's figure from the median over the runs of its value."""

    def list_values(self, runs: Sequence[Run]) -> list[float]:
        """Return the distance of each run; NaN for a single run, which has no variation."""
        values = super().list_values(runs)
        middle = median(values) if len(values) > 1 else math.nan
        return [abs(value - middle) for value in values]


CONVERGES = Condition("do not diverge", lambda run: not run.diverged)
LEARNS = Condition(
    "learn",
    lambda run: not run.diverged and run.train_loss < MAX_LEARNED_LOSS * run.constant_loss,
)
DIVERGES = Condition("diverge", lambda run: run.diverged)
OVERSHOOTS = Condition(
    "see an epoch's loss above that before training, or NaN", lambda run: run.overshoots
)
OSCILLATES = Condition(
    "see the loss turn from falling to rising or back twice or more",
    lambda run: run.turns >= MIN_TURNS_OF_OSCILLATION,
)

EPOCHS_TO_90 = Measure(
    "epochs to 90 % training accuracy (never: more than any)", lambda run: run.epochs_to_90
)
STEPS_TO_90 = Measure(
    "steps to 90 % training accuracy (never: more than any)", lambda run: run.steps_to_90
)
HELD_OUT_ACCURACY = Measure("held-out accuracy", lambda run: run.held_out_accuracy)
SEED_VARIATION = DistanceFromMedian(
    "distance of a seed's held-out accuracy from the median of its rate",
    lambda run: run.held_out_accuracy,
)
GAP = Measure("training accuracy minus held-out accuracy", lambda run: run.gap)
LARGEST_RISE = Measure(
    "largest rise of the loss from one epoch to the next", lambda run: run.largest_rise
)
DISTANCE = Measure("distance from the first to the last weights", lambda run: run.distance)
SHARPNESS = Measure("sharpness at the end", lambda run: run.sharpness)
NOISE_TO_SIGNAL = Measure(
    "noise scale at the end / batch size, which is the variance of a step's gradient over its "
    "squared length",
    lambda run: run.noise_scale_end / run.batch_size,
)


class Direction(StrEnum):
    RISES = "rises"
    FALLS = "falls"


@dataclass(frozen=True)
class TrendWithRate:
    """A measure rises or falls with the learning rate."""

    measure: Measure
    direction: Direction
    among: Condition  # a rate counts if all its runs meet this

    def describe(self) -> str:
        return (
            f"Over the learning rates that {self.among.description}: {self.measure.description} "
            f"{self.direction} with the rate"
        )

    def would_decide(self) -> str:
        return f"two rates or more that {self.among.description}"

    def judge(self, runs: StudyRuns) -> Finding:
        groups = select_groups(runs.learning_rate, self.among)
        return judge_trend(groups, self.measure, self.direction)


@dataclass(frozen=True)
class TrendWithSize:
    """A measure rises or falls with the batch size, whichever rule sets the learning rate."""

    measure: Measure
    direction: Direction

    def describe(self) -> str:
        return (
            "Over the batch sizes that learn, at a fixed learning rate and at one in proportion "
            f"alike: {self.measure.description} {self.direction} with the size"
        )

    def would_decide(self) -> str:
        return "two batch sizes or more that learn"

    def judge(self, runs: StudyRuns) -> Finding:
        findings = {}
        for rule in LrRule:
            groups = select_groups(runs.batch_size[rule], LEARNS)
            findings[rule] = judge_trend(groups, self.measure, self.direction)

        verdicts = [finding.verdict for finding in findings.values()]
        figures = {rule.value: finding.figures for rule, finding in findings.items()}
        if Verdict.UNDECIDED in verdicts:
            return Finding(Verdict.UNDECIDED, figures)
        return Finding(decide(Verdict.DOES_NOT_HOLD not in verdicts), figures)


@dataclass(frozen=True)
class OnlyAboveLowestLoss:
    """Most seeds see an event at some rate above that of the lowest loss, and at no other rate."""

    event: Condition

    def describe(self) -> str:
        return (
            "At some learning rate above that of the lowest training loss (the median over seeds), "
            f"and at none up to it, most seeds {self.event.description}"
        )

    def would_decide(self) -> str:
        return "a rate above that of the lowest training loss"

    def judge(self, runs: StudyRuns) -> Finding:
        lowest_loss_rate = choose_lowest_loss_rate(runs.learning_rate)
        shares = {}
        for rate, group in runs.learning_rate.items():
            shares[rate] = mean([self.event.is_met(run) for run in group])

        named_shares = {f"{rate:g}": share for rate, share in shares.items()}
        figures = {"lowest_loss_rate": lowest_loss_rate, "share": named_shares}
        if lowest_loss_rate is None or lowest_loss_rate == max(shares):
            return Finding(Verdict.UNDECIDED, figures)

        event_rates = [rate for rate, share in shares.items() if share > MOST_SEEDS]
        return Finding(decide(bool(event_rates) and min(event_rates) > lowest_loss_rate), figures)


@dataclass(frozen=True)
class BelowLowestLossStuck:
    """Below the rate of the lowest loss, most seeds end still, above a constant answer's loss."""

    def describe(self) -> str:
        return (
            "At some learning rate below that of the lowest training loss, most seeds end above a "
            f"constant answer's loss with a gradient under {MAX_STUCK_GRADIENT} of its length "
            "before training: still, rather than slow"
        )

    def would_decide(self) -> str:
        return "a rate below that of the lowest training loss"

    def judge(self, runs: StudyRuns) -> Finding:
        lowest_loss_rate = choose_lowest_loss_rate(runs.learning_rate)
        gradients_left = {}
        stuck_shares = {}
        for rate, group in runs.learning_rate.items():
            if lowest_loss_rate is None or rate >= lowest_loss_rate:
                continue
            # Without a gradient before training, none of it can be left.
            measured_runs = [run for run in group if not run.diverged and run.gradient_start > 0]
            if measured_runs:
                fractions = [run.gradient_end / run.gradient_start for run in measured_runs]
                gradients_left[f"{rate:g}"] = round_figure(mean(fractions))
                stuck_shares[f"{rate:g}"] = mean([is_stuck(run) for run in measured_runs])

        figures = {
            "lowest_loss_rate": lowest_loss_rate,
            "gradient_left": gradients_left,
            "share_stuck": stuck_shares,
        }
        if not stuck_shares:
            return Finding(Verdict.UNDECIDED, figures)
        return Finding(decide(max(stuck_shares.values()) > MOST_SEEDS), figures)


@dataclass(frozen=True)
class NotMeasured:
    """No run of these studies can judge the claim."""

    reason: str
    evidence: str  # what would decide the claim

    def describe(self) -> str:
        return f"None: {self.reason}"

    def would_decide(self) -> str:
        return self.evidence

    def judge(self, runs: StudyRuns) -> Finding:
        return Finding(Verdict.UNDECIDED, {})


def judge_trend(groups: RunsByNumber, measure: Measure, direction: Direction) -> Finding:
    """Judge by Spearman's correlation of value and measure over all runs, at p < 0.05.

    The correlation ranks an infinite measure behind all others and leaves out one of NaN.
    """
    measures = {value: measure.list_values(runs) for value, runs in groups.items()}
    figures: dict[str, Any] = {
        "by_value": {f"{value:g}": describe_spread(ys) for value, ys in measures.items()}
    }

    xs: list[float] = []
    ys: list[float] = []
    for value, run_measures in measures.items():
        numbers = [number for number in run_measures if not math.isnan(number)]
        xs += [value] * len(numbers)
        ys += numbers
    if len(set(xs)) < MIN_TREND_VALUES or len(ys) < MIN_TREND_POINTS:
        return Finding(Verdict.UNDECIDED, figures)
    if len(set(ys)) == 1:  # the correlation with a constant is undefined
        return Finding(Verdict.DOES_NOT_HOLD, {**figures, "rho": 0.0, "p": 1.0})

    rho, p = spearmanr(xs, ys)
    figures["rho"] = round(float(rho), 3)
    figures["p"] = format_p(p)
    is_in_direction = (rho > 0) == (direction is Direction.RISES)
    return Finding(decide(bool(p < SIGNIFICANCE_LEVEL and is_in_direction)), figures)


def decide(holds: bool) -> Verdict:
    return Verdict.HOLDS if holds else Verdict.DOES_NOT_HOLD


def select_groups(groups: RunsByNumber, condition: Condition) -> RunsByNumber:
    """Return the groups of which every run meets the condition."""
    return {value: runs for value, runs in groups.items() if all(map(condition.is_met, runs))}


def choose_lowest_loss_rate(groups: RunsByNumber) -> float | None:
    """Return the rate that never diverged with the lowest median training loss; None: none did."""
    losses = {}
    for rate, runs in select_groups(groups, CONVERGES).items():
        losses[rate] = median(run.train_loss for run in runs)
    return min(losses, key=losses.__getitem__, default=None)


def is_stuck(run: Run) -> bool:
    """Return whether the run stands still where a constant answer would be better."""
    is_worse_than_constant = run.train_loss > run.constant_loss
    is_still = run.gradient_end < MAX_STUCK_GRADIENT * run.gradient_start
    return is_worse_than_constant and is_still


def format_p(p: float) -> float | str:
    """Return two digits; far below the level, p says only that there are many runs."""
    return "< 1e-6" if p < 1e-6 else float(f"{p:.2g}")


def describe_spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean, sd and number of the finite values, and how many are not finite, if any."""
    finite = select_finite(values)
    average, deviation = compute_mean_and_std(finite)
    figures: dict[str, float] = {}
    if average is not None:
        figures["mean"] = round_figure(average)
    if deviation is not None:
        figures["sd"] = round_figure(deviation)

    figures["of"] = len(finite)
    if len(finite) < len(values):
        figures["without"] = len(values) - len(finite)
    return figures


def round_figure(value: float) -> float:
    """Round to four digits: enough to read, and no last bits that differ between machines."""
    return float(f"{value:.4g}")

"""What the results on new subjects say first: is a network better than the best baseline?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mri_stages.config.schema import BASELINES
from mri_stages.reporting.numbers import (
    format_interval,
    format_p_equation,
    format_range,
    format_score,
)
from mri_stages.storage.records import Difference, Metrics

SIGNIFICANCE_LEVEL = 0.05

MetricsByModel = Mapping[str, Metrics]


class Headline(NamedTuple):
    """The first sentence of the results, and what it rests on."""

    sentence: str
    figures: str  # AUCs of the best network and the best baseline; empty where there are none
    notes: list[str]  # what the sentence and the intervals leave out

    @property
    def lines(self) -> list[str]:
        """Return the sentence and the figures, without an empty one."""
        return [line for line in (self.sentence, self.figures) if line]


def describe_headline(
    cross_validated: Sequence[str],
    metrics: MetricsByModel,
    differences: Iterable[Difference],
) -> Headline:
    """Return the headline of the metrics on new subjects.

    cross_validated: the models of cross_validation.models. differences: of AUC, between models.
    """
    if not metrics:
        return Headline("Nothing is known of new subjects: no folds are possible.", "", [])

    unit = get_unit(metrics)
    networks = list_scored(cross_validated, metrics)
    baselines = list_scored(BASELINES, metrics)
    best_network = find_best(networks, metrics)
    best_baseline = find_best(baselines, metrics)
    notes = [
        *list_absent_networks(cross_validated, metrics),
        *describe_choice(networks, best_network, baselines, best_baseline, unit),
        describe_repeats(networks, metrics),
    ]
    figures = describe_figures(best_network, best_baseline, metrics, unit)

    if not cross_validated:
        sentence = "No network was cross-validated, so none is compared with a baseline."
    elif not best_network:
        sentence = f"No network has an AUC on new {unit}s, so none is compared with a baseline."
    elif not best_baseline:
        sentence = f"No baseline has an AUC on new {unit}s, so no network is compared with one."
    else:
        rivals = [
            row for row in differences if row.second == best_baseline and row.first in networks
        ]
        sentence = compare_with_baseline(best_network, best_baseline, rivals, metrics, unit)
    if unit == "row":
        sentence = f"Subject ids are unknown, so nothing is known of new subjects. {sentence}"
    return Headline(sentence, figures, [note for note in notes if note])


def get_unit(metrics: MetricsByModel) -> str:
    """Return what cross-validation counts: subject or row."""
    first_metrics = next(iter(metrics.values()))
    return first_metrics.by or "row"


def list_scored(names: Iterable[str], metrics: MetricsByModel) -> list[str]:
    """Return the names that have an AUC. A diverged model has none."""
    return [
        name
        for name in names
        if name in metrics and metrics[name].auc is not None and not metrics[name].diverged
    ]


def find_best(names: Iterable[str], metrics: MetricsByModel) -> str:
    """Return the name with the highest AUC, the first one of several; empty where none has one."""
    return max(list_scored(names, metrics), key=lambda name: metrics[name].auc or 0, default="")


def compare_with_baseline(
    best_network: str,
    best_baseline: str,
    rivals: Sequence[Difference],
    metrics: MetricsByModel,
    unit: str,
) -> str:
    """Return the sentence on the networks and the best baseline, from their differences of AUC."""
    better_rows = [row for row in rivals if row.difference > 0 and row.p < SIGNIFICANCE_LEVEL]
    if better_rows:
        names = join_names([row.first for row in better_rows])
        verb = "is" if len(better_rows) == 1 else "are"
        best_row = max(better_rows, key=lambda row: metrics[row.first].auc or 0)
        label = "difference of AUC"
        if len(better_rows) > 1:
            label = f"difference of AUC of {best_row.first}"
        return (
            f"On new {unit}s, {names} {verb} better than {best_baseline}, the best baseline: "
            f"{describe_difference(best_row, label)}."
        )

    claim = f"No network is shown to be better than {best_baseline}, the best baseline"
    best_rows = [row for row in rivals if row.first == best_network]
    if not best_rows:
        return f"{claim}: {best_network} and {best_baseline} share too few {unit}s to compare."
    label = f"difference of AUC of {best_network}"
    return f"{claim}, on new {unit}s: {describe_difference(best_rows[0], label)}."


def describe_difference(row: Difference, label: str) -> str:
    """Return a difference with its interval and p."""
    difference = f"{label} {format_score(row.difference)}"
    if row.low is None or row.high is None:
        return f"{difference}, and these {row.units} cannot tell the two apart"
    p = format_p_equation(row.p, row.p_is_floor)
    return f"{difference} {format_range(row.low, row.high)}, {p}"


def describe_figures(
    best_network: str, best_baseline: str, metrics: MetricsByModel, unit: str
) -> str:
    """Return the AUCs of the best network and the best baseline."""
    parts = []
    for name, role in ((best_network, "best network"), (best_baseline, "best baseline")):
        if name:
            auc = metrics[name].auc_estimate
            parts.append(f"{format_interval(*auc)} of {name}, the {role}")
    if not parts:
        return ""
    return f"AUC on new {unit}s, with its 95 % confidence interval: {', and '.join(parts)}."


def list_absent_networks(cross_validated: Iterable[str], metrics: MetricsByModel) -> list[str]:
    """Return a sentence on each network without a result or without an AUC."""
    sentences = []
    for name in cross_validated:
        if name not in metrics:
            sentences.append(f"{name} has no result.")
        elif metrics[name].diverged:
            sentences.append(f"{name} diverged in a fold, so it has no AUC.")
        elif metrics[name].auc is None:
            sentences.append(f"{name} has no AUC: too few {get_unit(metrics)}s of a class.")
    return sentences


def describe_choice(
    networks: Sequence[str],
    best_network: str,
    baselines: Sequence[str],
    best_baseline: str,
    unit: str,
) -> list[str]:
    """Return what the choice of the two best ones, by the {unit}s that score them, does to them."""
    if not best_network or not best_baseline:
        return []
    sentences = []
    if len(networks) > 1:
        sentences.append(
            f"p is corrected for the {len(networks)} networks (Holm), the interval is not."
        )
    if len(networks) > 1 and len(baselines) > 1:
        sentences.append(
            f"The best of {len(networks)} networks and of {len(baselines)} baselines were picked "
            f"by the {unit}s that score them, so their own AUCs are a little too high."
        )
    elif len(networks) > 1 or len(baselines) > 1:
        kind = "networks" if len(networks) > 1 else "baselines"
        n_models = max(len(networks), len(baselines))
        sentences.append(
            f"The best of {n_models} {kind} was picked by the {unit}s that score it, so its own "
            "AUC is a little too high."
        )
    return sentences


def describe_repeats(networks: Iterable[str], metrics: MetricsByModel) -> str:
    """Return what the intervals cover, by the number of repeats."""
    repeats = [metrics[name].repeats or 1 for name in networks]
    if not repeats:
        return ""
    if max(repeats) == 1:
        return (
            "There is one repeat: the intervals cover neither the seeds of the trainings nor the "
            "split into folds. cross_validation.repeats in params.yaml makes more."
        )
    return (
        f"Figures are means over {max(repeats)} repeats, each with its own folds and seed; the "
        "intervals cover subjects, folds and seeds, and no other set of training subjects."
    )


def join_names(names: Sequence[str]) -> str:
    """Return names with commas, and with `and` before the last one."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"

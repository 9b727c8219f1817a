"""The card of an exported model: card.md, what a user of the model should know."""

from collections.abc import Mapping
from typing import Any

from mri_stages.reporting.numbers import format_interval, format_value
from mri_stages.reporting.page import render_page
from mri_stages.reporting.scores import ALL_SCORES

MetricValues = Mapping[str, Any]  # by the name of the metric

SPLITS = ("new_subjects", "given_split")  # in the order of the card's columns
BOUNDS = {"accuracy": ("ci_low", "ci_high")}  # the keys of an interval that have no usual names


def render_card(
    description: Mapping[str, Any],
    leakage_sentence: str,
    leakage_warning: str = "",
    sample_note: str = "",
) -> bytes:
    """Return card.md of a model with this description, the content of model.json.

    sample_note: that the images are drawn; empty where they are not the sample.
    """
    metrics: dict[str, MetricValues] = description["metrics"]
    splits = [split for split in SPLITS if split in metrics]
    return render_page(
        "card.md.jinja",
        **description,
        leakage=leakage_sentence,
        warning=leakage_warning,
        sample_note=sample_note,
        splits=splits,
        metric_rows=list_metric_rows([metrics[split] for split in splits]),
        is_cross_validated="new_subjects" in metrics,
    )


def list_metric_rows(metrics_of_splits: list[MetricValues]) -> list[tuple[str, list[str]]]:
    """Return each score with its text on each split, in the order of all tables, then other keys.

    A text is a figure with its interval, or a dash where a split lacks it.
    """
    headings = {score.key: score.heading for score in ALL_SCORES}
    for values in metrics_of_splits:
        for key in values:
            if not is_bound(key):
                headings.setdefault(key, key)

    rows = []
    for key, heading in headings.items():
        if any(key in values for values in metrics_of_splits):
            rows.append((heading, [format_metric(key, values) for values in metrics_of_splits]))
    return rows


def is_bound(key: str) -> bool:
    """Return whether the key is an end of an interval, which stands beside its figure."""
    return key.endswith(("_low", "_high"))


def format_metric(key: str, values: MetricValues) -> str:
    """Return the text of a metric, with its interval if there is one."""
    low_key, high_key = BOUNDS.get(key, (f"{key}_low", f"{key}_high"))
    value = values.get(key)
    if isinstance(value, float) and low_key in values and high_key in values:
        return format_interval(value, values[low_key], values[high_key])
    return format_value(value)

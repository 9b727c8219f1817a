"""The card of an exported model: card.md, what a user of the model should know."""

from collections.abc import Mapping
from typing import Any

from mri_stages.reporting.page import render_page

MetricValues = Mapping[str, Any]  # by the name of the metric


def render_card(
    description: Mapping[str, Any], leakage_sentence: str, leakage_warning: str = ""
) -> bytes:
    """Return card.md of a model with this description, the content of model.json."""
    metrics: dict[str, MetricValues] = description["metrics"]
    return render_page(
        "card.md.jinja",
        **description,
        leakage=leakage_sentence,
        warning=leakage_warning,
        splits=list(metrics),
        metric_rows=list_metric_rows(metrics),
        is_cross_validated="new_subjects" in metrics,
    )


def list_metric_rows(metrics: Mapping[str, MetricValues]) -> list[tuple[str, list[Any]]]:
    """Return each metric's name with its value on each split; None where a split lacks it."""
    names: dict[str, None] = {}
    for values in metrics.values():
        names.update(dict.fromkeys(values))

    rows = []
    for name in names:
        rows.append((name, [values.get(name) for values in metrics.values()]))
    return rows

"""The tables of the report, made from records."""

import pytest

from mri_stages.reporting.report import build_metrics_table
from mri_stages.storage.records import Metrics

METRICS = Metrics(accuracy=0.5, ci_low=0.4, ci_high=0.6, balanced_accuracy=0.5, macro_f1=0.5)


@pytest.mark.parametrize(
    ("epochs", "text"),
    [
        ({"kept_epoch": 3}, "3"),
        ({"kept_epoch": 3.5, "kept_epoch_low": 1, "kept_epoch_high": 6}, "3.5 (1 to 6)"),
    ],
)
def test_metrics_table_shows_the_kept_epoch(epochs: dict[str, float], text: str) -> None:
    table = build_metrics_table({"m": METRICS.model_copy(update=epochs)}, [])
    assert table.header[-1] == "kept_epoch"
    assert table.rows[0][-1] == text


def test_metrics_table_without_validation_has_no_epoch() -> None:
    assert "kept_epoch" not in build_metrics_table({"m": METRICS}, []).header

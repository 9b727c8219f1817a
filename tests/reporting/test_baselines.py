"""What the page says of the rows that are no network."""

from mri_stages.config.schema import AVERAGE, BASELINES
from mri_stages.reporting.baselines import describe_average, describe_baselines


def test_every_baseline_is_described() -> None:
    assert [text.split()[0] for text in describe_baselines(["net", *BASELINES])] == list(BASELINES)


def test_average_is_described_where_it_is_a_row() -> None:
    assert "mean" in describe_average(["net", AVERAGE])
    assert describe_average(["net", "majority"]) == ""

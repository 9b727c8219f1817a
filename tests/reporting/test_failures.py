"""The table of the most confident wrong answers."""

from mri_stages.reporting.failures import build_failure_table
from mri_stages.storage.failures import Failure

FAILURE = Failure("net", 17, "ill", "sane", 0.875, 4, 0.75, "a.png")


def test_failure_has_its_subject_and_image() -> None:
    table = build_failure_table([FAILURE])
    assert table.rows == [("net", "17", "ill", "sane", 0.875, "a.png", 0.75)]


def test_failure_without_ids_has_no_subject() -> None:
    table = build_failure_table([FAILURE._replace(subject=None)])
    assert table.rows[0][1] == ""

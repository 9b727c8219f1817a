"""What the page says of the most confident failures."""

from collections.abc import Sequence

from mri_stages.reporting.tables import Cell, Table
from mri_stages.storage.failures import Failure

FAILURE_CAPTION = (
    "The wrong answers with the highest probability, the mean over the rows of a subject. The row "
    "is the one whose probability is nearest to that mean: the picture shows it"
)


def build_failure_table(failures: Sequence[Failure]) -> Table:
    """Return a row per model and subject, the most confident first."""
    rows: list[tuple[Cell, ...]] = []
    for failure in failures:
        subject = "" if failure.subject is None else str(failure.subject)
        rows.append(
            (
                failure.model,
                subject,
                failure.actual,
                failure.answer,
                failure.probability,
                failure.file,
                failure.row_probability,
            )
        )
    header = ["", "subject", "actual", "answer", "probability", "row", "its probability"]
    return Table(FAILURE_CAPTION, header, rows)

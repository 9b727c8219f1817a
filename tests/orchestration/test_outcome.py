"""What the table of stages that are not up to date says."""

from mri_stages.orchestration.outcome import HERE, Outcome, Status, format_outdated_stages


def test_failures_have_a_row_with_the_stages_own_error() -> None:
    outcomes = {
        "load": Outcome(Status.DONE, HERE),
        "train@a": Outcome(Status.FAILED, HERE, 1, "note\nerror: no luck\nERROR: exited with 1"),
        "evaluate@a": Outcome(Status.NO_RESULT, text="train@a: failed"),
    }
    rows = [" ".join(row.split()) for row in format_outdated_stages(outcomes).splitlines()[1:]]
    assert rows == ["train@a failed no luck", "evaluate@a no result train@a: failed"]

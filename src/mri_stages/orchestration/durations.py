"""How long each stage took when it ran last: from the history of this workspace."""

from typing import NamedTuple

from mri_stages.config.run_history import RunResult, read_history


class Duration(NamedTuple):
    """The last run of a stage that ended well."""

    seconds: float
    host: str


def read_last_durations() -> dict[str, Duration]:
    """Return the duration of the last run of each stage that ended well, as far as it is known."""
    return {
        run.stage: Duration(run.seconds, run.host)
        for run in read_history()
        if run.result is RunResult.DONE
    }


def format_seconds(seconds: float) -> str:
    """Return a duration with as many decimals as tell something."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"

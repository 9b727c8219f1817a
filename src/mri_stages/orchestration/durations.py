"""How long each stage took when it ran last: from the history of this workspace."""

import re
from typing import NamedTuple

from mri_stages.config.run_history import RunResult, read_history
from mri_stages.errors import ArgumentError
from mri_stages.orchestration.outcome import Outcome, Status

SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600}


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


def skip_slow_stages(max_seconds: float) -> dict[str, Outcome]:
    """Return the outcome of each stage that took longer than that when it ran last: skipped."""
    outcomes = {}
    for stage, duration in read_last_durations().items():
        if duration.seconds > max_seconds:
            text = f"took {format_seconds(duration.seconds)} last time"
            outcomes[stage] = Outcome(Status.SKIPPED, text=text)
    return outcomes


def parse_duration(text: str) -> float:
    """Return the seconds of `60s`, `5m` or `2h`; ArgumentError for another text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text, re.ASCII)
    if match is None:
        raise ArgumentError(f"{text!r} is not a duration, expected one such as 60s, 5m or 2h")
    return float(match[1]) * SECONDS_PER_UNIT[match[2]]


def format_seconds(seconds: float) -> str:
    """Return a duration with as many decimals as tell something."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"

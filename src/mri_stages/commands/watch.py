"""Show the trainings that run now for this project: progress, loss, and the remaining time.

A terminal shows it anew each second, until Ctrl-C; a log, or --once, has it once. Trainings on the
workers of Dask are shown where the stages were sent from. Not shown are stages that train nothing.
"""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from mri_stages.config.live import (
    LiveLine,
    LiveState,
    compute_share,
    estimate_seconds,
    find_live_folder,
    judge_state,
    read_live_lines,
)
from mri_stages.config.loading import read_text
from mri_stages.console import OneLineParser, make_printable

REFRESH_SECONDS = 1
ROW_FORMAT = "{:28.28} {:9} {:>5} {:>10}  {:>9}  {:32.32}"  # a longer name is cut
NOTHING = "no training runs here now"
CLEAR_SCREEN = "\x1b[H\x1b[2J"
UNKNOWN = "-"
SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3600


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser(prog="mri-stages watch", description=__doc__)
    parser.add_argument("--once", action="store_true", help="show it once, also in a terminal")
    is_once = parser.parse_args(argv).once or not sys.stdout.isatty()
    if is_once:
        print(describe_trainings(datetime.now(UTC)))
        return

    try:
        while True:
            print(f"{CLEAR_SCREEN}{describe_trainings(datetime.now(UTC))}", flush=True)
            time.sleep(REFRESH_SECONDS)
    except KeyboardInterrupt:
        return  # the usual end


def describe_trainings(now: datetime) -> str:
    """Return a table with a line per stage that trains; InputError outside a project."""
    rows = []
    for path in sorted(find_live_folder().glob("*.jsonl")):
        lines = read_live_lines(path)
        if lines:
            rows.append(format_training(lines, now))
    if not rows:
        read_text()  # It is an error outside the project's folder.
        return NOTHING
    header = ROW_FORMAT.format("stage", "state", "done", "remaining", "loss", "at")
    return "\n".join([header.rstrip(), *rows])


def format_training(lines: Sequence[LiveLine], now: datetime) -> str:
    """Return the line of a stage. Of one that does not run, nothing remains to wait for."""
    state = judge_state(lines[0])
    last_line = lines[-1]
    remaining = UNKNOWN
    if state is not LiveState.STOPPED:
        remaining = format_seconds(estimate_seconds(lines, now))

    places = [f"{part.name} {part.number}/{part.total}" for part in last_line.parts]
    places.append(f"epoch {last_line.epoch}/{last_line.epochs}")
    row = ROW_FORMAT.format(
        make_printable(last_line.stage),
        state.value,
        f"{compute_share(last_line):.0%}",
        remaining,
        format_loss(last_line),
        make_printable(" ".join(places)),
    )
    return row.rstrip()


def format_loss(line: LiveLine) -> str:
    """Return the first loss, which is that of training; a dash before the first epoch."""
    losses = list(line.losses.values())
    if not losses:
        return UNKNOWN
    return "NaN" if losses[0] is None else f"{losses[0]:.4g}"


def format_seconds(seconds: float | None) -> str:
    """Return the time in its largest unit; a dash where it is not known."""
    if seconds is None:
        return UNKNOWN
    if seconds < SECONDS_PER_MINUTE:
        return f"{seconds:.0f} s"
    if seconds < SECONDS_PER_HOUR:
        return f"{seconds / SECONDS_PER_MINUTE:.0f} min"
    return f"{seconds / SECONDS_PER_HOUR:.1f} h"

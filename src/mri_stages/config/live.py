"""Show what runs: a running training appends a line per epoch to `.mri-stages/live/STAGE.jsonl`.

The stage's own process writes it and removes it at its end; of a stage on a worker, so does the
process that sent it. Only a process that was killed leaves it. No result depends on it: where it
cannot be written, one warning says so, and the stage goes on.
"""

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from mri_stages import paths
from mri_stages.config.run_history import STAGE_VARIABLE, find_project_folder
from mri_stages.console import Part, Progress, listen_to_progress, print_errors

CLOCK_TOLERANCE_SECONDS = 2  # of the start of a process


class LiveState(Enum):
    """What is known of the process that wrote a file; the value is what a user reads."""

    RUNNING = "running"
    STOPPED = "stopped"
    """It was killed, or the machine was."""
    ELSEWHERE = "elsewhere"
    """It is on another machine, so nobody knows here whether it still runs."""


class LiveLine(BaseModel):
    """The end of one epoch of a training, or its start."""

    model_config = ConfigDict(frozen=True)

    time: AwareDatetime
    stage: str
    pid: PositiveInt
    host: str
    parts: list[Part]
    """Where the stage is, from the outside in, such as repeat 1 of 3, fold 2 of 5."""
    epoch: NonNegativeInt
    """The epochs that are done; at the start of a training 0, or those of its checkpoint."""
    epochs: PositiveInt
    losses: dict[str, float | None] = {}
    """By name; None where a loss is not a number."""

    @model_validator(mode="after")
    def check_counts(self) -> Self:
        """Raise ValueError for more than all: the share that is done would mean nothing."""
        if self.epoch > self.epochs:
            raise ValueError(f"epoch {self.epoch} of {self.epochs}")
        for part in self.parts:
            if not 1 <= part.number <= part.total:
                raise ValueError(f"{part.name} {part.number} of {part.total}")
        return self


@contextmanager
def write_live() -> Iterator[None]:
    """Write the file of the stage that this process runs; none where DVC did not start it."""
    stage = os.environ.get(STAGE_VARIABLE, "")
    if not stage:
        yield
        return

    writer = LiveWriter(stage, find_live_file(stage))
    with listen_to_progress(writer.append):
        try:
            yield
        finally:
            writer.remove()


def find_live_file(stage: str) -> Path:
    """Return the file of a stage, in the project also from the copy of an experiment."""
    return find_project_folder() / name_live_file(stage)


def name_live_file(stage: str) -> Path:
    """Return the file of a stage, seen from the folder of the project."""
    return paths.LIVE / f"{quote(stage, safe='@')}.jsonl"


def find_live_folder() -> Path:
    """Return the folder of all files."""
    return find_project_folder() / paths.LIVE


class LiveWriter:
    """Appends lines to the file of one stage."""

    def __init__(self, stage: str, path: Path) -> None:
        self.stage = stage
        self.path = path
        self.has_lines = False  # or a part of one, on a full disk
        self.is_closed = False

    def append(self, parts: Sequence[Part], progress: Progress) -> None:
        """Append a line on a training in this process."""
        line = LiveLine(
            time=datetime.now(UTC),
            stage=self.stage,
            pid=os.getpid(),
            host=platform.node(),
            parts=list(parts),
            epoch=progress.epoch,
            epochs=progress.n_epochs,
            losses=dict(progress.losses),
        )
        self.write([line.model_dump_json()])

    def write(self, lines: Sequence[str]) -> None:
        """Append lines; the first ones take the place of what a killed run left."""
        if self.is_closed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a" if self.has_lines else "w", encoding="utf-8") as file:
                self.has_lines = True
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            self.warn(error)

    def remove(self) -> None:
        """Remove the file, if this process has written one; nothing is written afterwards."""
        self.is_closed = True
        if not self.has_lines:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self.warn(error)

    def warn(self, error: OSError) -> None:
        """Print the only warning, and write no more."""
        self.is_closed = True
        print_errors([f"warning: {self.path}: {error.strerror}; 'mri-stages watch' lacks this run"])


def read_live_lines(path: Path) -> list[LiveLine]:
    """Return the lines of the last process that wrote the file; [] without a whole line.

    A line may be half-written now, and another run of the stage may have written before. A line
    with impossible numbers, which no training writes, is left out too.
    """
    try:
        texts = path.read_bytes().splitlines()
    except FileNotFoundError:  # The stage has ended.
        return []

    lines: list[LiveLine] = []
    for text in texts:
        try:
            lines.append(LiveLine.model_validate_json(text))
        except ValidationError:
            continue
    return [line for line in lines if (line.host, line.pid) == (lines[-1].host, lines[-1].pid)]


def judge_state(first_line: LiveLine) -> LiveState:
    """Return whether the process that wrote the line still runs, as far as this machine knows."""
    if first_line.host != platform.node():
        return LiveState.ELSEWHERE
    try:
        process = psutil.Process(first_line.pid)
        # Nobody has asked yet how it ended; in a container without an init, nobody ever does.
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        started = process.create_time()
    except psutil.NoSuchProcess:
        return LiveState.STOPPED
    if is_zombie:
        return LiveState.STOPPED
    # A process that started after the line has the number of one that has ended.
    is_same = started <= first_line.time.timestamp() + CLOCK_TOLERANCE_SECONDS
    return LiveState.RUNNING if is_same else LiveState.STOPPED


def compute_share(line: LiveLine) -> float:
    """Return the share of the stage's epochs that are done, from 0 to 1."""
    share = line.epoch / line.epochs
    for part in reversed(line.parts):
        share = (part.number - 1 + share) / part.total
    return share


def estimate_seconds(lines: Sequence[LiveLine], now: datetime) -> float | None:
    """Return the seconds until all epochs are done; None before the first epoch is.

    A training may end before its last epoch, so the stage may be done earlier.
    """
    first_line = lines[0]
    last_line = lines[-1]
    done_share = compute_share(last_line) - compute_share(first_line)
    if done_share <= 0:
        return None
    seconds_per_share = (last_line.time - first_line.time).total_seconds() / done_share
    seconds_since = (now - last_line.time).total_seconds()
    return max(0.0, seconds_per_share * (1 - compute_share(last_line)) - seconds_since)

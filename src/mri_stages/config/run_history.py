"""Keep one line about each run of a stage in `.mri-stages/history.jsonl`.

The stage's own process writes the line, so `dvc repro`, `mri-stages repro` and experiments all
leave one. A process that was killed (SIGKILL, SIGTERM, no memory left in the system) writes none.
No result depends on the file: where it cannot be written, a warning says so, and the stage goes on.
"""

import errno
import fcntl
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import psutil
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mri_stages import paths
from mri_stages.config.param_changes import ABSENT, ChangedParam, compare_params
from mri_stages.config.yaml_kinds import read_kinds_as_dvc
from mri_stages.console import format_count, print_errors

# DVC sets these for the command of a stage.
STAGE_VARIABLE = "DVC_STAGE"
EXPERIMENT_VARIABLE = "DVC_EXP_NAME"
EXPERIMENT_COPIES = (".dvc", "tmp", "exps")  # below the project, where `--temp` and queues run
MACOS_PEAK_UNIT = 1  # bytes; elsewhere ru_maxrss counts kilobytes
LINUX_PEAK_UNIT = 1024


class RunResult(Enum):
    """How a run of a stage ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """By Ctrl-C."""


class ParamsLoader(yaml.CSafeLoader):  # type: ignore[misc]
    """Reads values as DVC does, fast."""


read_kinds_as_dvc(ParamsLoader)


class StageRun(BaseModel):
    """One run of a stage."""

    model_config = ConfigDict(frozen=True)

    time: datetime
    """Its end, in UTC."""
    stage: str
    """DVC's name, such as train@resnet or studies/dvc.yaml:seed@resnet."""
    result: RunResult
    seconds: float
    """From the start of the process, so with its imports."""
    cpu_seconds: float
    peak_mb: float
    host: str
    commit: str
    """Of the code; it ends in -dirty where a tracked file differs. Empty without Git."""
    experiment: str = ""
    changed_params: list[ChangedParam] = []


@contextmanager
def record_run() -> Iterator[None]:
    """Append a line about the stage that this process runs; none where DVC did not start it."""
    stage = os.environ.get(STAGE_VARIABLE, "")
    result = RunResult.FAILED
    # DVC replaces its lock file after the run.
    changed_params = list_changed_params(stage) if stage else []
    try:
        yield
        result = RunResult.DONE
    except KeyboardInterrupt:
        result = RunResult.STOPPED
        raise
    finally:
        if stage:
            append_or_warn(measure_run(stage, result, changed_params))


def measure_run(stage: str, result: RunResult, changed_params: list[ChangedParam]) -> StageRun:
    """Return what this process took until now."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak_unit = MACOS_PEAK_UNIT if sys.platform == "darwin" else LINUX_PEAK_UNIT
    return StageRun(
        time=datetime.now(UTC).replace(microsecond=0),
        stage=stage,
        result=result,
        seconds=round(time.time() - psutil.Process().create_time(), 2),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 2),
        peak_mb=round(usage.ru_maxrss * peak_unit / 1e6, 1),
        host=platform.node(),
        commit=describe_commit(),
        experiment=os.environ.get(EXPERIMENT_VARIABLE, ""),
        changed_params=changed_params,
    )


def describe_commit() -> str:
    """Return the commit of the current folder as Git describes it; "" without Git."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*", "--abbrev=12"]
    try:
        process = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return process.stdout.strip()


def append_or_warn(run: StageRun) -> None:
    """Append the run to the history of the project; a warning if that fails."""
    path = find_history_file()
    try:
        append_run(run, path)
    except OSError as error:
        print_errors([f"warning: {path}: {error.strerror}; this run is not in the history"])


def find_history_file() -> Path:
    """Return the history of the project."""
    return find_project_folder() / paths.RUN_HISTORY


def find_project_folder() -> Path:
    """Return the current folder; of the copy in which an experiment runs, the project's folder.

    DVC deletes such a copy after its experiment.
    """
    folder = Path.cwd()
    for parent in folder.parents:
        if parent.joinpath(*EXPERIMENT_COPIES) in folder.parents:
            return parent
    return folder


def append_run(run: StageRun, path: Path = paths.RUN_HISTORY) -> None:
    """Append a line; OSError, with nothing of the line left, if there is no room for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)

        # A process that was killed may have left half a line: the new one is not joined to it.
        file.seek(max(size - 1, 0))
        separator = b"" if file.read(1) in (b"", b"\n") else b"\n"

        line = separator + run.model_dump_json().encode() + b"\n"
        n_written = file.write(line)
        if n_written < len(line):  # the disk is full
            os.truncate(path, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_history(path: Path = paths.RUN_HISTORY) -> list[StageRun]:
    """Return the runs in order of their ends; a note counts lines that are not readable."""
    if not path.exists():
        return []

    runs = []
    n_unreadable_lines = 0
    for line in path.read_bytes().splitlines():
        try:
            runs.append(StageRun.model_validate_json(line))
        except ValidationError:
            n_unreadable_lines += 1

    if n_unreadable_lines:
        left_out = format_count(n_unreadable_lines, "line")
        print_errors([f"note: {path}: left out {left_out} that cannot be read"])
    return runs


# The params of the last run.


def list_changed_params(stage: str) -> list[ChangedParam]:
    """Return the params that differ from those with which DVC locked the stage's last run.

    None differ where the stage never ran, or where a file is not readable: DVC tells that.
    """
    file, _, name = stage.rpartition(":")
    lock_text = read_text(Path(file or "dvc.yaml").with_suffix(".lock"))
    lock = parse_yaml(select_stage(lock_text, name))
    locked_params = lock.get("stages", {}).get(name, {}).get("params", {})
    changed_params: list[ChangedParam] = []
    for params_file, old_values in locked_params.items():
        # From the folder in which the stage runs.
        new_params = parse_yaml(read_text(Path(params_file)))
        for key, old_value in old_values.items():
            changed_params += compare_params(key, old_value, find_value(new_params, key))
    return changed_params


def read_text(path: Path) -> str:
    """Return the text of a file; "" if it is not readable."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def select_stage(lock_text: str, name: str) -> str:
    """Return a dvc.lock with the entry of one stage only: all of it takes long to parse.

    It is returned whole if it does not have the stage in the form in which DVC writes it.
    """
    entry = re.search(rf"^  {re.escape(name)}:\n(?:(?:    .*)?\n)+", lock_text, re.MULTILINE)
    return lock_text if entry is None else f"stages:\n{entry[0]}"


def parse_yaml(text: str) -> dict[str, Any]:
    """Return the values of a YAML text as DVC reads it; {} if it is not one, or no mapping."""
    try:
        values = yaml.load(text, Loader=ParamsLoader)
    except (ValueError, yaml.YAMLError):
        return {}
    return values if isinstance(values, dict) else {}


def find_value(params: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key such as models.resnet.lr; ABSENT without it."""
    value: Any = params
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return ABSENT
        value = value[part]
    return value

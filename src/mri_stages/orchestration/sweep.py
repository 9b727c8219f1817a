"""Run the experiments of a sweep through DVC's queue, from a clean state of Git."""

import asyncio
import json
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mri_stages.config.sweep import Sweep, Trial
from mri_stages.console import format_count, list_some, print_errors
from mri_stages.errors import InputError
from mri_stages.orchestration import dvc_queue
from mri_stages.orchestration.durations import format_seconds, read_last_durations
from mri_stages.orchestration.dvc_queue import Experiment, QueueState, State

T = TypeVar("T")
POLL_SECONDS = 1
MAX_SECONDS_TO_START = 60  # of the worker, on a busy machine


@dataclass(frozen=True)
class ScoreFile:
    """The out that holds the score of an experiment."""

    path: Path
    read_score: Callable[[Path], float]
    """Takes a copy of the file; NaN if the experiment diverged."""


@dataclass(frozen=True)
class TrialResult:
    """How an experiment of a sweep ended."""

    trial: Trial
    experiment: str
    """Its name in DVC."""
    score: float
    """NaN if it diverged, or failed."""
    failure: str = ""
    """Why it has no result, in one line; empty if it has one."""


async def run_sweep(sweep: Sweep, values: Any, score_file: ScoreFile) -> list[TrialResult]:
    """Run all experiments one after another; return how each ended, in their order.

    values: of params.yaml. InputError on changes that are not committed, on a queue in use, and if
    the worker of the queue dies. In these cases, and where it is cancelled, the experiments without
    a result are removed from the queue.
    """
    check_no_changes()
    experiments: list[Experiment] = []
    try:
        for trial in sweep.trials:
            await complete(queue_trial(sweep, trial, values, experiments))
        print_errors([describe_sweep(sweep)])
        await run_queue(experiments, sweep)
    except BaseException:
        if experiments:
            await complete(dvc_queue.remove_experiments(list_revisions(experiments)))
        raise
    return [
        await read_result(sweep, trial, experiment, score_file)
        for trial, experiment in zip(sweep.trials, experiments, strict=True)
    ]


async def run_queue(experiments: Sequence[Experiment], sweep: Sweep) -> None:
    """Run the experiments; at the end, whatever it is, the worker of the queue has ended too."""
    try:
        await complete(dvc_queue.start_worker())
        await wait_for_end(experiments, sweep)
    except BaseException:
        # A worker that is asked to end takes the next experiment all the same.
        await complete(dvc_queue.remove_experiments(list_revisions(experiments)))
        raise
    finally:
        await complete(dvc_queue.stop_worker())


def describe_sweep(sweep: Sweep) -> str:
    """Return how many experiments there will be, of what, and how long they may take."""
    text = (
        f"{format_count(len(sweep.trials), 'experiment')} of {sweep.stage}, one after another, "
        f"compared by {sweep.score_kind.value}"
    )
    durations = read_last_durations()
    if sweep.stage in durations:
        text += f"; it took {format_seconds(durations[sweep.stage].seconds)} last time"
    return text


async def complete(steps: Coroutine[Any, Any, T]) -> T:
    """Await `steps` to their end, also when this task is cancelled meanwhile."""
    task = asyncio.ensure_future(steps)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def check_no_changes() -> None:
    """Raise InputError that names the files which differ from the last commit."""
    changed_files = dvc_queue.list_changed_files()
    if changed_files:
        raise InputError(
            f"{list_some(changed_files)}: not committed, expected a clean state of Git, which all "
            "experiments begin from; 'git commit' or 'git stash' first"
        )


async def queue_trial(
    sweep: Sweep, trial: Trial, values: Any, experiments: list[Experiment]
) -> None:
    """Queue an experiment, and add it to `experiments`, which are those before it.

    InputError unless the commit that DVC stashed has the params that were meant.
    """
    revisions = list_revisions(experiments)
    experiment = await dvc_queue.queue_experiment(sweep.stage, trial.changes, values, revisions)
    experiments.append(experiment)
    queued_values = dvc_queue.read_committed_params(experiment.revision)
    if write_comparable(queued_values) != write_comparable(trial.params):
        raise InputError(
            f"{sweep.label(trial)}: DVC queued other params than these, so nothing was run; write "
            "the values in another way, or change params.yaml by hand"
        )


def list_revisions(experiments: Iterable[Experiment]) -> list[str]:
    return [experiment.revision for experiment in experiments]


def write_comparable(values: Any) -> str:
    """Return a text that is equal for equal values of the same types: 1, 1.0 and true differ."""
    return json.dumps(values, sort_keys=True, default=repr)


async def wait_for_end(experiments: Sequence[Experiment], sweep: Sweep) -> None:
    """Wait until all experiments are done, and print what they print; InputError on a crash."""
    labels = {}
    for number, experiment in enumerate(experiments):
        labels[experiment.revision] = sweep.label(sweep.trials[number])
    follower = Follower(labels)
    started = time.monotonic()
    has_lived = False
    while True:
        queue = await dvc_queue.read_queue(labels)
        follower.show(queue)
        if all(queue.states.get(revision) is State.DONE for revision in labels):
            return
        is_late = time.monotonic() - started > MAX_SECONDS_TO_START
        if not queue.is_worker_alive and (has_lived or is_late):
            raise InputError(
                "the worker of DVC's queue ended before its experiments; "
                f"see {dvc_queue.WORKER_LOG}"
            )
        has_lived |= queue.is_worker_alive
        await asyncio.sleep(POLL_SECONDS)


class Follower:
    """Prints what becomes of experiments, and what their stages print."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._states = dict.fromkeys(labels, State.QUEUED)
        self._n_shown_lines = dict.fromkeys(labels, 0)

    def show(self, queue: QueueState) -> None:
        """Print what is new since the last call."""
        for revision, label in self._labels.items():
            old_state = self._states[revision]
            state = queue.states.get(revision, old_state)
            if old_state is State.QUEUED and state is not State.QUEUED:
                print_errors([f"{label}: started"])
            if old_state is not State.DONE and revision in queue.logs:
                self._show_lines(revision, queue.logs[revision])
            if old_state is not State.DONE and state is State.DONE:
                self._states[revision] = state
                n_done = list(self._states.values()).count(State.DONE)
                print_errors([f"{label}: ended, {n_done} of {len(self._labels)}"])
            self._states[revision] = state

    def _show_lines(self, revision: str, log: Path) -> None:
        """Print the whole lines of a log that were not printed yet."""
        text = log.read_text(encoding="utf-8", errors="replace")
        lines = dvc_queue.list_log_lines(text[: text.rfind("\n") + 1])
        for line in lines[self._n_shown_lines[revision] :]:
            print_errors([f"{self._labels[revision]}: {line}"])
        self._n_shown_lines[revision] = len(lines)


async def read_result(
    sweep: Sweep, trial: Trial, experiment: Experiment, score_file: ScoreFile
) -> TrialResult:
    """Return how an experiment ended; InputError if it ran with other params than asked for."""
    ending = await dvc_queue.read_ending(experiment.revision)
    if ending.failure:
        return TrialResult(trial, experiment.name, math.nan, ending.failure)
    file = await dvc_queue.find_cached_out(
        ending.commit, sweep.stage, score_file.path, trial.params
    )
    return TrialResult(trial, experiment.name, score_file.read_score(file))

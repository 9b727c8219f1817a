"""Queue experiments of DVC, run its queue in the background, and read what it made.

No forecast is trusted: what an experiment will run is read from the commit that DVC stashed, what
it ran from the dvc.lock that DVC committed. The worker of the queue is a process of its own. DVC
does not notice its death, so its process is asked for.
"""

import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from mri_stages import paths
from mri_stages.config.loading import parse_values
from mri_stages.config.run_history import find_value
from mri_stages.console import list_some, print_errors
from mri_stages.errors import InputError
from mri_stages.orchestration.dvc import (
    LOCK_FILE,
    ask_repo_patiently,
    find_stage_error,
    remove_chatter,
)
from mri_stages.orchestration.processes import (
    end_process_tree,
    has_process_in,
    read_command,
    signal_process,
)
from mri_stages.storage.files import remove_path

if TYPE_CHECKING:
    from dvc.repo import Repo

WORKER = "dvc-exp-worker-1"  # the name of the files of the first worker
PID_FILES = "dvc-exp-worker-*.pid"  # of all workers
MAILBOX = "-1@localhost.celery.pidbox"  # ends the name of what is sent to the first worker
WORKER_COMMAND = "queue-worker"
EXPERIMENT_COMMAND = "exec-run"
LOCK_NAME = LOCK_FILE.as_posix()
WORKER_LOG = f".dvc/tmp/exps/celery/{WORKER}.out"
# Lines that say nothing about the result, besides those of all commands.
CHATTER = re.compile(
    r"WARNING: No file hash info found|Reproducing experiment |Stage '.*' is cached"
)
SECONDS_TO_END = 20  # of a process that was asked to end, before it is killed


class State(Enum):
    """How far an experiment of the queue is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"  # or failed


@dataclass(frozen=True)
class Experiment:
    """An experiment of DVC's queue."""

    name: str
    revision: str
    """The commit in DVC's stash, which is what runs."""


@dataclass(frozen=True)
class QueueState:
    """What the queue says of some experiments, by their revisions."""

    states: Mapping[str, State]
    logs: Mapping[str, Path]
    """Of those that have begun: what their stages print."""
    is_worker_alive: bool


@dataclass(frozen=True)
class Ending:
    """How an experiment ended."""

    commit: str = ""
    """Empty if it failed."""
    failure: str = ""
    """Why it failed, in one line."""


# Git


def list_changed_files() -> list[str]:
    """Return the files that differ from the last commit, and those that Git does not know."""
    lines = call_git("status", "--porcelain", "--untracked-files=all").splitlines()
    return [line[3:] for line in lines]


def read_committed_file(commit: str, name: str) -> str:
    """Return the text of a file beside the root of the project, as it is in a commit."""
    return call_git("show", f"{commit}:./{name}")


def call_git(*arguments: str) -> str:
    process = subprocess.run(("git", *arguments), capture_output=True, text=True, encoding="utf-8")
    if process.returncode != 0:
        reason = process.stderr.strip()
        raise InputError(f"git {arguments[0]}: {reason}; experiments of DVC are commits of Git")
    return process.stdout


# Queue


def list_log_lines(text: str) -> list[str]:
    """Return the lines of an experiment's output that say something about the result."""
    return [line for line in remove_chatter(text) if not CHATTER.match(line)]


async def queue_experiment(
    stage: str, changes: Mapping[str, Any], values: Any, own_revisions: Collection[str]
) -> Experiment:
    """Queue an experiment of a stage with changed params; return it.

    values: of params.yaml. InputError if the queue has experiments besides those of
    `own_revisions`: to start the queue is to run these too.
    """
    overrides = list(write_overrides(changes, values))
    return await ask_repo_patiently(
        lambda repo: _queue_experiment(repo, stage, overrides, own_revisions), stage
    )


async def read_queue(revisions: Collection[str]) -> QueueState:
    """Return how far these experiments are, and whether the worker of the queue is alive."""
    return await ask_repo_patiently(lambda repo: _read_queue(repo, revisions), "the queue")


async def read_ending(revision: str) -> Ending:
    """Return how an experiment that is done has ended."""
    return await ask_repo_patiently(lambda repo: _read_ending(repo, revision), "the queue")


async def start_worker() -> None:
    """Start the worker of the queue in the background, after the end of an earlier one."""
    await stop_worker()
    await ask_repo_patiently(_start_worker, "the queue")


async def stop_worker() -> None:
    """End the worker of the queue, and what it runs; nothing is done where there is none.

    A worker that was killed leaves copies of the project: they are removed, with a note. So is,
    without one, what was sent to it since, which the next worker would read.
    """
    await ask_repo_patiently(_stop_worker, "the queue")
    await ask_repo_patiently(_empty_mailbox, "the queue")
    n_removed = await ask_repo_patiently(_remove_stale_copies, "the queue")
    if n_removed:
        copies = "1 copy" if n_removed == 1 else f"{n_removed} copies"
        print_errors([f"note: {copies} of the project removed, which a killed worker of DVC left"])


async def remove_experiments(revisions: Collection[str]) -> None:
    """Remove from the queue those of these experiments that have no result.

    While the worker is alive, these are those that it has not begun.
    """
    await ask_repo_patiently(lambda repo: _remove_experiments(repo, revisions), "the queue")


async def find_cached_out(commit: str, stage: str, out: Path, values: Any) -> Path:
    """Return the file in the cache that holds an out of a stage, as an experiment made it.

    values: those that params.yaml had to have. InputError if the stage ran with others.
    """
    return await ask_repo_patiently(
        lambda repo: _find_cached_out(repo, commit, stage, out, values), "the cache"
    )


def write_overrides(changes: Mapping[str, Any], values: Any) -> Iterator[str]:
    """Yield what `dvc exp run --set-param` takes for these changes, in the grammar of Hydra."""
    for key, value in changes.items():
        old_value = values
        for name in key.split("."):
            old_value = old_value.get(name) if isinstance(old_value, dict) else None
        if isinstance(old_value, dict):  # A new group would be merged into it.
            yield f"~{key}"
        yield f"++{key}={format_for_hydra(value)}"


def format_for_hydra(value: Any) -> str:
    """Return a value in the grammar of Hydra: JSON, but keys have no quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        pairs = [f"{key}:{format_for_hydra(item)}" for key, item in value.items()]
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(format_for_hydra, value))}]"
    if isinstance(value, str):
        escaped = value.replace("'", "\\'")
        return f"'{escaped}'"
    return repr(value)


# DVC's Python code


def _queue_experiment(
    repo: "Repo", stage: str, overrides: Sequence[str], own_revisions: Collection[str]
) -> Experiment:
    from dvc.repo import lock_repo

    with lock_repo(repo):
        queue = repo.experiments.celery_queue
        foreign_names = [
            entry.name or entry.stash_rev[:7]
            for entry in (*queue.iter_active(), *queue.iter_queued())
            if entry.stash_rev not in own_revisions
        ]
        if foreign_names:
            raise InputError(
                f"DVC's queue already has {list_some(foreign_names)}, expected an empty one; "
                "'dvc queue start' runs it, 'dvc queue stop --kill' and "
                "'dvc queue remove --all' empty it"
            )
        entry = repo.experiments.queue_one(
            queue, targets=[stage], params={paths.PARAMS.as_posix(): list(overrides)}
        )
    return Experiment(entry.name or entry.stash_rev, entry.stash_rev)


def _read_queue(repo: "Repo", revisions: Collection[str]) -> QueueState:
    # The worker first: one that is dead here had finished all that is done below.
    is_worker_alive = bool(_list_worker_processes(repo))
    queue = repo.experiments.celery_queue
    states = {}
    for entry in queue.iter_queued():
        states[entry.stash_rev] = State.QUEUED
    for message, entry in queue._iter_processed():
        is_done = queue.celery.AsyncResult(message.headers["id"]).ready()
        states[entry.stash_rev] = State.DONE if is_done else State.RUNNING

    logs = {}
    for revision in revisions:
        process = queue.proc.get(revision)
        if process is not None:
            logs[revision] = Path(process.stdout)
    own_states = {revision: states[revision] for revision in revisions if revision in states}
    return QueueState(own_states, logs, is_worker_alive)


def _read_ending(repo: "Repo", revision: str) -> Ending:
    queue = repo.experiments.celery_queue
    process = queue.proc.get(revision)
    if process is None:
        return Ending(failure=f"it failed before its first stage; see {WORKER_LOG}")
    result = queue._load_info(revision).result
    if result is None or result.ref_info is None:
        text = Path(process.stdout).read_text(encoding="utf-8", errors="replace")
        return Ending(failure=find_stage_error(text))
    commit = repo.experiments.scm.get_ref(str(result.ref_info))
    if commit is None:
        return Ending(failure=f"its result was not collected; see {WORKER_LOG}")
    return Ending(commit=commit)


def _start_worker(repo: "Repo") -> None:
    log = Path(repo.experiments.celery_queue.wdir, f"{WORKER}.out")
    # DVC and its stages start as `dvc` and `python`: those of this environment.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The worker has the output of this command. A pipe would not end before the worker does.
    with log.open("ab") as file:
        status = subprocess.run(
            [sys.executable, "-m", "dvc", "queue", "start", "--jobs", "1"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path},
        ).returncode
    if status != 0:
        raise InputError(f"DVC's queue did not start; see {WORKER_LOG}")


def _list_worker_processes(repo: "Repo") -> list[psutil.Process]:
    """Return the process of the living worker, and the one that waits for it."""
    return _list_processes_of(Path(repo.experiments.celery_queue.wdir, f"{WORKER}.pid"))


def _list_processes_of(pid_file: Path) -> list[psutil.Process]:
    """Return the process of a living worker, and the one that waits for it."""
    try:
        worker = psutil.Process(int(pid_file.read_text()))
        if worker.status() == psutil.STATUS_ZOMBIE or WORKER_COMMAND not in worker.cmdline():
            return []
        parent = worker.parent()
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return []
    is_starter = parent is not None and "start" in read_command(parent)
    return [worker, parent] if is_starter else [worker]


def _stop_worker(repo: "Repo") -> None:
    """End the worker: SIGTERM lets it finish its task, whose process is ended too."""
    processes = _list_worker_processes(repo)
    for process in processes[:1]:
        signal_process(process.terminate)
    for process in _list_experiment_processes(repo):
        end_process_tree(process, SECONDS_TO_END / 2)
    if processes:
        _, alive = psutil.wait_procs(processes, SECONDS_TO_END)
        for process in alive:
            signal_process(process.kill)
        psutil.wait_procs(alive, SECONDS_TO_END)


def _empty_mailbox(repo: "Repo") -> None:
    """Remove what was sent to a worker that is dead.

    `dvc queue stop` writes to a worker that was killed too, and the next one has the same mailbox:
    it would end after its first experiment.
    """
    if _list_worker_processes(repo):
        return
    celery = repo.experiments.celery_queue.celery
    exchange = celery.control.mailbox.exchange.name
    with celery.connection_for_write() as connection, connection.channel() as channel:
        for entry in channel.get_table(exchange):
            if entry.queue.endswith(MAILBOX):
                channel.queue_purge(entry.queue)


def _list_experiment_processes(repo: "Repo") -> list[psutil.Process]:
    """Return the processes that run experiments of the queue of this project."""
    folder = Path(repo.experiments.celery_queue.pid_dir)
    processes = []
    for process in psutil.process_iter():
        command = read_command(process)
        is_experiment = EXPERIMENT_COMMAND in command
        if is_experiment and any(Path(part).is_relative_to(folder) for part in command):
            processes.append(process)
    return processes


def _remove_stale_copies(repo: "Repo") -> int:
    """Remove the copies of the project in which no experiment runs any more; return how many.

    While any worker of the queue is alive, nothing is done: it may be about to begin in one.
    """
    pid_files = Path(repo.experiments.celery_queue.wdir).glob(PID_FILES)
    if any(map(_list_processes_of, pid_files)):
        return 0
    stale_copies = [copy for copy in _list_copies(repo) if not has_process_in(copy)]
    for copy in stale_copies:
        remove_path(copy)
    return len(stale_copies)


def _list_copies(repo: "Repo") -> Iterator[Path]:
    """Yield the copies of the project that the queue has made and not removed.

    Those of `dvc exp run --temp` lie in another folder.
    """
    from dvc.exceptions import DvcException

    queue = repo.experiments.celery_queue
    folder = Path(queue.pid_dir).parent
    for name in queue.proc:
        try:
            copy = Path(queue._load_info(name).root_dir)
        except (FileNotFoundError, DvcException):  # It did not begin, or was killed meanwhile.
            continue
        # `dvc exp run` leaves such a file too, which names the project itself.
        if copy.parent == folder and copy.is_dir():
            yield copy


def _remove_experiments(repo: "Repo", revisions: Collection[str]) -> None:
    from dvc.repo.experiments.queue.remove import remove_tasks

    queue = repo.experiments.celery_queue
    is_worker_alive = bool(_list_worker_processes(repo))
    queued_entries = [entry for entry in queue.iter_queued() if entry.stash_rev in revisions]
    remove_tasks(queue, queued_entries)
    if is_worker_alive:
        return

    # What the worker began, and did not finish. DVC removes only what is marked as done, and takes
    # all that is in its stash for queued: so that goes first.
    begun_entries = []
    for message, entry in queue._iter_processed():
        if entry.stash_rev not in revisions or _has_result(queue, entry.stash_rev):
            continue
        if not queue.celery.AsyncResult(message.headers["id"]).ready():
            queue.celery.backend.mark_as_failure(message.headers["id"], None)
        begun_entries.append(entry)
    stash_entries = queue.stash.stash_revs
    begun_revisions = {entry.stash_rev for entry in begun_entries}
    queue.stash.remove_revs(
        [stashed for revision, stashed in stash_entries.items() if revision in begun_revisions]
    )
    remove_tasks(queue, begun_entries)


def _has_result(queue: Any, revision: str) -> bool:
    try:
        return queue._load_info(revision).result is not None
    except FileNotFoundError:  # It did not begin.
        return False


def _find_cached_out(repo: "Repo", commit: str, stage: str, out: Path, values: Any) -> Path:
    from dvc.utils.serialize import loads_yaml

    lock = loads_yaml(read_committed_file(commit, LOCK_NAME))
    entry = lock["stages"][stage]
    for key, value in entry.get("params", {}).get(paths.PARAMS.as_posix(), {}).items():
        if value != find_value(values, key):
            raise InputError(f"{LOCK_NAME} of {commit[:7]}: {stage} ran with another {key}")
    for locked_out in entry["outs"]:
        if locked_out["path"] == out.as_posix():
            return Path(repo.cache.local.oid_to_path(locked_out["md5"]))
    raise InputError(f"{LOCK_NAME} of {commit[:7]}: {stage} has no out {out}")


def read_committed_params(commit: str) -> Any:
    """Return the values of params.yaml in a commit."""
    return parse_values(read_committed_file(commit, paths.PARAMS.as_posix()))

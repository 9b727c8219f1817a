"""Run stages on this machine, several at once."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from mri_stages.config.loading import read_params
from mri_stages.orchestration.dvc import (
    DvcError,
    find_run_cache_hits,
    reports_exit,
    reports_no_memory,
    reports_stop,
    run_stages,
)
from mri_stages.orchestration.outcome import HERE, Outcome, Status

Environment = Mapping[str, str]
NO_GPU = ("", "-1")  # in CUDA_VISIBLE_DEVICES


class Slots:
    """Places to run a stage, each with what it adds to the environment of the stage."""

    def __init__(self, environments: Iterable[Environment]) -> None:
        self._free = list(environments)
        self._n_slots = len(self._free)
        self._is_reserved = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[Environment]:
        """Wait for one slot, and hold it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free and not self._is_reserved)
            environment = self._free.pop(0)
        try:
            yield environment
        finally:
            async with self._changed:
                self._free.append(environment)
                self._changed.notify_all()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Environment]:
        """Wait until every slot is free, and hold all of them."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_reserved)
            self._is_reserved = True
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: len(self._free) == self._n_slots)
            yield self._free[0]
        finally:
            async with self._changed:
                self._is_reserved = False
                self._changed.notify_all()


class LocalRunner:
    """Runs stages in the slots of this machine."""

    def __init__(self, slots: Slots, slow_stages: Mapping[str, Outcome] = {}) -> None:
        """slow_stages: the outcomes of the stages that are restored but never run."""
        self._slots = slots
        self.slow_stages = slow_stages
        # Slow stages ask at the same time, each in a thread. DVC's lock keeps out other threads as
        # it does other processes: a second one would wait, and blame another process for it.
        self._run_cache_lock = asyncio.Lock()

    async def run(self, stage: str, followers: Sequence[str] = ()) -> dict[str, Outcome]:
        """Run a stage whose deps are up to date; once more, alone, if the memory was too little.

        followers: the stages that can run after it, in this order, by the same process of DVC.
        Return the outcomes of those that had their turn. A slow stage is only restored: without a
        result in the run cache it is skipped.
        """
        if stage in self.slow_stages and not await self._has_result(stage):
            return {stage: self.slow_stages[stage]}

        async with self._slots.shared() as environment:
            outcomes = await run_stages_locally([stage, *followers], environment)

        # Other stages may have taken the memory.
        last_stage = list(outcomes)[-1]
        if outcomes[last_stage].status is Status.NO_MEMORY:
            async with self._slots.exclusive() as environment:
                print(f"{last_stage}: again, alone", flush=True)
                outcomes |= await run_stages_locally([last_stage], environment)
        return outcomes

    async def _has_result(self, stage: str) -> bool:
        """Return whether the run cache has the result of a stage whose deps are up to date."""
        async with self._run_cache_lock:
            return stage in await find_run_cache_hits([stage])


class StageLog:
    """Prints the lines of stages that have their turn one after the other, and times them."""

    def __init__(self, stages: Sequence[str]) -> None:
        self._later_stages = list(stages)
        self.seconds: dict[str, float] = {}
        """Of the stages that are done."""
        self._begin(stages[0])

    def _begin(self, stage: str) -> None:
        self._later_stages.remove(stage)
        self.stage = stage
        self.lines: list[str] = []
        """Of the stage that has its turn."""
        self._started = time.perf_counter()
        self._print("started")

    def _print(self, text: str) -> None:
        print(f"{self.stage}: {text}", flush=True)

    def show(self, line: str) -> None:
        """Print a line of the stage that has its turn."""
        self.lines.append(line)
        self._print(line)

    def turn_to(self, stage: str) -> None:
        """End the turn of the stage before: it is done. A stage has one turn."""
        if stage in self._later_stages:
            self._end()
            self._begin(stage)

    def finish(self) -> None:
        """End the turns of all stages: they are done."""
        for stage in list(self._later_stages):
            self.turn_to(stage)
        self._end()

    def _end(self) -> None:
        seconds = time.perf_counter() - self._started
        self.seconds[self.stage] = seconds
        self._print(f"done in {seconds:.0f} s")

    def fail(self, status: Status) -> Outcome:
        """End the last turn, of a stage that failed; return its outcome."""
        seconds = time.perf_counter() - self._started
        self._print(f"failed after {seconds:.0f} s")
        return Outcome(status, HERE, seconds, "\n".join(self.lines))


async def run_stages_locally(stages: Sequence[str], environment: Environment) -> dict[str, Outcome]:
    """Bring stages up to date by one process of DVC, in this order, and print what they print.

    Return how each of them ended, the last of which may have failed; those behind it had no turn.
    """
    log = StageLog(stages)
    failure: dict[str, Outcome] = {}
    executed_stages: set[str] = set()
    try:
        output = await run_stages(stages, log.show, log.turn_to, environment)
        executed_stages = output.executed_stages
        log.finish()
    except DvcError as error:  # Its lines were shown.
        executed_stages = error.executed_stages
        failure = {log.stage: log.fail(find_failure_status("\n".join(log.lines)))}
    except (OSError, ValueError) as error:  # It could not start, or printed too long a line.
        log.show(f"error: {error}")
        failure = {log.stage: log.fail(Status.FAILED)}

    outcomes = {}
    for stage, seconds in log.seconds.items():
        status = Status.DONE if stage in executed_stages else Status.RESTORED
        outcomes[stage] = Outcome(status, HERE, seconds)
    return outcomes | failure


def find_failure_status(text: str) -> Status:
    """Return how a stage ended that is not up to date, by what DVC printed of it."""
    if reports_no_memory(text):
        return Status.NO_MEMORY
    if reports_stop(text):
        return Status.STOPPED
    if not reports_exit(text):
        return Status.NOT_RECORDED
    return Status.FAILED


def list_slots() -> list[Environment]:
    """Return, for each stage that may run at a time, what it adds to the environment.

    That is one per GPU, each seeing no other, or one per core. CUDA_VISIBLE_DEVICES is respected.
    """
    gpus = list_gpus()
    if gpus:
        return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]
    return [{} for _ in range(count_parallel_stages())]


def list_gpus() -> list[str]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, or else those of nvidia-smi."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu not in NO_GPU]
    if not shutil.which("nvidia-smi") or "+cpu" in version("torch"):
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    listing = subprocess.run(query, capture_output=True, text=True).stdout
    return re.findall(r"^\d+$", listing, re.MULTILINE)  # without its error messages


def count_parallel_stages() -> int:
    """Return how many stages the cores have room for, by the largest `threads` of a model."""
    # A container may have fewer cores than the machine; only Linux tells.
    n_cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    models = read_params().models
    n_threads = max(models[name].threads for name in models)
    return max(1, n_cores // n_threads)

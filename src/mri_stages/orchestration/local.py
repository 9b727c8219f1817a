"""Run stages on this machine, several at once."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from mri_stages.config.loading import read_params
from mri_stages.orchestration.dvc import (
    DvcError,
    find_run_cache_hits,
    reports_exit,
    reports_no_memory,
    reports_stop,
    run_single_stage,
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
        """Take the slots, and the outcomes of the stages that are restored but never run."""
        self._slots = slots
        self.slow_stages = slow_stages
        self._question = asyncio.Lock()  # DVC's own code is asked in one thread at a time.

    async def run(self, stage: str) -> Outcome:
        """Run a stage whose deps are up to date; once more, alone, if the memory was too little.

        A slow one is only restored: without a result in the run cache it is skipped.
        """
        if stage in self.slow_stages and not await self._has_result(stage):
            return self.slow_stages[stage]

        async with self._slots.shared() as environment:
            outcome = await run_stage_locally(stage, environment)

        # Other stages may have taken the memory.
        if outcome.status is Status.NO_MEMORY:
            async with self._slots.exclusive() as environment:
                print(f"{stage}: again, alone", flush=True)
                outcome = await run_stage_locally(stage, environment)
        return outcome

    async def _has_result(self, stage: str) -> bool:
        """Return whether the run cache has the result of a stage whose deps are up to date."""
        async with self._question:
            return stage in await find_run_cache_hits([stage])


async def run_stage_locally(stage: str, environment: Environment) -> Outcome:
    """Run one stage, whose deps are up to date, and print what it prints."""
    show = partial(print, f"{stage}:", flush=True)
    show("started")
    started = time.perf_counter()
    text = ""
    try:
        output = await run_single_stage(stage, show, environment)
        status = Status.DONE if stage in output.executed_stages else Status.RESTORED
    except DvcError as error:  # Its lines were shown.
        text = error.output
        status = Status.FAILED
        if reports_no_memory(text):
            status = Status.NO_MEMORY
        elif reports_stop(text):
            status = Status.STOPPED
        elif not reports_exit(text):
            status = Status.NOT_RECORDED
    except (OSError, ValueError) as error:  # It could not start, or printed too long a line.
        show(f"error: {error}")
        text = str(error)
        status = Status.FAILED

    seconds = time.perf_counter() - started
    verb = "done in" if status.is_current else "failed after"
    show(f"{verb} {seconds:.0f} s")
    return Outcome(status, HERE, seconds, text)


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

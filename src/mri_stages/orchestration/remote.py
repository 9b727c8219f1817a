"""Run stages on the workers of a Dask scheduler, each in its own clone.

Code travels as a Git bundle, data through the DVC remote. Results come back through DVC's run
cache, keyed by the hash of all inputs, so results of other code are never accepted.
"""

import asyncio
import pickle
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from uuid import uuid4

import cloudpickle
from distributed import Client, Future

from mri_stages.config.live import LiveWriter, find_live_file, name_live_file
from mri_stages.console import list_some
from mri_stages.errors import InputError
from mri_stages.orchestration import worker as worker_module
from mri_stages.orchestration.dvc import (
    find_reason,
    list_executed_stages,
    reports_exit,
    reports_no_memory,
    reports_stop,
)
from mri_stages.orchestration.outcome import Outcome, Status
from mri_stages.orchestration.pool import NoWorkerLeftError, WorkerPool

Job = dict[str, Any]
"""What a worker needs beside the name of the stage: see `worker.run_stage_on_worker`.

`RemoteRunner` adds what belongs to one run, see `_show_epochs`.
"""

MAX_WORKER_DEATHS = 3  # during one stage
REPORT_SECONDS = 60.0  # between two lines on what is waited for

# All tasks have the same first part of their key, so Dask learns from one how long others take.
KEY = "mri-stages"
# No worker has it. A task that asks for it never runs, but an adaptive cluster counts it.
DEMAND = "mri-stages-demand"

cloudpickle.register_pickle_by_value(worker_module)


class WorkerLostError(Exception):
    """A worker left, or died, while it ran a stage."""


class SchedulerLostError(Exception):
    """The scheduler does not answer any more."""


class PickledByValue:
    """A function that arrives on a worker as a copy of its code.

    Dask pickles the graph of a task as a whole, and then looks for no registered module in it: the
    worker would import ours, and die where it has none.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._pickle = cloudpickle.dumps(function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return pickle.loads, (self._pickle,)


class RemoteRunner:
    """Runs stages on the workers of a pool."""

    def __init__(
        self,
        client: Client,
        pool: WorkerPool,
        job: Job,
        show: Callable[[str], object],
        run_stage: Callable[[str, Job], dict[str, Any]] = worker_module.run_stage_on_worker,
    ) -> None:
        self._client = client
        self._pool = pool
        self._job = job
        self._show = show
        self._run_stage = PickledByValue(run_stage)
        self._waiting: dict[str, float] = {}
        """When each stage began to wait for a worker."""
        self._running: dict[str, tuple[str, float]] = {}
        """The worker of each stage, and when it got the stage."""

    async def run(self, stage: str) -> Outcome:
        """Run the stage on the first worker that accepts it."""
        dead_workers: list[str] = []
        started = time.monotonic()
        while len(dead_workers) < MAX_WORKER_DEATHS:
            try:
                outcome = await self._run_until_accepted(stage)
            except WorkerLostError as error:
                dead_workers.append(str(error))
                self._show(f"{stage}: {error} is gone")
                continue
            except NoWorkerLeftError as error:
                text = f"no worker is left that can run it ({error})"
                return Outcome(Status.REFUSED, "", 0, text)
            verb = outcome.status.value
            self._show(f"{stage}: {verb} on {outcome.where} in {outcome.seconds:.0f} s")
            return outcome
        text = f"{MAX_WORKER_DEATHS} workers died of it; too little memory?"
        return Outcome(Status.FAILED, dead_workers[-1], time.monotonic() - started, text)

    async def _run_until_accepted(self, stage: str) -> Outcome:
        refusals: dict[str, str] = {}  # of this stage alone, with their reasons
        while True:
            worker = await self._acquire(stage, refusals)
            try:
                outcome = await self._run_on(worker, stage)
                if outcome.status is not Status.REFUSED:
                    return outcome
                if outcome.is_for_stage:
                    refusals[worker] = outcome.text
                    self._show(f"{stage}: refused by {worker}: {outcome.text}")
                    continue
                await self._pool.refuse(worker, outcome.text)
                self._show(f"{worker}: gets no stage: {outcome.text}")
            finally:
                await self._pool.release(worker)

    async def _acquire(self, stage: str, refusals: Mapping[str, str]) -> str:
        self._waiting[stage] = time.monotonic()
        try:
            with self._ask_for_worker(stage):
                return await self._pool.acquire(refusals)
        finally:
            del self._waiting[stage]

    @contextmanager
    def _ask_for_worker(self, stage: str) -> Iterator[None]:
        """Let an adaptive cluster see that a stage waits: it starts workers for waiting tasks.

        The stage itself is submitted to a worker that was chosen here. While there is none, Dask
        would know of no task.
        """
        demand = self._client.submit(
            int, key=(KEY, "waits", stage, uuid4().hex), resources={DEMAND: 1}
        )
        try:
            yield
        finally:
            demand.release()

    async def _run_on(self, worker: str, stage: str) -> Outcome:
        """Return how the stage ended on this worker; WorkerLostError if the worker is gone."""
        with self._show_epochs(stage) as live_job:
            return await self._get_outcome(worker, stage, {**self._job, **live_job})

    @contextmanager
    def _show_epochs(self, stage: str) -> Iterator[Job]:
        """Write what the worker tells of each epoch to the file that a training here would write.

        Yield what the worker needs for that. Its topic is of this run alone, since a worker that
        seems to be lost may go on.
        """
        topic = f"{KEY}-{stage}-{uuid4().hex}"
        writer = LiveWriter(stage, find_live_file(stage))
        self._client.subscribe_topic(topic, lambda event: writer.write(event[1]))
        try:
            yield {"topic": topic, "live_file": str(name_live_file(stage))}
        finally:
            writer.remove()

    async def _get_outcome(self, worker: str, stage: str, job: Job) -> Outcome:
        future = self._client.submit(
            self._run_stage, stage, job, key=(KEY, stage, uuid4().hex), workers=[worker]
        )
        answer = asyncio.ensure_future(get_answer(future))
        departure = asyncio.ensure_future(self._pool.wait_until_gone(worker))
        self._running[stage] = (worker, time.monotonic())
        try:
            await asyncio.wait([answer, departure], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise WorkerLostError(worker)
            return read_answer(worker, stage, await answer)
        finally:
            del self._running[stage]
            answer.cancel()
            departure.cancel()
            future.release()

    async def report_waits(self, seconds: float) -> None:
        """Say again and again, after so many seconds, what is waited for."""
        while True:
            await asyncio.sleep(seconds)
            for line in self.describe_waits():
                self._show(line)

    def describe_waits(self) -> list[str]:
        """Return lines on the stages that run, and on those that wait for a worker."""
        now = time.monotonic()
        lines = []
        if self._running:
            stages = [
                f"{stage} on {worker} for {now - since:.0f} s"
                for stage, (worker, since) in self._running.items()
            ]
            lines.append(f"waiting for results: {list_some(stages)}")
        if self._waiting:
            n_usable = self._pool.count_usable()
            reason = f"all {n_usable} workers are busy" if n_usable > 1 else "the only one is busy"
            if n_usable == 0:
                reason = (
                    "there is none yet; start one with `dask worker ADDRESS --nthreads 1` "
                    "if the cluster starts none by itself"
                )
            lines.append(f"waiting for a worker: {list_some(self._waiting)}: {reason}")
        return lines


async def get_answer(future: Future[Any]) -> dict[str, Any]:
    """Return what a worker returned; SchedulerLostError if Dask gave up the task."""
    try:
        answer: dict[str, Any] = await future
    except CancelledError as error:
        raise SchedulerLostError(str(error)) from None
    except Exception as error:  # of any kind, in the worker or on the way to it
        return {"status": "failed", "problem": f"{type(error).__name__}: {error}"}
    return answer


def read_answer(worker: str, stage: str, answer: dict[str, Any]) -> Outcome:
    """Return a worker's answer, with what DVC's output says of the stage."""
    status = Status(answer["status"])
    output = answer.get("output", "")
    text = output or answer["problem"]
    if status is Status.REFUSED:
        text = answer["problem"]
        if output:
            text = f"{text}: {find_reason(output)}"
    elif status is Status.FAILED and reports_no_memory(output):
        status = Status.NO_MEMORY
    elif status is Status.FAILED and reports_stop(output):
        status = Status.STOPPED
    elif status is Status.FAILED and output and not reports_exit(output):
        status = Status.NOT_RECORDED
    elif status is Status.DONE and stage not in list_executed_stages(output):
        status = Status.RESTORED
    return Outcome(
        status,
        worker,
        answer.get("seconds", 0.0),
        text,
        answer.get("files", {}),
        answer.get("is_for_stage", False),
    )


async def run_on_workers(
    stages: Sequence[str],
    job: Job,
    show: Callable[[str], object],
    report_seconds: float = REPORT_SECONDS,
) -> dict[str, Outcome]:
    """Run each stage on a worker of the scheduler at DASK_SCHEDULER_ADDRESS, in this order.

    What the stages wrote is in the DVC remote afterwards. report_seconds: between two lines that
    say what is waited for, and at most between two questions to the scheduler.
    """
    async with connect() as client:
        pool = WorkerPool()
        runner = RemoteRunner(client, pool, job, show)
        outcomes: dict[str, Outcome] = {}
        problem = ""
        try:
            async with asyncio.TaskGroup() as background:
                watch = background.create_task(watch_workers(client, pool, report_seconds))
                report = background.create_task(runner.report_waits(report_seconds))
                outcomes = await run_all(background, runner, stages, show)
                watch.cancel()
                report.cancel()
        except* (SchedulerLostError, OSError) as errors:
            problem = str(errors.exceptions[0])
        if problem:
            raise InputError(f"DASK_SCHEDULER_ADDRESS: its scheduler is lost ({problem})")
        return outcomes


async def run_all(
    group: asyncio.TaskGroup,
    runner: RemoteRunner,
    stages: Sequence[str],
    show: Callable[[str], object],
) -> dict[str, Outcome]:
    """Run all stages at once; then, one by one, those that had too little memory."""
    tasks = {stage: group.create_task(runner.run(stage)) for stage in stages}
    outcomes = {stage: await tasks[stage] for stage in stages}
    for stage, outcome in outcomes.items():
        if outcome.status is Status.NO_MEMORY:
            show(f"{stage}: again, alone")
            outcomes[stage] = await runner.run(stage)
    return outcomes


@asynccontextmanager
async def connect() -> AsyncIterator[Client]:
    """Connect to the scheduler; InputError if none answers."""
    try:
        client = await Client(asynchronous=True)
    except (OSError, ValueError) as error:  # also TimeoutError
        raise InputError(
            f"DASK_SCHEDULER_ADDRESS: no scheduler answers ({error}); start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS --nthreads 1`"
        ) from None
    async with client:
        yield client


async def watch_workers(client: Client, pool: WorkerPool, seconds: float) -> None:
    """Tell the pool of each worker that joins or leaves; OSError once the scheduler is lost.

    seconds: after which the scheduler is asked without any event.
    """
    changed = asyncio.Event()
    client.subscribe_topic("all", lambda event: changed.set())
    while True:
        changed.clear()
        await pool.update(set(await client.nthreads()))
        # A lost scheduler sends no events: ask it from time to time. Python 3.11's `wait_for` may
        # lose a cancellation that comes with an event, and the run would never end.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await changed.wait()

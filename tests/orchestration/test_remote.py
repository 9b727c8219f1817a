"""What the head makes of a worker's answers, and what it says while it waits."""

import asyncio
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest
from distributed import Client, Worker, get_worker

from mri_stages.config.live import find_live_file
from mri_stages.errors import InputError
from mri_stages.orchestration.outcome import Outcome, Status, format_table
from mri_stages.orchestration.pool import WorkerPool
from mri_stages.orchestration.remote import (
    PickledByValue,
    RemoteRunner,
    read_answer,
    run_on_workers,
    watch_workers,
)
from tests.helpers.schedulers import start_scheduler

RAN = "Running stage 'train@a':\n> python\n"


def read(status: str, output: str = "", problem: str = "") -> Outcome:
    answer = {"status": status, "output": output, "problem": problem, "seconds": 3.0, "files": {}}
    return read_answer("tcp://w", "train@a", answer)


def test_read_answer_of_a_stage_that_ran() -> None:
    outcome = read("done", RAN)
    assert (outcome.status, outcome.where, outcome.seconds) == (Status.DONE, "tcp://w", 3)


def test_read_answer_of_a_restored_stage() -> None:
    assert read("done", "Stage 'train@a' is cached - skipping run").status is Status.RESTORED


def test_read_answer_of_too_little_memory() -> None:
    assert read("failed", f"{RAN}ERROR: exited with 75").status is Status.NO_MEMORY


def test_read_answer_of_a_failure() -> None:
    assert read("failed", f"{RAN}ERROR: exited with 1").status is Status.FAILED


def test_read_answer_where_dvc_itself_failed() -> None:
    text = f"{RAN}ERROR: failed to reproduce: No space left on device"
    assert read("failed", text).status is Status.NOT_RECORDED


def test_read_answer_of_an_exception() -> None:
    outcome = read_answer("tcp://w", "train@a", {"status": "failed", "problem": "KeyError: x"})
    assert (outcome.status, outcome.text) == (Status.FAILED, "KeyError: x")


def test_read_answer_of_a_refusal_names_the_reason() -> None:
    output = "ERROR: Checkout failed\nIs your cache up to date?\n<https://error.dvc.org/x>"
    outcome = read("refused", output, "`dvc pull` failed there")
    assert outcome.status is Status.REFUSED
    assert outcome.text.startswith("`dvc pull` failed there: ERROR: Checkout failed")
    assert "https://" not in outcome.text


def test_read_answer_tells_a_refusal_of_one_stage_from_one_of_all() -> None:
    answer = {"status": "refused", "problem": "no weights"}
    assert read_answer("tcp://w", "train@a", answer | {"is_for_stage": True}).is_for_stage
    assert not read_answer("tcp://w", "train@a", answer).is_for_stage


def test_pickled_by_value_needs_no_module() -> None:
    module = ModuleType("only_on_the_head")
    sys.modules["only_on_the_head"] = module
    exec("LIMIT = 5\ndef add(x):\n    return x + LIMIT", module.__dict__)
    cloudpickle.register_pickle_by_value(module)
    data = pickle.dumps(PickledByValue(module.add))
    del sys.modules["only_on_the_head"]
    function: Any = pickle.loads(data)
    assert function(1) == 6


def test_table_has_a_row_wherever_a_stage_ran() -> None:
    table = format_table(
        {
            "load": Outcome(Status.UP_TO_DATE),
            "scale": Outcome(Status.DONE, "this machine", 2),
            "train@a": Outcome(Status.RESTORED, "tcp://w", 3),
        }
    )
    stages = [line.split()[0] for line in table.splitlines()]
    assert stages == ["stage", "scale", "train@a"]


def test_table_without_a_started_stage_is_empty() -> None:
    assert format_table({"one": Outcome(Status.UP_TO_DATE)}) == ""


async def start_waiting() -> tuple[asyncio.Task[dict[str, Outcome]], str]:
    """Start to run a stage; return the task, and the first line on what it waits for."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    task = asyncio.create_task(
        run_on_workers(["train@a"], {}, lines.put_nowait, report_seconds=0.1)
    )
    return task, await lines.get()


def test_run_on_workers_says_what_it_waits_for() -> None:
    async def test() -> None:
        async with start_scheduler():
            task, line = await start_waiting()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert line.startswith("waiting for a worker: train@a: there is none")

    asyncio.run(asyncio.wait_for(test(), timeout=60))


def test_run_on_workers_shows_an_adaptive_cluster_its_demand() -> None:
    async def test() -> None:
        async with start_scheduler() as scheduler:
            task, _ = await start_waiting()
            assert scheduler.adaptive_target() == 1
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(test(), timeout=60))


may_stage_end = threading.Event()


def report_epoch(stage: str, job: dict[str, Any]) -> dict[str, Any]:
    """Stand for a stage on a worker, in this process: tell of an epoch, and wait for the test."""
    get_worker().log_event(job["topic"], [f"epoch of {stage}"])
    may_stage_end.wait(timeout=30)
    return {"status": "done", "problem": "", "output": ""}


def test_runner_writes_the_epochs_of_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = find_live_file("train@a")

    async def test() -> None:
        async with (
            start_scheduler() as scheduler,
            Worker(scheduler.address, nthreads=1, dashboard=False) as worker,
            Client(asynchronous=True) as client,
        ):
            pool = WorkerPool()
            await pool.update({worker.address})
            runner = RemoteRunner(client, pool, {}, str, report_epoch)
            run = asyncio.create_task(runner.run("train@a"))
            while not (path.exists() and path.read_text()):
                await asyncio.sleep(0)
            assert path.read_text() == "epoch of train@a\n"
            may_stage_end.set()
            await run

    asyncio.run(asyncio.wait_for(test(), timeout=60))
    assert not path.exists()


class EventClient(Client):
    """A client whose events come when the test calls `send_event`."""

    send_event: Callable[[object], object]

    def subscribe_topic(self, topic: str, handler: Callable[[object], object]) -> None:
        self.send_event = handler


class ObservedPool(WorkerPool):
    """A pool that tells when it was updated."""

    def __init__(self) -> None:
        super().__init__()
        self.is_updated = asyncio.Event()

    async def update(self, workers: set[str]) -> None:
        await super().update(workers)
        self.is_updated.set()


def test_watch_workers_ends_when_an_event_comes_at_its_end() -> None:
    async def test() -> None:
        async with (
            start_scheduler(),
            EventClient(asynchronous=True) as client,  # type: ignore[no-untyped-call]
        ):
            pool = ObservedPool()
            watch = asyncio.create_task(watch_workers(client, pool, seconds=60))
            await pool.is_updated.wait()
            await asyncio.sleep(0)  # It goes on to its wait.
            client.send_event(None)
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(watch, timeout=10)
            assert watch.cancelled()

    asyncio.run(asyncio.wait_for(test(), timeout=60))


@pytest.mark.slow
def test_run_on_workers_names_a_lost_scheduler() -> None:
    async def test() -> None:
        async with start_scheduler() as scheduler:
            task, _ = await start_waiting()
            await scheduler.close()
            with pytest.raises(InputError, match="its scheduler is lost"):
                await task

    asyncio.run(asyncio.wait_for(test(), timeout=60))

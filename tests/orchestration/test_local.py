"""Slots of this machine: one stage each, or all of them for one stage."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from mri_stages.orchestration.local import (
    Slots,
    count_parallel_stages,
    list_gpus,
    list_slots,
    run_stages_locally,
)
from mri_stages.orchestration.outcome import Status
from tests.helpers.dvc_projects import shell_stage, write_project
from tests.helpers.params import write_params


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=60))


async def let_others_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_slots_are_shared_up_to_their_number() -> None:
    async def test() -> None:
        slots = Slots([{"GPU": "0"}, {"GPU": "1"}])
        async with slots.shared() as first, slots.shared() as second:
            assert {first["GPU"], second["GPU"]} == {"0", "1"}
            third = asyncio.create_task(slots.shared().__aenter__())
            await let_others_run()
            assert not third.done()
        await third

    run(test())


def test_exclusive_slots_wait_for_all() -> None:
    async def test() -> None:
        slots = Slots([{}, {}])
        async with slots.shared():
            exclusive = asyncio.create_task(slots.exclusive().__aenter__())
            await let_others_run()
            assert not exclusive.done()
        await exclusive

    run(test())


def test_exclusive_slots_let_nothing_start() -> None:
    async def test() -> None:
        slots = Slots([{}, {}])
        async with slots.exclusive():
            shared = asyncio.create_task(slots.shared().__aenter__())
            await let_others_run()
            assert not shared.done()
        await shared

    run(test())


def test_exclusive_slots_are_free_after_an_error() -> None:
    async def test() -> None:
        slots = Slots([{}])
        with pytest.raises(ValueError, match="of the stage"):
            async with slots.exclusive():
                raise ValueError("of the stage")
        async with slots.shared():
            pass

    run(test())


def test_count_parallel_stages_uses_all_cores(workspace: Path) -> None:
    n_cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert count_parallel_stages() == n_cores


@pytest.mark.parametrize("n_threads", [2, 3, 1024])
def test_count_parallel_stages_divides_by_threads(workspace: Path, n_threads: int) -> None:
    n_cores = count_parallel_stages()
    write_params(workspace, {"models.small.threads": n_threads})  # The other models have one.
    assert count_parallel_stages() == max(1, n_cores // n_threads)


@pytest.mark.parametrize(
    ("visible", "gpus"), [("", []), ("-1", []), ("0", ["0"]), ("0,2", ["0", "2"])]
)
def test_list_gpus_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, visible: str, gpus: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert list_gpus() == gpus


def test_list_slots_one_per_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert list_slots() == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "2"}]


def test_run_stages_ends_at_the_first_that_fails(workspace: Path) -> None:
    Path("source").touch()
    write_project(
        first=shell_stage("echo error: of the first; echo > a", "a", "source"),
        second=shell_stage("cat a > b; echo why; exit 75", "b", "a"),
        third=shell_stage("cat b > c", "c", "b"),
    )
    outcomes = asyncio.run(run_stages_locally(["first", "second", "third"], {}))
    assert {stage: outcome.status for stage, outcome in outcomes.items()} == {
        "first": Status.DONE,
        "second": Status.NO_MEMORY,
    }
    assert outcomes["second"].text.splitlines()[0] == "why"


def test_run_stages_tells_which_could_not_begin(workspace: Path) -> None:
    write_project(
        first=shell_stage("echo > a", "a"), second=shell_stage("cat a no > b", "b", "a", "no")
    )
    outcomes = asyncio.run(run_stages_locally(["first", "second"], {}))
    assert [outcome.status for outcome in outcomes.values()] == [Status.DONE, Status.NOT_RECORDED]


def test_run_stages_tells_what_was_restored(workspace: Path) -> None:
    Path("source").touch()
    write_project(
        first=shell_stage("cat source > a", "a", "source"),
        second=shell_stage("cat a > b", "b", "a"),
    )
    asyncio.run(run_stages_locally(["first", "second"], {}))
    Path("a").unlink()
    outcomes = asyncio.run(run_stages_locally(["first", "second"], {}))
    assert [outcome.status for outcome in outcomes.values()] == [Status.RESTORED, Status.RESTORED]

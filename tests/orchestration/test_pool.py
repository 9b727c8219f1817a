"""Workers that join, leave, refuse and are busy."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from mri_stages.orchestration.pool import NoWorkerLeftError, WorkerPool


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, timeout=60))


async def let_others_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def make_pool(*workers: str) -> WorkerPool:
    pool = WorkerPool()
    await pool.update(set(workers))
    return pool


def test_acquire_gives_each_worker_once() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b")
        assert [await pool.acquire(), await pool.acquire()] == ["a", "b"]

    run(test())


def test_acquire_waits_for_a_release() -> None:
    async def test() -> None:
        pool = await make_pool("a")
        await pool.acquire()
        second = asyncio.create_task(pool.acquire())
        await let_others_run()
        assert not second.done()
        await pool.release("a")
        assert await second == "a"

    run(test())


def test_acquire_waits_for_a_first_worker() -> None:
    async def test() -> None:
        pool = await make_pool()
        first = asyncio.create_task(pool.acquire())
        await let_others_run()
        assert not first.done()
        await pool.update({"late"})
        assert await first == "late"

    run(test())


def test_acquire_gives_a_worker_that_joined() -> None:
    async def test() -> None:
        pool = await make_pool("a")
        await pool.acquire()
        second = asyncio.create_task(pool.acquire())
        await let_others_run()
        await pool.update({"a", "b"})
        assert await second == "b"

    run(test())


def test_acquire_gives_no_worker_that_left() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b")
        await pool.update({"b"})
        assert await pool.acquire() == "b"

    run(test())


def test_acquire_gives_no_worker_that_refused() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b")
        await pool.refuse("a", "it has two threads")
        assert await pool.acquire() == "b"

    run(test())


def test_acquire_names_why_all_refused() -> None:
    async def test() -> None:
        pool = await make_pool("a")
        assert await pool.acquire() == "a"
        waiting = asyncio.create_task(pool.acquire())
        await let_others_run()
        await pool.refuse("a", "it has two threads")
        await pool.release("a")
        with pytest.raises(NoWorkerLeftError, match="a: it has two threads"):
            await waiting

    run(test())


def test_wait_until_gone_ends_when_the_worker_left() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b")
        departure = asyncio.create_task(pool.wait_until_gone("a"))
        await let_others_run()
        assert not departure.done()
        await pool.update({"b"})
        await departure

    run(test())


def test_count_usable_leaves_out_refusals() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b", "c")
        await pool.refuse("a", "it has two threads")
        assert pool.count_usable() == 2

    run(test())


def test_acquire_passes_by_workers_that_refused_this_stage() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b")
        assert await pool.acquire({"a": "no weights"}) == "b"
        assert await pool.acquire() == "a"

    run(test())


def test_acquire_fails_when_all_refused_this_stage_or_any() -> None:
    async def test() -> None:
        pool = await make_pool("a", "b")
        await pool.refuse("b", "old torch")
        with pytest.raises(NoWorkerLeftError, match="a: no weights; b: old torch"):
            await pool.acquire({"a": "no weights"})
        assert await pool.acquire() == "a"

    run(test())

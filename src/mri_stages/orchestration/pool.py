"""Which worker is free: workers may join, leave, or refuse to run stages at any time."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

NO_REFUSALS: Mapping[str, str] = MappingProxyType({})


class NoWorkerLeftError(Exception):
    """All workers refused; the text says why each of them did."""


class WorkerPool:
    """The workers of a cluster, each with one stage at a time. It knows them by address only."""

    def __init__(self) -> None:
        self._workers = set[str]()
        self._busy = set[str]()
        self._reasons: dict[str, str] = {}
        self._changed = asyncio.Condition()

    async def update(self, workers: set[str]) -> None:
        """Replace the list of workers."""
        async with self._changed:
            self._workers = set(workers)
            self._changed.notify_all()

    async def acquire(self, refusals: Mapping[str, str] = NO_REFUSALS) -> str:
        """Wait for a worker that is free, and hold it; NoWorkerLeftError if all have refused.

        refusals: workers that must not be taken this time, with their reasons.

        Dask would assign all waiting stages at once, and a worker that joins later would get none.
        Without any worker this waits too: one may still start.
        """
        async with self._changed:
            await self._changed.wait_for(
                lambda: self._list_free(refusals) or self._have_all_refused(refusals)
            )
            free_workers = self._list_free(refusals)
            if not free_workers:
                all_refusals = {**refusals, **self._reasons}
                reasons = [f"{worker}: {all_refusals[worker]}" for worker in sorted(self._workers)]
                raise NoWorkerLeftError("; ".join(reasons))
            worker = min(free_workers)
            self._busy.add(worker)
            return worker

    async def release(self, worker: str) -> None:
        """Let another stage have the worker."""
        async with self._changed:
            self._busy.discard(worker)
            self._changed.notify_all()

    async def refuse(self, worker: str, reason: str) -> None:
        """Give the worker no stage any more."""
        async with self._changed:
            self._reasons[worker] = reason
            self._changed.notify_all()

    async def wait_until_gone(self, worker: str) -> None:
        """Wait until the worker has left, or died."""
        async with self._changed:
            await self._changed.wait_for(lambda: worker not in self._workers)

    def count_usable(self) -> int:
        """Return the number of workers that are here and did not refuse."""
        return len(self._workers - self._reasons.keys())

    def _list_free(self, refusals: Mapping[str, str]) -> set[str]:
        return self._workers - self._reasons.keys() - refusals.keys() - self._busy

    def _have_all_refused(self, refusals: Mapping[str, str]) -> bool:
        return bool(self._workers) and self._workers <= self._reasons.keys() | refusals.keys()

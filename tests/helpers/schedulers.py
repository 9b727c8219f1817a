"""A Dask scheduler in the process of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dask
from distributed import Scheduler


@asynccontextmanager
async def start_scheduler() -> AsyncIterator[Scheduler]:
    """Start a scheduler without workers; clients connect to it."""
    # Its page has any free port: two tests at once would want the same one.
    async with Scheduler(
        host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
    ) as scheduler:
        with dask.config.set({"scheduler-address": scheduler.address}):
            yield scheduler
        scheduler.http_server.stop()  # It would leave a socket open.

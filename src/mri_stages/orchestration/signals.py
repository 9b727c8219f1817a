"""SIGTERM and SIGHUP stop a command as Ctrl-C does, so that it ends what it has started."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from mri_stages.console import exit_with_error

T = TypeVar("T")


def run_until_signal(steps: Coroutine[Any, Any, T]) -> T:
    """Run `steps`, and return their result; SIGTERM and SIGHUP cancel them, and end the command."""
    try:
        return asyncio.run(_run_cancellably(steps))
    except asyncio.CancelledError:
        exit_with_error("stopped by SIGTERM or SIGHUP", 128 + signal.SIGTERM)


async def _run_cancellably(steps: Coroutine[Any, Any, T]) -> T:
    cancel_on_signals()
    return await steps


def cancel_on_signals() -> None:
    """Let SIGTERM and SIGHUP cancel the task that runs now."""
    task = asyncio.current_task()
    if task is None or sys.platform == "win32":
        return
    for signum in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed.
        if signal.getsignal(signum) != signal.SIG_IGN:  # nohup ignores it.
            asyncio.get_running_loop().add_signal_handler(signum, task.cancel)

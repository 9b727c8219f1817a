"""SIGTERM and SIGHUP stop a command as Ctrl-C does, so that it ends what it has started."""

import asyncio
import signal
import sys


def cancel_on_signals() -> None:
    """Let SIGTERM and SIGHUP cancel the task that runs now."""
    task = asyncio.current_task()
    if task is None or sys.platform == "win32":
        return
    for signum in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed.
        if signal.getsignal(signum) != signal.SIG_IGN:  # nohup ignores it.
            asyncio.get_running_loop().add_signal_handler(signum, task.cancel)

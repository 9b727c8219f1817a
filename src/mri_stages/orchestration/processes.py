"""Ask and end processes of the system, each of which may end by itself at any moment."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil


def read_command(process: psutil.Process) -> list[str]:
    """Return the words of its command; none where it has ended, or is of somebody else."""
    try:
        command: list[str] = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
    return command


def has_process_in(folder: Path) -> bool:
    """Return whether a process, as far as one may ask it, works in the folder or below it."""
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] and Path(process.info["cwd"]).is_relative_to(folder.resolve()):
            return True
    return False


def signal_process(send: Callable[[], object]) -> None:
    """Call `send`, such as `process.terminate`; nothing is done where the process has ended."""
    with suppress(psutil.NoSuchProcess):
        send()


def end_process_tree(parent: psutil.Process, seconds_to_end: float) -> None:
    """End a process and all that it has started; kill those that are alive after that time."""
    try:
        processes = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        signal_process(process.terminate)
    _, alive = psutil.wait_procs(processes, seconds_to_end)
    for process in alive:
        signal_process(process.kill)

"""Bring stages up to date, several at once: `python -m scripts.repro NAME...`.

`dvc repro` runs one stage at a time. This runs `dvc repro --single-item STAGE` for several stages
at once, each as soon as those that it depends on are up to date. The results are the same bytes.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from src.cli import InputError, OneLineParser, run
from src.params import read_params

# What DVC says of locks on which even --wait-for-lock does not wait.
BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")
CHATTER = re.compile(  # lines of DVC that say nothing about the result
    r"$|> |Running stage |(Updating|Generating) lock file |To (track|enable) |\tgit add |\tdvc "
    r"|Use `dvc push`|.* didn't change, skipping$|Data and pipelines are up to date"
)


def main() -> None:
    parser = OneLineParser("python -m scripts.repro", description=__doc__)
    parser.add_argument("name", nargs="+", help="such as report, train, train@conv_nn2, FILE:STAGE")
    try:
        asyncio.run(repro(parser.parse_args().name))
    except asyncio.CancelledError:
        print("error: stopped by a signal", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)


async def repro(names: Iterable[str]) -> None:
    """Bring the stages of these names up to date; InputError names those that are not."""
    task = asyncio.current_task()
    if task and sys.platform != "win32":  # these cancel it, as Ctrl-C does
        for signum in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
            if signal.getsignal(signum) != signal.SIG_IGN:  # as nohup wants it
                asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    slots = asyncio.Semaphore(processes_at_once())
    graph = wanted_graph("\n".join(await output("dag", "--dot")), names)
    changed = json.loads((await output("status", "--json", *graph))[-1])
    tasks: dict[str, asyncio.Task[str]] = {}

    async def bring(stage: str) -> str:
        before = {await tasks[dep] for dep in graph[stage]}
        if before & {"failed", "not run"}:
            return "not run"
        if stage not in changed and "done" not in before:
            return "up to date"
        async with slots:
            return "done" if await run_stage(stage) else "failed"

    async with asyncio.TaskGroup() as group:
        for stage in reversed(graph):  # people put slow models last: these start first
            tasks[stage] = group.create_task(bring(stage))
    ended = {stage: tasks[stage].result() for stage in graph}
    if "failed" in ended.values():
        late = [f"{stage} ({end})" for stage, end in ended.items() if end in ("failed", "not run")]
        raise InputError(f"not up to date: {', '.join(late)}; see above")
    if "done" not in ended.values():
        print("all of it is up to date")


def processes_at_once() -> int:
    """Return how many stages the cores have room for, by the largest train.threads of a model."""
    params = read_params()
    # A container may have fewer cores than the machine; only Linux tells.
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // max(params.recipe(name).threads for name in params.models))


def wanted_graph(dot: str, names: Iterable[str]) -> dict[str, set[str]]:
    """Return the named stages and their ancestors in `dvc dag --dot`, each with its direct deps."""
    graph: dict[str, set[str]] = {stage: set() for stage in re.findall(r'^"([^"]+)";$', dot, re.M)}
    for dep, stage in re.findall(r'^"([^"]+)" -> "([^"]+)";$', dot, re.M):
        graph[stage].add(dep)
    wanted: set[str] = set()
    for name in names:
        stages = {stage for stage in graph if stage == name or stage.startswith(f"{name}@")}
        if not stages:
            known = ", ".join(dict.fromkeys(stage.partition("@")[0] for stage in graph))
            raise InputError(f"{name}: no such stage, expected one of {known}")
        while stages:
            wanted |= stages
            stages = set().union(*(graph[stage] for stage in stages)) - wanted
    return {stage: deps for stage, deps in graph.items() if stage in wanted}


async def run_stage(stage: str) -> bool:
    """Run one stage, whose deps are up to date, and print what it prints; return its success."""
    show = partial(print, f"{stage}:", flush=True)
    show("started")
    started = time.perf_counter()
    done = await dvc("repro", "--single-item", stage, show=show)
    show(f"{'done in' if done else 'failed after'} {time.perf_counter() - started:.0f} s")
    return done


async def output(*arguments: str) -> list[str]:
    """Return the lines that a DVC command prints; InputError with them if it fails."""
    lines: list[str] = []
    if not await dvc(*arguments, show=lines.append):
        raise InputError(f"dvc {arguments[0]}: {' '.join(lines)}")
    return lines


async def dvc(*arguments: str, show: Callable[[str], object]) -> bool:
    """Run a DVC command, waiting for DVC's locks; show its lines; return whether it succeeded.

    An exception here, such as that of a signal, ends all that the command has started.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    waited = False
    while True:
        busy = False
        # DVC takes its lock again after a stage. Without the flag it gives up after 3 s, and the
        # outs are lost, while another process hashes gigabytes.
        process = await asyncio.create_subprocess_exec(
            *("dvc", "--wait-for-lock", *arguments), stdout=PIPE, stderr=STDOUT, limit=2**20,
            start_new_session=True, env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            assert process.stdout
            async for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                busy = busy or any(message in text for message in BUSY)
                if not busy and not CHATTER.match(text):
                    show(text)
            failed = await process.wait()
        except BaseException:
            with suppress(ProcessLookupError):  # it has ended
                if sys.platform == "win32":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGTERM)
            await process.communicate()  # until nothing holds the pipe
            raise
        if not (failed and busy):
            return not failed
        if not waited:
            print(f"{arguments[-1]}: waits for another DVC process", flush=True)
        waited = True
        await asyncio.sleep(1)


if __name__ == "__main__":
    run(main)

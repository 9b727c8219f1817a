"""Bring stages up to date, several at once: `mri-stages repro [NAME...]`.

Each stage runs by `dvc repro --single-item`, as soon as those that it depends on are up to date. If
DASK_SCHEDULER_ADDRESS is set, trainings run on the workers of that Dask scheduler.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

from mri_stages.config.loading import read_params
from mri_stages.console import OneLineParser, make_printable, print_once
from mri_stages.errors import HAD_NO_MEMORY, InputError
from mri_stages.storage.files import write_bytes

# What DVC says of locks on which even --wait-for-lock does not wait.
BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")
LATE = ("failed", "not run")  # how a stage ends that is not up to date
# The stages that may run on another machine: all that train.
TRAINS = re.compile(r"(train|cross_validate)@|studies/dvc.yaml:(leakage_permuted$|\w+@)")
CHATTER = re.compile(  # lines of DVC that say nothing about the result
    r"$|> |Running stage |(Updating|Generating) lock file |To (track|enable) |\tgit add |\tdvc "
    r"|Use `dvc push`|.* didn't change, skipping$|Data and pipelines are up to date"
)


def main(argv: Sequence[str]) -> None:
    parser = OneLineParser("mri-stages repro", description=__doc__)
    help_ = "such as report, train, train@conv_nn2, FILE:STAGE; none: all of dvc.yaml"
    parser.add_argument("name", nargs="*", help=help_)
    try:
        asyncio.run(repro(parser.parse_args(argv).name))
    except asyncio.CancelledError:
        print("error: stopped by a signal", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)


async def repro(names: Sequence[str]) -> None:
    """Bring the stages of these names up to date; InputError names those that are not."""
    task = asyncio.current_task()
    if task and sys.platform != "win32":  # these cancel it, as Ctrl-C does
        for signum in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
            if signal.getsignal(signum) != signal.SIG_IGN:  # as nohup wants it
                asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    graph = wanted_graph("\n".join(await dvc("dag", "--dot")), names)
    ended: dict[str, str] = {}
    if os.environ.get("DASK_SCHEDULER_ADDRESS"):
        sent = {stage for stage in graph if TRAINS.match(stage)}
        inputs = ancestors(graph, sent) - sent
        ended = await bring({stage: deps for stage, deps in graph.items() if stage in inputs}, {})
        late = {stage for stage, end in ended.items() if end in LATE}
        if able := [s for s in graph if s in sent and not ancestors(graph, [s]) & late]:
            ended |= await send(able, sorted(set().union(*(graph[stage] for stage in able))))
    ended = await bring(graph, ended)
    if text := ", ".join(f"{stage} ({end})" for stage, end in ended.items() if end in LATE):
        raise InputError(f"not up to date: {text}; see above")
    if "done" not in ended.values():
        print("all of it is up to date")


async def bring(graph: dict[str, set[str]], before: Mapping[str, str]) -> dict[str, str]:
    """Bring all stages of `graph` up to date on this machine; return how each ended.

    before: the ends that are known. A stage runs when those that it depends on are up to date.
    """
    if not graph:
        return {}
    changed = json.loads((await dvc("status", "--json", *graph))[-1])
    places: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    for place in places_to_run():
        places.put_nowait(place)
    n_places, alone = places.qsize(), asyncio.Lock()
    tasks: dict[str, asyncio.Task[str]] = {}

    async def end_of(stage: str) -> str:
        if stage in before:
            return before[stage]
        deps = {await tasks[dep] for dep in graph[stage]}
        if deps.intersection(LATE):
            return "not run"
        if stage not in changed and "done" not in deps:
            return "up to date"
        place = await places.get()
        end = await run_stage(stage, place)
        places.put_nowait(place)
        if end == "no memory":  # other stages took it: once more, without them
            async with alone:
                taken = [await places.get() for _ in range(n_places)]
                print(f"{stage}: again, alone", flush=True)
                end = await run_stage(stage, taken[0])
                for place in taken:
                    places.put_nowait(place)
        return "failed" if end == "no memory" else end

    async with asyncio.TaskGroup() as group:
        for stage in reversed(graph):  # people put slow models last: these start first, as in send
            tasks[stage] = group.create_task(end_of(stage))
    return {stage: tasks[stage].result() for stage in graph}


async def send(stages: Sequence[str], inputs: Sequence[str]) -> dict[str, str]:
    """Bring `stages` up to date on the workers of a Dask scheduler; return how each ended.

    inputs: the stages whose outs they read, which are up to date here. What the run cache here has
    of an earlier run is restored and not sent.
    """
    from mri_stages.orchestration.cluster import run_on_workers, workspace_bundle

    await dvc("push", *inputs)  # to the remote, from which workers get their data
    changed = json.loads((await dvc("status", "--json", *stages))[-1])
    wanted = [stage for stage in stages if stage in changed]
    if not wanted:
        return {}
    dry = "\n".join(await dvc("repro", "--single-item", "--dry", *wanted))
    cached = [stage for stage in wanted if f"Stage '{stage}' is cached" in dry]
    if cached:
        await dvc("repro", "--single-item", *cached)
    ended = dict.fromkeys(cached, "done")
    code, sent = workspace_bundle(), [stage for stage in wanted[::-1] if stage not in cached]
    answers = await run_on_workers(code, sent, inputs, partial(print, flush=True))
    if workspace_bundle() != code:
        raise InputError("files changed while the workers ran; run it again to get their results")
    cache = Path((await dvc("cache", "dir"))[-1], "files/md5")
    for stage, answer in answers.items():
        ended[stage] = "failed" if answer.end == "failed" else "done"
        if answer.end == "failed":
            print("\n".join(f"{stage}: {line}" for line in answer.text.splitlines()), flush=True)
        for md5, content in answer.files.items():
            write_bytes(cache / md5[:2] / md5[2:], content)
    if done := [stage for stage, answer in answers.items() if answer.end != "failed"]:
        await dvc("repro", "--pull", "--single-item", *done, show=print)  # from the run cache
    print(f"{'stage':32} {'worker':28} seconds")
    for stage, answer in answers.items():
        print(f"{stage:32} {answer.where:28} {answer.seconds:7.0f}")
    return ended


def places_to_run() -> list[dict[str, str]]:
    """Return, for each stage that may run at a time, what it adds to the environment.

    That is one per GPU, each seeing no other, or one per core. CUDA_VISIBLE_DEVICES is respected.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None and shutil.which("nvidia-smi") and "+cpu" not in version("torch"):
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(query, capture_output=True, text=True).stdout
        visible = ",".join(re.findall(r"^\d+$", listed, re.M))  # without its error messages
    gpus = [gpu for gpu in (visible or "").split(",") if gpu not in ("", "-1")]
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus] or [{}] * processes_at_once()


def processes_at_once() -> int:
    """Return how many stages the cores have room for, by the largest train.threads of a model."""
    params = read_params()
    # A container may have fewer cores than the machine; only Linux tells.
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // max(params.models[name].threads for name in params.models))


def wanted_graph(dot: str, names: Sequence[str]) -> dict[str, set[str]]:
    """Return the named stages and their ancestors in `dvc dag --dot`, each with its direct deps."""
    graph: dict[str, set[str]] = {stage: set() for stage in re.findall(r'^"([^"]+)";$', dot, re.M)}
    for dep, stage in re.findall(r'^"([^"]+)" -> "([^"]+)";$', dot, re.M):
        graph[stage].add(dep)
    # Without names: all of dvc.yaml, whose stages have no file in their name.
    wanted = set() if names else {stage for stage in graph if ":" not in stage}
    for name in names:
        stages = {stage for stage in graph if stage == name or stage.startswith(f"{name}@")}
        if not stages:
            known = ", ".join(dict.fromkeys(stage.partition("@")[0] for stage in graph))
            raise InputError(f"{name}: no such stage, expected one of {known}")
        wanted |= ancestors(graph, stages)
    return {stage: deps for stage, deps in graph.items() if stage in wanted}


def ancestors(graph: Mapping[str, set[str]], stages: Iterable[str]) -> set[str]:
    """Return `stages` and all that they depend on."""
    found, wanted = set[str](), set(stages)
    while wanted:
        found |= wanted
        wanted = set().union(*(graph[stage] for stage in wanted)) - found
    return found


async def run_stage(stage: str, place: dict[str, str]) -> str:
    """Run one stage, whose deps are up to date, and print what it prints.

    Return "done", "failed", or "no memory", which may be because of the stages beside it.
    """
    show = partial(print, f"{stage}:", flush=True)
    show("started")
    started, end = time.perf_counter(), "done"
    try:
        await dvc("repro", "--single-item", stage, show=show, **place)
    except (InputError, OSError, ValueError) as error:  # also of starting it, of a line too long
        if not isinstance(error, InputError):  # whose lines were shown
            show(f"error: {error}")
        end = "no memory" if HAD_NO_MEMORY.search(str(error)) else "failed"
    show(f"{'done in' if end == 'done' else 'failed after'} {time.perf_counter() - started:.0f} s")
    return end


async def dvc(
    *arguments: str, show: Callable[[str], object] | None = None, **more: str
) -> list[str]:
    """Run a DVC command, waiting for DVC's locks; return its lines; InputError if it fails.

    show: is called with each line at once. more: what its environment has in addition.
    An exception here, such as that of a signal, ends all that the command has started.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path, **more}
    while True:
        lines, busy = list[str](), list[str]()  # busy: on the lock, and on what to do about it
        # DVC takes its lock again after a stage. Without the flag it gives up after 3 s, and the
        # outs are lost, while another process hashes gigabytes.
        process = await asyncio.create_subprocess_exec(
            *("dvc", "--wait-for-lock", *arguments), stdout=PIPE, stderr=STDOUT, limit=2**20,
            start_new_session=True, env=environment,
        )  # fmt: skip
        try:
            assert process.stdout
            async for line in process.stdout:
                text = line.decode(errors="replace").rstrip()
                if busy or any(message in text for message in BUSY):
                    busy.append(text)
                elif not CHATTER.match(text):
                    lines.append(text)
                    if show:
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
        if not failed:
            return lines
        if not busy:
            raise InputError(f"dvc {arguments[0]}: {' '.join(lines)}")
        print_once(
            f"{arguments[-1]}: waits for another DVC process: {make_printable(' '.join(busy))}"
        )
        await asyncio.sleep(1)

"""Stages on other machines: Dask says where, Git carries the code, a DVC remote the data.

Each worker has a clone of its own, so no DVC lock and no file is shared. A result comes back
through DVC's run cache, by the hash of all that a stage reads: other code cannot hand in anything.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import yaml
from distributed import CancelledError, Client, get_worker, wait

from mri_stages.errors import HAD_NO_MEMORY, InputError

REF = "refs/mri-stages/workspace"
MOST_DEATHS = 3  # of workers that run one stage
SMALL = 2**20  # bytes of a file that comes back with the answer


class Answer(NamedTuple):
    """What a worker made of a stage."""

    end: str  # "done", "restored" from the run cache, "failed", or "refused" by this worker only
    where: str  # the worker's address
    seconds: float
    text: str  # what it printed, or why it refused
    files: dict[str, bytes]  # small outs by their MD5: DVC pushes none that is not cached


async def run_on_workers(
    code: bytes, stages: Sequence[str], inputs: Sequence[str], show: Callable[[str], None]
) -> dict[str, Answer]:
    """Run each stage on a worker of the Dask scheduler at DASK_SCHEDULER_ADDRESS.

    code: the `workspace_bundle`. inputs: the stages whose outs they read, which are in the DVC
    remote, as all that the stages wrote is afterwards. A worker that refuses a stage gets no other.
    """
    refused, busy = set[str](), set[str]()
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(Client(asynchronous=True))
            await client.wait_for_workers(1, timeout=60)
        except (OSError, ValueError) as error:  # also TimeoutError
            raise InputError(
                f"DASK_SCHEDULER_ADDRESS: no scheduler with a worker answers ({error}); start them "
                "with `dask scheduler` and `dask worker ADDRESS --nthreads 1`"
            ) from None

        async def ask(stage: str) -> Answer:
            """Return what the first worker that does not refuse the stage made of it."""
            deaths = 0
            while deaths < MOST_DEATHS:
                # We choose the worker: Dask would give each of them waiting stages at once.
                while not (free := (known := set(await client.nthreads())) - refused - busy):
                    if known and known <= refused:
                        return Answer("failed", "", 0, "no worker is left that can run it", {})
                    await asyncio.sleep(1)
                busy.add(where := min(free))
                future = client.submit(
                    run_stage_of_clone(), code, stage, list(inputs), version("torch"),
                    key=f"{stage} {uuid4()}", workers=[where],
                )  # fmt: skip
                while not future.done() and where in await client.nthreads():
                    with suppress(TimeoutError):
                        await wait([future], timeout=5)
                busy.remove(where)
                if not future.done():
                    deaths += 1
                    show(f"{stage}: {where} is gone")
                    continue
                try:
                    answer = Answer(*await future)
                except Exception as error:  # of any kind there
                    return Answer("failed", "", 0, f"{type(error).__name__}: {error}", {})
                if answer.end != "refused":
                    show(f"{stage}: {answer.end} on {where} in {answer.seconds:.0f} s")
                    return answer
                show(f"{where}: gets no stage: {answer.text}")
                refused.add(where)
            return Answer("failed", "", 0, f"{deaths} workers died of it; too little memory?", {})

        try:
            answers = dict(zip(stages, await asyncio.gather(*map(ask, stages)), strict=True))
        except (CancelledError, OSError) as error:
            raise InputError(f"DASK_SCHEDULER_ADDRESS: its scheduler is lost ({error})") from None
        for stage, answer in answers.items():
            if answer.end == "failed" and HAD_NO_MEMORY.search(answer.text):
                show(f"{stage}: again, alone")
                answers[stage] = await ask(stage)
    return answers


def run_stage_of_clone() -> Callable[..., Any]:
    """Return the function that a worker calls; it returns the fields of an Answer.

    It is nested, so that Dask sends its code: a worker need not have this module.
    """

    def run_stage(code: bytes, stage: str, inputs: list[str], torch_version: str) -> Any:
        """Run the stage in a clone of `code`, beside the worker's other files."""
        worker, started = get_worker(), time.monotonic()
        folder = Path(worker.local_directory)
        clone, bundle = folder / "clone", folder / "code.bundle"
        clone.mkdir(exist_ok=True)
        bundle.write_bytes(code)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

        def answer(end: str, text: str, files: dict[str, bytes] | None = None) -> Any:
            return end, worker.address, time.monotonic() - started, text, files or {}

        def call(*command: str) -> tuple[bool, str]:
            try:
                done = subprocess.run(
                    command, cwd=clone, env={**os.environ, "PATH": path}, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
            except OSError as error:
                return False, str(error)
            return done.returncode == 0, done.stdout.strip() or "no output"

        if worker.state.nthreads != 1:
            return answer("refused", f"{worker.state.nthreads} threads; start it with --nthreads 1")
        found = " ".join(package.version for package in distributions(name="torch")) or "is missing"
        if found != torch_version:
            text = f"torch {found}, expected {torch_version}; install requirements.lock there"
            return answer("refused", text)
        cache = folder.parent / "mri-stages-cache"  # kept, and shared by the workers of a machine
        for command in (
            ["git", "init", "--quiet"],
            ["git", "fetch", "--quiet", str(bundle), REF],
            ["git", "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"],
            ["dvc", "cache", "dir", "--local", str(cache)],
            ["dvc", "pull", *inputs],
        ):
            well, text = call(*command)
            if not well:
                last = text.splitlines()[-1]
                return answer("refused", f"`{' '.join(command[:2])}` failed there: {last}")
        well, made = call("dvc", "repro", "--pull", "--single-item", stage)
        if not well:
            return answer("failed", made)
        well, text = call("dvc", "push", "--run-cache", stage)
        if not well:
            return answer("refused", f"`dvc push` failed there: {text.splitlines()[-1]}")
        file, _, name = stage.rpartition(":")
        lock = clone / Path(file or "dvc.yaml").with_suffix(".lock")
        outs = yaml.safe_load(lock.read_text())["stages"][name].get("outs", [])
        files = {
            out["md5"]: (clone / out["path"]).read_bytes()
            for out in outs
            if out["size"] < SMALL and not out["md5"].endswith(".dir")
        }
        return answer("done" if "Running stage" in made else "restored", made, files)

    return run_stage


def workspace_bundle() -> bytes:
    """Return all files that Git does not ignore, as a Git bundle of one commit without history."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index"}  # the user's index stays as it is
        for role in ("AUTHOR", "COMMITTER"):  # the same files give the same commit
            env |= {f"GIT_{role}_NAME": "mri-stages", f"GIT_{role}_EMAIL": "none"}
            env[f"GIT_{role}_DATE"] = "2000-01-01T00:00:00Z"

        def git(*arguments: str) -> str:
            done = subprocess.run(("git", *arguments), env=env, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise InputError(f"git {arguments[0]}: failed; workers get the code through Git")
            return done.stdout.strip()

        git("add", "--all")
        commit = git("commit-tree", git("write-tree"), "-m", "workspace")
        git("update-ref", REF, commit)
        try:
            git("bundle", "create", "--quiet", f"{folder}/bundle", REF)
        finally:
            git("update-ref", "-d", REF)
        return Path(folder, "bundle").read_bytes()

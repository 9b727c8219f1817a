"""What a worker does with a stage. Its code travels with the task, so a worker need not have it.

This module imports only the standard library, yaml and distributed. It returns a plain dict, since
a class of this module would come back as another class.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import yaml
from distributed import get_worker

REF = "refs/mri-stages/workspace"
MAX_INLINE_BYTES = 2**20  # of a file that comes back with the answer
POLL_SECONDS = 1.0  # from one question for the progress of a training to the next


class RefusedError(Exception):
    """This worker cannot run any stage; another one may."""

    def __init__(self, problem: str, output: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.output = output


class NoWeightsError(RefusedError):
    """This worker has not the trained weights that this stage begins with."""


def run_stage_on_worker(stage: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run the stage in a clone of the code of the machine that sent it.

    The clone lies beside the worker's other files.

    job: `bundle` (bytes of a Git bundle), `inputs` (stages whose outs are in the DVC remote),
    `torch_version`, `remotes` (folders of DVC remotes by name), `weights` (by stage, the file and
    the sha256 of the trained weights that it begins with), `live_file` (in the clone, to which the
    training appends a line per epoch), `topic` (of Dask's events, each a list of such lines).

    Return `status` ("done", "failed", or "refused" by this worker only), `problem` (why it
    refused), `is_for_stage` (whether it refused this stage alone), `output` (of the command that
    decided), `seconds`, and `files` (small outs by their MD5, since DVC pushes none that is not
    cached).
    """
    started = time.monotonic()
    answer: dict[str, Any] = {"status": "done", "problem": "", "output": "", "files": {}}
    try:
        check_worker(job["torch_version"])
        clone = make_clone(job)
        if stage in job["weights"]:
            check_weights(clone, **job["weights"][stage])
        reporter = LineReporter(
            clone / job["live_file"], lambda lines: get_worker().log_event(job["topic"], lines)
        )
        command = ("dvc", "repro", "--pull", "--single-item", stage)
        succeeded, output = call(clone, *command, poll=reporter.send_new_lines)
        answer["output"] = output
        if succeeded:
            call_or_refuse(clone, "dvc", "push", "--run-cache", stage)
            answer["files"] = read_small_outs(clone, stage)
        else:
            answer["status"] = "failed"
    except RefusedError as refusal:
        answer.update(status="refused", problem=refusal.problem, output=refusal.output)
        answer["is_for_stage"] = isinstance(refusal, NoWeightsError)
    return {**answer, "seconds": time.monotonic() - started}


def check_worker(torch_version: str) -> None:
    """Refuse where the results would differ, or where two stages would share the clone."""
    n_threads = get_worker().state.nthreads
    if n_threads != 1:
        raise RefusedError(f"{n_threads} threads; start it with --nthreads 1")

    versions = [package.version for package in distributions(name="torch")]
    if versions != [torch_version]:
        description = " ".join(versions) or "is missing"
        raise RefusedError(
            f"torch {description}, expected {torch_version}; install requirements.lock there"
        )


def check_weights(clone: Path, file: str, sha256: str) -> None:
    """Refuse a stage whose trained weights are not here: in a file of the clone, or in the store.

    The places are those of mri_stages/training/initial_weights.py.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    store = Path(os.environ.get("MRI_STAGES_WEIGHTS") or cache / "mri-stages/weights")
    for path in (clone / Path(file).expanduser(), store / sha256):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return
    raise NoWeightsError(
        f"the weights {sha256} ({file}) are not there; run 'mri-stages models weights FILE' there"
    )


def make_clone(job: dict[str, Any]) -> Path:
    """Return a folder with the code of the machine that sent the stage, and the stage's inputs."""
    folder = Path(get_worker().local_directory)
    clone = folder / "clone"
    clone.mkdir(exist_ok=True)
    bundle = folder / "code.bundle"
    bundle.write_bytes(job["bundle"])

    call_or_refuse(clone, "git", "init", "--quiet")
    call_or_refuse(clone, "git", "fetch", "--quiet", str(bundle), REF)
    call_or_refuse(clone, "git", "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")

    # The cache is kept, and shared by the workers of a machine.
    cache = folder.parent / "mri-stages-cache"
    call_or_refuse(clone, "dvc", "cache", "dir", "--local", str(cache))
    for name, url in job["remotes"].items():
        call_or_refuse(clone, "dvc", "remote", "add", "--local", "--force", name, url)
    call_or_refuse(clone, "dvc", "pull", *job["inputs"])
    return clone


def call_or_refuse(clone: Path, *command: str) -> None:
    succeeded, output = call(clone, *command)
    if not succeeded:
        raise RefusedError(f"`{' '.join(command[:2])}` failed there", output)


class LineReporter:
    """Sends the new lines of a file that another process writes."""

    def __init__(self, path: Path, send: Callable[[list[str]], object]) -> None:
        self._path = path
        self._send = send
        self._n_sent_bytes = 0
        path.unlink(missing_ok=True)  # A stage that was killed here leaves its file.

    def send_new_lines(self) -> None:
        """Send the lines since the last call; the last one may be half-written, and waits."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._n_sent_bytes)
                data = file.read()
        except FileNotFoundError:  # No epoch has begun, or the stage has ended.
            return
        whole_data = data[: data.rfind(b"\n") + 1]
        if whole_data:
            self._n_sent_bytes += len(whole_data)
            self._send(whole_data.decode(errors="replace").splitlines())


def do_nothing() -> None:
    pass


def call(clone: Path, *command: str, poll: Callable[[], object] = do_nothing) -> tuple[bool, str]:
    """Run a command in the clone; return whether it succeeded, and what it printed.

    `poll` is called again and again while it runs.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        process = subprocess.Popen(
            command,
            cwd=clone,
            env={**os.environ, "PATH": path},
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:  # The program is missing there.
        return False, str(error)

    while True:
        try:
            output, _ = process.communicate(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            poll()
        else:
            return process.returncode == 0, output


def read_small_outs(clone: Path, stage: str) -> dict[str, bytes]:
    """Return the small files among a stage's outs, by their MD5."""
    file, _, name = stage.rpartition(":")
    lock = clone / Path(file or "dvc.yaml").with_suffix(".lock")
    outs = yaml.safe_load(lock.read_text())["stages"][name].get("outs", [])
    files = {}
    for out in outs:
        is_folder = out["md5"].endswith(".dir")
        if not is_folder and out["size"] < MAX_INLINE_BYTES:
            files[out["md5"]] = (clone / out["path"]).read_bytes()
    return files

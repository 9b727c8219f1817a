"""Call DVC. No other module knows its words, or the private names of its Python code.

Only modules named dvc_... beside this one do so too.

DVC's commands run as processes. What no command tells (the graph with the `meta` of each stage,
hits of the run cache, the folders of remotes) is asked in a thread of this process.
"""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import (
    AsyncIterator,
    Callable,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mri_stages.console import make_printable, print_once
from mri_stages.errors import NO_MEMORY_STATUS, InputError
from mri_stages.orchestration.cache import CacheContent, StageObjects
from mri_stages.orchestration.graph import StageGraph
from mri_stages.storage.files import explain_read_errors, write_bytes

if TYPE_CHECKING:
    from dvc.repo import Repo

T = TypeVar("T")
ShowLine = Callable[[str], object]

LOCK_FILE = Path("dvc.lock")  # beside the dvc.yaml of the project
DVC_COMMAND = Path(__file__).with_name("dvc_command.py")
MAX_LINE_BYTES = 2**20
SECONDS_BETWEEN_TRIES = 1
MAX_SECONDS_BETWEEN_TRIES = 8  # each reads the whole project: almost a second of CPU

# What DVC says of locks on which even --wait-for-lock does not wait.
LOCK_MESSAGES = ("Unable to acquire lock", "is busy, it is being blocked by")
# What DVC says of a stage that the kernel killed (137: by a shell), or that ended by itself with
# NO_MEMORY_STATUS.
NO_MEMORY_EXIT = re.compile(rf"exited with (-9|137|{NO_MEMORY_STATUS})\b")
# The same of a stage that was stopped by Ctrl-C, SIGTERM, or the end of its terminal.
STOPPED_EXIT = re.compile(r"exited with (-1|-2|-15|129|130|143)\b")
EXIT = re.compile(r"exited with -?\d+")
OWN_ERROR = "error: "  # begins the line with which our stages end
RUNNING = re.compile(r"Running stage '([^']+)'")
# Begins what DVC says of a stage: that it runs it, that it need not, or that it failed.
TURN = re.compile(r"(?:Running stage|Stage|ERROR: failed to reproduce) '([^']+)'")
# Lines that say nothing about the result.
CHATTER = re.compile(
    r"$|> |Running stage |(Updating|Generating) lock file |To (track|enable) |\tgit add |\tdvc "
    r"|Use `dvc push`|.* didn't change, skipping$|Data and pipelines are up to date"
)
LINK = re.compile(r"<https?://[^>]*>")


class DvcError(InputError):
    """A command of DVC that failed."""

    def __init__(self, command: str, output: "DvcOutput") -> None:
        super().__init__(f"dvc {command}: {' '.join(output.lines)}")
        self.executed_stages = output.executed_stages
        """The stages whose commands it started, also the one that failed."""


@dataclass
class DvcOutput:
    """What a command of DVC printed."""

    lines: list[str] = field(default_factory=list)
    """Without chatter."""
    executed_stages: set[str] = field(default_factory=set)
    """The stages whose commands it started: other stages were restored or unchanged."""
    lock_lines: list[str] = field(default_factory=list)
    """On a lock that another process holds, and what DVC says to do about it."""

    def add(self, line: str) -> bool:
        """Record a line; return whether it is one to show."""
        match = RUNNING.match(line)
        if match is not None:
            self.executed_stages.add(match[1])
        if self.lock_lines or any(message in line for message in LOCK_MESSAGES):
            self.lock_lines.append(line)
            return False
        if CHATTER.match(line):
            return False
        self.lines.append(line)
        return True


# What its output tells


def reports_no_memory(text: str) -> bool:
    """Whether a stage with this output had too little memory."""
    return NO_MEMORY_EXIT.search(text) is not None


def reports_stop(text: str) -> bool:
    """Whether a stage with this output was stopped by somebody, so that it tells nothing."""
    return STOPPED_EXIT.search(text) is not None


def reports_exit(text: str) -> bool:
    """Whether a stage with this output ended with an error of its own, and not DVC beside it."""
    return EXIT.search(text) is not None


def list_executed_stages(text: str) -> set[str]:
    """Return the stages whose commands DVC started, by its output."""
    return set(RUNNING.findall(text))


def remove_chatter(text: str) -> list[str]:
    """Return the lines of DVC's output that say something about the result."""
    return [line for line in text.splitlines() if not CHATTER.match(line)]


def find_reason(text: str) -> str:
    """Return why a command failed, in one line: its last error, without links to DVC's pages."""
    lines = [line.strip() for line in LINK.sub("", text).splitlines()]
    lines = [line for line in lines if line]
    starts = [index for index, line in enumerate(lines) if line.startswith(("ERROR", "error:"))]
    if not starts:
        return lines[-1] if lines else "no output"
    return make_printable(" ".join(lines[starts[-1] :]))


def find_stage_error(text: str) -> str:
    """Return in one line why a stage failed: its own error, or else its last line and its exit."""
    lines = remove_chatter(text)
    own_errors = [line for line in lines if line.startswith(OWN_ERROR)]
    if own_errors:
        return make_printable(own_errors[-1].removeprefix(OWN_ERROR))

    exit_match = EXIT.search(text)
    if exit_match is None:
        return find_reason(text).removeprefix("ERROR: ")
    stage_lines = [line for line in lines if line.strip() and not line.startswith("ERROR")]
    return make_printable("; ".join([*stage_lines[-1:], exit_match[0]]))


# Its commands


async def run_dvc(
    *arguments: str,
    show: ShowLine = lambda line: None,
    turn_to: Callable[[str], object] = lambda stage: None,
    environment: Mapping[str, str] | None = None,
) -> DvcOutput:
    """Run a command of DVC, waiting for DVC's locks; DvcError if it fails.

    show: is called with each line at once. turn_to: with each stage, before its lines.
    environment: what the command has in addition.
    An exception here, such as that of a signal, ends all that the command has started.
    """
    executed_stages: set[str] = set()
    subject = arguments[-1]
    while True:
        process = await _start(arguments, environment or {})
        output = DvcOutput(executed_stages=executed_stages)
        try:
            async for line in _read_lines(process):
                turn = TURN.match(line)
                if turn is not None:
                    subject = turn[1]
                    turn_to(subject)
                if output.add(line):
                    show(line)
            status = await process.wait()
        except BaseException:
            await _end(process)
            raise

        if status == 0:
            return output
        if not output.lock_lines:
            raise DvcError(arguments[0], output)
        _report_lock(subject, "\n".join(output.lock_lines))
        await asyncio.sleep(SECONDS_BETWEEN_TRIES)


async def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Start a command of DVC as a process group, with its output in one pipe."""
    # DVC starts stages as `python`: that of this environment, also where it is not activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # The folder of that file has a dvc.py of ours.
        DVC_COMMAND,
        # DVC takes its lock again after a stage. Without the flag it gives up after 3 s, and the
        # outs are lost, while another process hashes gigabytes.
        "--wait-for-lock",
        *arguments,
        stdout=PIPE,
        stderr=STDOUT,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path, **environment},
    )


async def _read_lines(process: Process) -> AsyncIterator[str]:
    assert process.stdout
    async for line in process.stdout:
        yield line.decode(errors="replace").rstrip()


async def _end(process: Process) -> None:
    """End a process group, and wait until none of its members holds the pipe."""
    with suppress(ProcessLookupError):  # It has ended.
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGTERM)
    await process.communicate()


def _report_lock(subject: str, message: str) -> None:
    # DVC names a process once for each of its files.
    lines = dict.fromkeys(message.splitlines())
    print_once(f"{subject}: waits for another DVC process: {make_printable(' '.join(lines))}")


async def run_stages(
    stages: Sequence[str],
    show: ShowLine,
    turn_to: Callable[[str], object],
    environment: Mapping[str, str],
) -> DvcOutput:
    """Bring stages up to date in this order: restore each from the run cache, or run it.

    The deps of each are up to date when its turn comes. DVC ends at the first that fails.
    """
    return await run_dvc(
        "repro", "--single-item", *stages, show=show, turn_to=turn_to, environment=environment
    )


async def list_changed_stages(stages: Iterable[str]) -> set[str]:
    """Return those of `stages` whose deps, params or outs differ from dvc.lock.

    DVC is asked for all stages of dvc.yaml, or of all files, since it reads dvc.lock again for each
    one that is named. It is a process, which a signal ends while it hashes large files.
    """
    names = set(stages)
    if not names:
        return set()
    arguments = []
    if len(names) == 1:
        arguments = sorted(names)
    elif not any(":" in name or name.endswith(".dvc") for name in names):
        # None is of another file.
        arguments = ["dvc.yaml"]
    output = await run_dvc("status", "--json", *arguments)
    return names.intersection(json.loads(output.lines[-1]))


async def push_outs(stages: Iterable[str]) -> None:
    """Copy the outs of `stages` to the default remote."""
    await run_dvc("push", *stages)


async def restore_from_remote(stages: Iterable[str], show: ShowLine) -> DvcOutput:
    """Restore stages that workers ran, from the run cache of the remote."""
    return await run_dvc("repro", "--pull", "--single-item", *stages, show=show)


async def add_to_cache(files: Mapping[str, bytes]) -> None:
    """Write files into DVC's cache, each under its MD5."""
    output = await run_dvc("cache", "dir")
    folder = Path(output.lines[-1], "files/md5")
    for md5, content in files.items():
        write_bytes(folder / md5[:2] / md5[2:], content)


# Its Python code


async def read_stage_graph() -> StageGraph:
    """Return all stages of the project."""
    return await ask_repo_patiently(build_graph, "dvc.yaml")


async def find_run_cache_hits(stages: Iterable[str]) -> set[str]:
    """Return those of `stages`, all changed, that the run cache of this machine can restore.

    A dry run does not tell: it does not hash the deps again, so it calls each stage cached whose
    last run is in the cache.
    """
    names = list(stages)
    return await ask_repo_patiently(lambda repo: _list_hits(repo, names), names[-1])


async def remove_lock_entries(stages: Iterable[str]) -> None:
    """Remove what dvc.lock, beside the dvc.yaml of each stage, says of these stages."""
    names = list(stages)
    await ask_repo_patiently(lambda repo: _remove_lock_entries(repo, names), "dvc.lock")


async def remove_former_lock_entries(names: Iterable[str]) -> None:
    """Remove what dvc.lock says of these stages, which dvc.yaml defines no more."""
    former_names = list(names)
    await ask_repo_patiently(
        lambda repo: _cut_lock_file(repo, LOCK_FILE, former_names), LOCK_FILE.name
    )


def list_locked_makers(path: Path) -> list[str]:
    """Return the stages that wrote `path`, a file or folder of the project, by its dvc.lock."""
    from dvc.utils.serialize import loads_yaml

    if not LOCK_FILE.exists():
        return []
    with explain_read_errors(LOCK_FILE):
        content = loads_yaml(LOCK_FILE.read_text(encoding="utf-8"))
    makers = []
    for name, entry in content.get("stages", {}).items():
        if any(out["path"] == path.as_posix() for out in entry.get("outs", [])):
            makers.append(name)
    return makers


async def read_relative_remotes() -> dict[str, str]:
    """Return the remotes whose folder is written relative to the project, with absolute paths."""
    return await ask_repo_patiently(_list_relative_remotes, "the remotes")


async def read_cache_content() -> CacheContent:
    """Return what lies in the cache of this machine; nothing is changed."""
    return await ask_repo_patiently(_read_cache_content, "the cache")


async def ask_repo_patiently(question: "Callable[[Repo], T]", subject: str) -> T:
    """Return the answer of DVC's own code, after a wait while another process holds its lock."""
    seconds = SECONDS_BETWEEN_TRIES
    while True:
        try:
            return await asyncio.to_thread(_ask_repo, question)
        except _LockedError as error:
            _report_lock(subject, str(error))
        await asyncio.sleep(seconds)
        seconds = min(2 * seconds, MAX_SECONDS_BETWEEN_TRIES)


class _LockedError(Exception):
    """Another process holds DVC's lock."""


def _ask_repo(question: "Callable[[Repo], T]") -> T:
    """Return the answer of DVC's own code; InputError where it cannot read the project."""
    # These imports take a second, which `--help` should not.
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.scm import SCMError
    from dvc.utils.serialize import ParseError
    from dvc.utils.strictyaml import YAMLValidationError

    try:
        with Repo() as repo:
            return question(repo)
    except LockError as error:
        raise _LockedError(str(error)) from None
    except SCMError as error:
        raise InputError(
            f"{error}, and DVC needs one (a ZIP download has none); run `git init` here, then "
            "the same command again"
        ) from None
    except DvcException as error:
        reason = f"dvc: {make_printable(_explain(error)).removeprefix('ERROR: ')}"
        is_in_file = isinstance(error, (ParseError, YAMLValidationError))
        if is_in_file and Path(error.path).name == LOCK_FILE.name:
            reason = f"{reason}; {describe_lock_fix(error.path)}"
        raise InputError(reason) from None


def describe_lock_fix(lock_file: str | Path = LOCK_FILE) -> str:
    """Return how to replace a damaged dvc.lock.

    With HEAD, Git also takes back a file that has the marks of a merge.
    """
    return f"'git checkout HEAD {Path(lock_file).as_posix()}' takes back the committed one"


def _explain(error: Exception) -> str:
    """Return why DVC cannot read the project, in the words of its command.

    Of a faulty dvc.yaml the command says which line and key is wrong, and the exception does not.
    """
    command = [sys.executable, "-m", "dvc", "dag", "--dot"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return str(error)
    return "\n".join(remove_chatter(done.stdout))


def build_graph(repo: "Repo") -> StageGraph:
    """Return all stages of a project that DVC has read."""
    graph = repo.index.graph
    deps = {}
    remote = set()
    models = {}
    partial = set()
    outs = {}
    for stage in graph.nodes:
        name = stage.addressing
        deps[name] = frozenset(dep.addressing for dep in graph.successors(stage))
        outs[name] = [Path(out.fs_path) for out in stage.outs]
        meta = stage.meta or {}
        if meta.get("remote") is True:
            remote.add(name)
        if meta.get("partial") is True:
            partial.add(name)
        if "model" in meta:
            models[name] = str(meta["model"])
    return StageGraph(deps, frozenset(remote), models, frozenset(partial), outs)


def _list_hits(repo: "Repo", names: Sequence[str]) -> set[str]:
    with repo.lock:  # Nobody writes a dvc.lock now. It is not held while deps are hashed.
        stages = {stage.addressing: stage for stage in repo.index.stages}
    # A name that dvc.yaml no longer has is left out; DVC says so when it is to run.
    return {name for name in names if name in stages and _is_hit(repo, stages[name])}


def _is_hit(repo: "Repo", stage: Any) -> bool:
    from dvc.stage.cache import _can_hash
    from dvc.stage.serialize import to_single_stage_lockfile

    if not all(dep.exists for dep in stage.deps):
        return False
    if not _can_hash(stage):  # such as a stage without deps, which DVC never restores
        return False
    is_locked = not stage.changed_stage() and stage.deps_cached()
    if is_locked and all(out.hash_info for out in stage.outs):
        # DVC restores what dvc.lock says, also where its run cache knows nothing of it.
        run = to_single_stage_lockfile(stage)
    else:
        stage.save_deps()  # hashes the deps, in memory only
        run = repo.stage_cache._load(stage)
    if not run:
        return False
    stage_of_run = repo.stage_cache._create_stage(run, wdir=stage.wdir)
    return bool(stage_of_run.outs_cached())


def _remove_lock_entries(repo: "Repo", names: Sequence[str]) -> None:
    names_by_file: dict[Path, list[str]] = {}
    for name in names:
        stage = repo.stage.collect(name)[0]
        lock_file = Path(stage.path).with_name(LOCK_FILE.name)
        names_by_file.setdefault(lock_file, []).append(stage.name)
    for lock_file, stage_names in names_by_file.items():
        _cut_lock_file(repo, lock_file, stage_names)


def _cut_lock_file(repo: "Repo", lock_file: Path, stage_names: Sequence[str]) -> None:
    """Remove the entries of these stages from a dvc.lock, where there are any."""
    from dvc.utils.serialize import dumps_yaml, loads_yaml

    with repo.lock:
        if not lock_file.exists():
            return
        content = loads_yaml(lock_file.read_text(encoding="utf-8"), typ="rt")
        locked_stages = content.get("stages", {})
        locked_names = [name for name in stage_names if name in locked_stages]
        for name in locked_names:
            del locked_stages[name]
        if locked_names:
            write_bytes(lock_file, dumps_yaml(content).encode())


def _list_relative_remotes(repo: "Repo") -> dict[str, str]:
    from dvc.config_schema import RelPath

    return {
        name: str(remote["url"])
        for name, remote in repo.config["remote"].items()
        if isinstance(remote.get("url"), RelPath)
    }


def _read_cache_content(repo: "Repo") -> CacheContent:
    """Return the objects that `dvc gc --workspace` looks at, with its own idea of their use."""
    logging.getLogger("dvc").setLevel(logging.ERROR)  # It warns of each stage that has not run.
    sizes = {}
    for odb in _list_local_stores(repo):
        for md5 in odb.all():
            sizes[f"{odb.hash_name}:{md5}"] = Path(odb.oid_to_path(md5)).stat().st_size

    runs = _read_runs(repo)
    stages = {}
    n_known_runs = 0
    for stage in repo.index.stages:
        outs_of_runs = runs.get(str(stage.cmd), [])
        n_known_runs += len(outs_of_runs)
        written = {key for outs in outs_of_runs for key in _list_out_keys(repo, outs)}
        used = _list_keys(stage.get_used_objs(force=True))
        stages[stage.addressing] = StageObjects(used, written, len(outs_of_runs))
    n_runs = sum(len(outs_of_runs) for outs_of_runs in runs.values())
    return CacheContent(
        sizes,
        _list_keys(repo.used_objs(force=True)),
        stages,
        n_runs - n_known_runs,
        list(_list_unlisted_folders(repo, sizes)),
    )


def _list_unlisted_folders(repo: "Repo", objects: Container[str]) -> Iterator[str]:
    """Yield the outs that are folders whose listing is not among the objects of the cache.

    Without `force`, DVC would ask a question about each, or end.
    """
    for out in repo.index.outs:
        key = f"{out.hash_info.name}:{out.hash_info.value}"
        if out.use_cache and out.is_dir_checksum and key not in objects:
            yield str(out)


def _list_local_stores(repo: "Repo") -> list[Any]:
    """Return the object stores on this machine: one of now, and one of DVC 2 in the same folder."""
    stores = {id(odb): odb for _, odb in repo.cache.by_scheme() if odb}
    return [odb for odb in stores.values() if odb.fs.protocol in ("local", "file")]


def _list_keys(objects: Mapping[Any, Iterable[Any]]) -> set[str]:
    """Return the kind and the value of each hash."""
    keys = set()
    for hashes in objects.values():
        keys |= {f"{hash_info.name}:{hash_info.value}" for hash_info in hashes}
    return keys


def _read_runs(repo: "Repo") -> dict[str, list[list[dict[str, Any]]]]:
    """Return the outs of each run in the run cache, by the command of its stage."""
    from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml

    runs: dict[str, list[list[dict[str, Any]]]] = {}
    for path in Path(repo.stage_cache.cache_dir).glob("*/*/*"):
        try:
            run = load_yaml(str(path))
        except (YAMLFileCorruptedError, FileNotFoundError):  # DVC leaves it out too.
            continue
        runs.setdefault(str(run["cmd"]), []).append(run.get("outs", []))
    return runs


def _list_out_keys(repo: "Repo", outs: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the objects of the outs of a run: files, folders, and the files in these."""
    folder = Path(repo.cache.local.path)
    keys = set()
    for out in outs:
        md5 = str(out["md5"])
        keys.add(f"md5:{md5}")
        listing = folder / md5[:2] / md5[2:]
        if md5.endswith(".dir") and listing.exists():
            keys |= {f"md5:{entry['md5']}" for entry in json.loads(listing.read_bytes())}
    return keys

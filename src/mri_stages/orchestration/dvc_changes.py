"""Ask DVC's own status what has changed since a stage ran last, with values in place of words.

A dry run does not tell: it does not hash the deps again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri_stages import paths
from mri_stages.config.param_changes import ABSENT, compare_params
from mri_stages.orchestration.dvc import LOCK_FILE, ask_repo_patiently, build_graph
from mri_stages.orchestration.graph import StageGraph

if TYPE_CHECKING:
    from dvc.repo import Repo

CODE_FOLDERS = ("src", "stages")

# What DVC's status says of a file, and what a user reads.
FILE_STATES = {
    "modified": "differs",
    "deleted": "missing",
    "new": "new",
    "not in cache": "not in the cache",
}


class ChangeKind(Enum):
    """What has changed; the value is the word that a user reads."""

    NEW = "it has not run"
    RUNNING = "it runs now"
    ALWAYS = "it runs each time"
    COMMAND = "command"
    PARAM = "param"
    VERSION = "version of"
    CODE = "code"
    FILE = "file"
    OUT = "out"


@dataclass(frozen=True)
class Change:
    """One difference between a stage and its entry in dvc.lock."""

    kind: ChangeKind
    name: str = ""
    """A param, a package, a file or a folder."""
    state: str = ""
    """Old and new value, or what is wrong with the file."""
    makers: frozenset[str] = frozenset()
    """The stages that write the file, of a dep."""

    def describe(self) -> str:
        subject = f"{self.kind.value} {self.name}".strip()
        return f"{subject}: {self.state}" if self.state else subject


def is_running(changes: Iterable[Change]) -> bool:
    """Return whether another process runs the stage that has these changes."""
    return any(change.kind is ChangeKind.RUNNING for change in changes)


Changes = dict[str, list[Change]]  # of the stages that have changed themselves


async def read_graph_and_changes(names: Sequence[str]) -> tuple[StageGraph, Changes]:
    """Return the graph of the stages of these names, and what has changed of these stages.

    DVC reads the project once for both, which takes more than a second.
    """
    while True:
        answer = await ask_repo_patiently(
            lambda repo: read_graph_and_changes_of_repo(repo, names), "dvc.lock"
        )
        if answer is not None:
            return answer


def read_graph_and_changes_of_repo(
    repo: "Repo", names: Sequence[str]
) -> tuple[StageGraph, Changes] | None:
    """Return the same of a project that DVC has opened, and not read yet.

    None where a stage ended meanwhile: its new outs would be compared with its old entry.
    DVC's lock is not held while files are hashed, since a plain `dvc repro` gives up its stage if
    it waits for the lock for three seconds.
    """
    with repo.lock:  # Nobody writes a dvc.lock now.
        lock_texts = _read_lock_files(repo)
        graph = build_graph(repo).select(names)
    changes = _list_changes(repo, graph.deps)
    return (graph, changes) if _read_lock_files(repo) == lock_texts else None


def _read_lock_files(repo: "Repo") -> list[bytes]:
    """Return the content of each dvc.lock of the project."""
    folders = sorted({Path(stage.path).parent for stage in repo.index.stages})
    files = [folder / LOCK_FILE.name for folder in folders]
    return [file.read_bytes() if file.exists() else b"" for file in files]


def _list_changes(repo: "Repo", names: Iterable[str]) -> Changes:
    changes = {}
    stages = {stage.addressing: stage for stage in repo.index.stages}
    for name in names:
        stage_changes = _list_changes_of_stage(repo, stages[name])
        if stage_changes:
            changes[name] = stage_changes
    return changes


def _list_changes_of_stage(repo: "Repo", stage: Any) -> list[Change]:
    # The status of the stage itself would wait for whoever writes these, for hours maybe.
    written_paths = _list_paths_in_writing(repo)
    if any(_is_in_writing(out, written_paths) for out in stage.outs):
        return [Change(ChangeKind.RUNNING)]
    if not any(entry.hash_info for entry in (*stage.deps, *stage.outs)):
        return [Change(ChangeKind.NEW)]

    changes = []
    if stage.is_callback or stage.always_changed:
        changes.append(Change(ChangeKind.ALWAYS))
    if stage.changed_stage():
        changes.append(Change(ChangeKind.COMMAND, state="differs"))
    for dep in [] if stage.frozen else stage.deps:
        # What a dep in writing will be is not known; its stage runs, so this one is due after it.
        if not _is_in_writing(dep, written_paths) and dep.status():
            changes += _list_changes_of_dep(repo, stage, dep)
    for out in stage.outs:
        for name, state in out.status().items():
            changes.append(Change(ChangeKind.OUT, name, FILE_STATES.get(state, state)))
    return changes


def _list_paths_in_writing(repo: "Repo") -> set[str]:
    """Return the absolute paths that stages of other processes write now.

    A killed process leaves its paths there.
    """
    import psutil
    from dvc.fs import localfs
    from dvc.rwlock import _edit_rwlock

    hardlink = repo.config["core"].get("hardlink_lock", False)
    with _edit_rwlock(repo.tmp_dir, localfs, hardlink) as locks:
        return {path for path, writer in locks["write"].items() if psutil.pid_exists(writer["pid"])}


def _is_in_writing(entry: Any, written_paths: Collection[str]) -> bool:
    """Return whether a dep or an out overlaps with one of these paths."""
    path = Path(entry.fs_path)
    return any(
        path.is_relative_to(written) or Path(written).is_relative_to(path)
        for written in written_paths
    )


def _list_changes_of_dep(repo: "Repo", stage: Any, dep: Any) -> list[Change]:
    from dvc.dependency.param import ParamsDependency

    state = dep.status()[str(dep)]
    if not isinstance(dep, ParamsDependency):
        kind = ChangeKind.CODE if is_code(Path(str(dep))) else ChangeKind.FILE
        makers = _list_makers(repo, stage, dep)
        return [Change(kind, str(dep), FILE_STATES.get(state, state), makers)]
    if not isinstance(state, dict):
        return [Change(ChangeKind.FILE, str(dep), FILE_STATES.get(state, state))]

    old_values = dep.hash_info.value
    new_values = dep.read_params()
    is_environment = Path(str(dep)).name == paths.ENVIRONMENT.name
    kind = ChangeKind.VERSION if is_environment else ChangeKind.PARAM
    changes = []
    for key in state:
        old = old_values.get(key, ABSENT)
        for param in compare_params(key, old, new_values.get(key, ABSENT)):
            changes.append(Change(kind, param.name, param.describe_values()))
    return changes


def _list_makers(repo: "Repo", stage: Any, dep: Any) -> frozenset[str]:
    """Return the stages that write a dep, a part of it, or the folder in which it lies."""
    path = Path(dep.fs_path)
    makers = set()
    for maker in repo.index.graph.successors(stage):
        for out in maker.outs:
            out_path = Path(out.fs_path)
            if out_path.is_relative_to(path) or path.is_relative_to(out_path):
                makers.add(maker.addressing)
    return frozenset(makers)


def is_code(path: Path) -> bool:
    """Return whether a dep, relative to the project, is code of it."""
    return path.suffix == ".py" or path.parts[0] in CODE_FOLDERS

"""Ask DVC's own status what has changed since a stage ran last, with values in place of words.

A dry run does not tell: it does not hash the deps again.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri_stages import paths
from mri_stages.console import make_printable
from mri_stages.orchestration.dvc import ask_repo_patiently

if TYPE_CHECKING:
    from dvc.repo import Repo

MAX_VALUE_LENGTH = 40  # of a param, as it is shown
CODE_FOLDERS = ("src", "stages")
ABSENT = object()  # in place of the value of a param that is not there

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


async def read_changes(stages: Iterable[str]) -> dict[str, list[Change]]:
    """Return what has changed of each stage, of those of `stages` that have changed themselves."""
    names = list(stages)
    return await ask_repo_patiently(lambda repo: _list_changes(repo, names), "dvc.lock")


def _list_changes(repo: "Repo", names: Sequence[str]) -> dict[str, list[Change]]:
    changes = {}
    with repo.lock:
        stages = {stage.addressing: stage for stage in repo.index.stages}
        for name in names:
            stage_changes = _list_changes_of_stage(repo, stages[name])
            if stage_changes:
                changes[name] = stage_changes
    return changes


def _list_changes_of_stage(repo: "Repo", stage: Any) -> list[Change]:
    if not stage.status():
        return []
    if not any(entry.hash_info for entry in (*stage.deps, *stage.outs)):
        return [Change(ChangeKind.NEW)]

    changes = []
    if stage.is_callback or stage.always_changed:
        changes.append(Change(ChangeKind.ALWAYS))
    if stage.changed_stage():
        changes.append(Change(ChangeKind.COMMAND, state="differs"))
    for dep in [] if stage.frozen else stage.deps:
        if dep.status():
            changes += _list_changes_of_dep(repo, stage, dep)
    for out in stage.outs:
        for name, state in out.status().items():
            changes.append(Change(ChangeKind.OUT, name, FILE_STATES.get(state, state)))
    return changes


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
    changes: list[Change] = []
    for key in state:
        old = old_values.get(key, ABSENT)
        changes += compare_values(key, old, new_values.get(key, ABSENT))
    if Path(str(dep)).name == paths.ENVIRONMENT.name:
        return [Change(ChangeKind.VERSION, change.name, change.state) for change in changes]
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


def compare_values(key: str, old: Any, new: Any) -> Iterator[Change]:
    """Yield the changes of a param; of a group, those of each key that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            old_value = old.get(name, ABSENT)
            new_value = new.get(name, ABSENT)
            if old_value != new_value:
                yield from compare_values(f"{key}.{name}", old_value, new_value)
        return
    yield Change(ChangeKind.PARAM, key, f"{format_param(old)} -> {format_param(new)}")


def format_param(value: Any) -> str:
    """Return a value of params.yaml in one short text."""
    if value is ABSENT:
        return "(absent)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    line = make_printable(text)
    is_long = len(line) > MAX_VALUE_LENGTH
    return f"{line[: MAX_VALUE_LENGTH - 3]}..." if is_long else line

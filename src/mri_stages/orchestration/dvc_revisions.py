"""Read the params, the metrics and the dvc.lock of a commit, an experiment or the workspace.

Nothing is checked out.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mri_stages import paths
from mri_stages.config.run_history import ParamsLoader
from mri_stages.console import make_printable
from mri_stages.errors import InputError
from mri_stages.orchestration.dvc import LOCK_FILE, ask_repo_patiently, describe_lock_fix
from mri_stages.orchestration.dvc_lock import (
    Judgement,
    LockedStage,
    Params,
    collect_code,
    find_out_hash,
    judge_file,
    parse_lock,
)

if TYPE_CHECKING:
    from dvc.repo import Repo

WORKSPACE = "workspace"  # DVC's own word for the files as they lie on the disk
PARAMS_FILES = (paths.PARAMS, paths.ENVIRONMENT)
SHORT_HASH_LENGTH = 7
MAX_SUBJECT_LENGTH = 50


@dataclass(frozen=True)
class Revision:
    """What a commit, an experiment or the workspace has of the results."""

    name: str
    description: str
    """The commit with its date and subject, or that it is an experiment."""
    params: Params
    """The values of each params file, by its name."""
    stages: dict[str, LockedStage]
    """Those of dvc.lock."""
    metrics: dict[Path, bytes]
    """The content of each file of metrics."""
    added_files: dict[str, str]
    """The hash of what `dvc add` tracks, by its path."""

    def judge_metrics(self, path: Path) -> Judgement:
        """Return whether a file of metrics is a result of the params of this revision."""
        return self._judge(path, self.metrics[path])

    def judge_file(self, path: Path) -> Judgement:
        """Return whether a file on the disk is a result of the params of this revision."""
        return self._judge(path, path.read_bytes())

    def _judge(self, path: Path, content: bytes) -> Judgement:
        return judge_file(path, content, self.stages, self.params, self.added_files)

    def find_hash(self, path: Path) -> str:
        """Return the hash of an out in dvc.lock; "" where no stage has made it."""
        return find_out_hash(self.stages, path)

    def collect_code(self, path: Path) -> dict[str, str]:
        """Return the hash of the code with which the stages behind a file ran, by its path."""
        return collect_code(self.stages, path)


async def read_revisions(names: Sequence[str]) -> list[Revision]:
    """Return the revisions of these names; InputError for one that nothing has.

    names: what Git or DVC resolves, such as a branch, a tag, a short hash, the name of an
    experiment, or `workspace`.
    """
    return await ask_repo_patiently(
        lambda repo: [_read_revision(repo, name) for name in names], "dvc.lock"
    )


def read_workspace() -> Revision:
    """Return what the files in the current folder hold. DVC's own lock is not waited for."""
    from dvc.fs import localfs

    return _read_files(WORKSPACE, "the files as they are", localfs, os.curdir)


def check_lock() -> None:
    """Raise InputError if the dvc.lock in the current folder is damaged."""
    from dvc.fs import localfs

    _read_lock(WORKSPACE, localfs, os.curdir)


def _read_revision(repo: "Repo", name: str) -> Revision:
    if name == WORKSPACE:
        return _read_files(name, "the files as they are", repo.fs, repo.root_dir)

    from dvc.fs import GitFileSystem

    commit = _resolve_commit(repo, name)
    root = repo.fs.relpath(repo.root_dir, repo.scm.root_dir)  # the project may be in a folder
    file_system = GitFileSystem(scm=repo.scm, rev=commit)
    root_in_commit = file_system.normpath(file_system.join("/", Path(root).as_posix()))
    return _read_files(name, _describe_commit(repo, name, commit), file_system, root_in_commit)


def _resolve_commit(repo: "Repo", name: str) -> str:
    """Return the hash of a commit; InputError that says what a name can be."""
    from dvc.scm import RevError, resolve_rev

    if not name.strip():  # Git takes nothing for HEAD
        raise InputError(f"{name!r}: no name, expected a branch, a tag, a commit, or {WORKSPACE}")
    try:
        return _peel_commit(repo, name, str(resolve_rev(repo.scm, name)))
    except RevError as error:
        if "ambiguous" in str(error):
            raise InputError(
                f"{name}: several experiments have this name, and none of them began at this "
                "commit; expected the hash of one, as `dvc exp list --all --rev` lists them"
            ) from None
        hint = ""
        if _is_shallow(repo):
            hint = "; this clone lacks older commits: 'git fetch --unshallow --tags' gets them"
        raise InputError(
            f"{name}: nothing has this name, expected a branch, a tag, a commit, an experiment "
            f"that has run (`dvc exp list --all`), or {WORKSPACE}{hint}"
        ) from None


def _is_shallow(repo: "Repo") -> bool:
    """Return whether the repository of Git was cloned without its older commits."""
    git = repo.scm.dulwich.repo
    return bool(git.get_shallow())


def _peel_commit(repo: "Repo", name: str, revision: str) -> str:
    """Return the commit that an object of Git is, or that it names as a tag; else InputError."""
    from dvc.scm import RevError, resolve_rev

    try:
        return str(resolve_rev(repo.scm, f"{revision}^{{commit}}"))
    except RevError:
        raise InputError(
            f"{name}: a file or a folder in Git, expected a branch, a tag, a commit, an "
            f"experiment, or {WORKSPACE}"
        ) from None


def _describe_commit(repo: "Repo", name: str, commit: str) -> str:
    """Return the date of a commit, and its subject or that it is an experiment."""
    from dvc.repo.experiments.utils import exp_refs_by_names

    details = repo.scm.resolve_commit(commit)
    date = datetime.fromtimestamp(details.commit_time, UTC)
    subject = make_printable(details.message.strip().partition("\n")[0])[:MAX_SUBJECT_LENGTH]
    experiments = [
        repo.scm.get_ref(str(ref)) for ref in exp_refs_by_names(repo.scm, {name}).get(name, [])
    ]
    title = f"{commit[:SHORT_HASH_LENGTH]}, {date:%Y-%m-%d}"
    if commit in experiments:
        return f"{title}: an experiment"
    note = " (not the experiment of the same name)" if experiments else ""
    return f"{title}: {subject}{note}"


def _read_files(name: str, description: str, file_system: Any, root: str) -> Revision:
    """Return what the files of a project hold, on the disk or in a commit."""
    params = {}
    for path in PARAMS_FILES:
        params[path.as_posix()] = _read_yaml(name, path, file_system, root)
    if not params[paths.PARAMS.as_posix()]:
        raise InputError(
            f"{name}: has no {paths.PARAMS} in this folder, expected a commit of this project"
        )

    stages = _read_lock(name, file_system, root)
    metrics = dict(_read_metrics(file_system, root))
    added_files = {}
    for path in _list_dvc_files(params, file_system, root):
        for out in _read_yaml(name, path, file_system, root).get("outs", []):
            added_files[(path.parent / out["path"]).as_posix()] = str(out.get("md5", ""))
    return Revision(name, description, params, stages, metrics, added_files)


def _read_lock(name: str, file_system: Any, root: str) -> dict[str, LockedStage]:
    """Return what dvc.lock says of each stage; nothing where there is no dvc.lock."""
    fix = describe_lock_fix() if name == WORKSPACE else "expected another commit"
    try:
        return parse_lock(_read_yaml(name, LOCK_FILE, file_system, root))
    except InputError as error:
        raise InputError(f"{error}; {fix}") from None
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            f"{name}: {LOCK_FILE}: not as DVC writes it, expected stages with deps, params and "
            f"outs; {fix}"
        ) from None


def _read_yaml(name: str, path: Path, file_system: Any, root: str) -> dict[str, Any]:
    """Return a file of YAML as DVC reads it; {} where it is not there."""
    place = file_system.join(root, path.as_posix())
    if not file_system.exists(place):
        return {}
    with file_system.open(place, "rb") as file:
        text = file.read()
    try:
        values = yaml.load(text, Loader=ParamsLoader)
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{name}: {path}: not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{name}: {path}: no groups of keys")
    return values


def _read_metrics(file_system: Any, root: str) -> Iterator[tuple[Path, bytes]]:
    """Yield each file of metrics with its content."""
    folder = file_system.join(root, paths.METRICS.as_posix())
    if not file_system.isdir(folder):
        return
    for place in sorted(file_system.find(folder)):
        path = Path(file_system.relpath(place, root))
        if path.suffix == ".json":
            with file_system.open(place, "rb") as file:
                yield path, file.read()


def _list_dvc_files(params: Params, file_system: Any, root: str) -> list[Path]:
    """Return the file in which `dvc add` locks the raw folder, if it is there."""
    data = params[paths.PARAMS.as_posix()].get("data")
    raw = data.get("raw") if isinstance(data, dict) else None
    if not isinstance(raw, str):
        return []
    path = Path(f"{raw}.dvc")
    return [path] if file_system.exists(file_system.join(root, path.as_posix())) else []

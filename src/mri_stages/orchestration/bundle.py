"""Pack the code of the workspace for workers."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mri_stages.errors import InputError
from mri_stages.orchestration.worker import REF

# The same files give the same commit, whoever packs them.
SIGNATURE = {
    "GIT_AUTHOR_NAME": "mri-stages",
    "GIT_AUTHOR_EMAIL": "none",
    "GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "mri-stages",
    "GIT_COMMITTER_EMAIL": "none",
    "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class PackedWorkspace:
    """All files of the project that Git does not ignore, with changes that are not committed."""

    tree: str
    """The hash of Git's tree: equal for equal files, which the bytes of a bundle need not be."""
    bundle: bytes
    """One commit of that tree, without history."""


def pack_workspace() -> PackedWorkspace:
    """Pack the current folder, which is the root of a repository or a folder in it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = make_environment(folder)
        tree = write_tree(environment)
        commit = call_git(environment, "commit-tree", tree, "-m", "workspace")
        bundle = Path(folder, "bundle")
        call_git(environment, "update-ref", REF, commit)
        try:
            call_git(environment, "bundle", "create", "--quiet", str(bundle), REF)
        finally:
            call_git(environment, "update-ref", "-d", REF)
        return PackedWorkspace(tree, bundle.read_bytes())


def hash_workspace() -> str:
    """Return the hash of the tree that `pack_workspace` would pack now."""
    with tempfile.TemporaryDirectory() as folder:
        return write_tree(make_environment(folder))


def make_environment(folder: str) -> dict[str, str]:
    """Return an environment in which Git leaves the user's index as it is."""
    return {**os.environ, **SIGNATURE, "GIT_INDEX_FILE": f"{folder}/index"}


def write_tree(environment: Mapping[str, str]) -> str:
    """Write the current folder as a tree of Git; return its hash."""
    call_git(environment, "add", "--all", "--", ".")
    prefix = call_git(environment, "rev-parse", "--show-prefix")
    # In a larger repository, the tree is that of the project alone.
    options = [f"--prefix={prefix}"] if prefix else []
    return call_git(environment, "write-tree", *options)


def call_git(environment: Mapping[str, str], *arguments: str) -> str:
    process = subprocess.run(
        ("git", *arguments), env=environment, stdout=subprocess.PIPE, text=True
    )
    if process.returncode != 0:
        raise InputError(f"git {arguments[0]}: failed; workers get the code through Git")
    return process.stdout.strip()

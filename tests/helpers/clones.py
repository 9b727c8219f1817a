"""Copies of this checkout under Git, in which the real commands run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.helpers.params import Params, change_params, save_params
from tests.helpers.pipeline_params import PIPELINE_PARAMS, TWO_MODEL_PARAMS
from tests.helpers.project import REPO

STUDIES = ("leakage", "leakage_permuted", "seed", "learning_rate", "batch_size")
RESULTS = ("dvc.lock", "metrics/", "plots/", "studies/")
OUT_FOLDERS = ("data", "models", "metrics", "plots")
GIT_AUTHOR = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


class Clone:
    """A copy of this checkout under Git, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cold_run: list[str] = []  # the stages that the first repro ran

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process group of its own, its output in one pipe."""
        programs = Path(sys.executable).parent
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={
                **os.environ,
                **GIT_AUTHOR,
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "COLUMNS": "200",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *command: str) -> str:
        """Run a command that must succeed; return its output."""
        process = self.start(*command)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def shell(self, script: str) -> str:
        """Run lines of bash, of which each must succeed; return their output."""
        return self.run("bash", "-exc", script)

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro`; return the stages that it really ran."""
        return list_run_stages(self.run("dvc", "repro", *arguments))

    def read_outs(self) -> dict[str, bytes]:
        """Return the content of all files at the places of outs."""
        outs = {}
        for top in OUT_FOLDERS:
            for path in (self.folder / top).rglob("*"):
                if path.is_file() and not is_temporary(path):
                    outs[str(path.relative_to(self.folder))] = path.read_bytes()
        return outs

    def change_params(self, changes: Mapping[str, Any]) -> None:
        """Change params.yaml as `tests.helpers.params.change_params` does."""
        change_params(self.folder, changes)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def copy(self, folder: Path) -> "Clone":
        """Return a copy of the folder with all its files, DVC's cache too."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Clone(folder)

    def git_clone(self, folder: Path, *options: str) -> "Clone":
        """Return what another person gets: all that is committed, and nothing of DVC's cache."""
        self.run("git", "clone", "--quiet", *options, ".", str(folder))
        return Clone(folder)


def new_clone(folder: Path, params: Params = PIPELINE_PARAMS) -> Clone:
    """Return the code of this checkout as Git would carry it, with these params and no results.

    What a user adds under data is left out: it may be large, and no test here reads it.
    """
    for name in list_code():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / name, folder / name)
    save_params(folder, params)

    clone = Clone(folder)
    clone.run("git", "init", "--quiet")
    clone.commit("code")
    return clone


def share_clone(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Clone]
) -> Clone:
    """Return a copy of a clone that the first of the test processes made for all of them."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    original = folder / f"shared_{name}"
    stages_file = folder / f"shared_{name}.json"
    with FileLock(folder / f"shared_{name}.lock"):
        if not stages_file.exists():
            shutil.rmtree(original, ignore_errors=True)  # of a process that failed
            stages_file.write_text(json.dumps(make(original).cold_run))

    clone = Clone(original).copy(tmp_path_factory.mktemp(name) / "clone")
    clone.cold_run = json.loads(stages_file.read_text())
    return clone


def share_two_models(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a copy of a committed clone of two models, after an undisturbed `dvc repro`."""
    return share_clone(tmp_path_factory, "two_models", finish_two_models)


def finish_two_models(folder: Path) -> Clone:
    clone = new_clone(folder, TWO_MODEL_PARAMS)
    clone.repro()
    clone.commit("results")
    return clone


def list_code() -> list[str]:
    """Return the files of this checkout that Git carries or would add, without results and data."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")

    code = []
    for name in names:
        is_result = name.startswith(RESULTS) and name != "studies/dvc.yaml"
        is_data = name.startswith("data/") and Path(name).name != ".gitignore"
        if not is_result and not is_data and (REPO / name).is_file():
            code.append(name)
    return code


def is_temporary(path: Path) -> bool:
    """Return whether a file is no out: half-written, a checkpoint, or written by DVC for Git."""
    is_unfinished = ".partial" in str(path) or ".checkpoint" in str(path)
    return is_unfinished or path.name == ".gitignore"


def list_run_stages(output: str) -> list[str]:
    """Return the stages that `dvc repro` ran, by its output."""
    lines = output.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage ")]


def list_damaged_objects(clone: Clone) -> list[str]:
    """Return the objects of DVC's cache that are not what their name, an MD5, says."""
    damaged = []
    for path in (clone.folder / ".dvc/cache/files/md5").glob("??/*"):
        is_object = re.fullmatch(r"[0-9a-f]{30}(\.dir)?", path.name) is not None
        md5 = path.parent.name + path.name[:30]
        if is_object and hashlib.md5(path.read_bytes()).hexdigest() != md5:
            damaged.append(str(path))
    return damaged

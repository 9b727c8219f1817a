"""The pipeline as its users run it: the real dvc, in temporary Git repositories."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Small enough to run often: 8 subjects, the six models on one epoch, a cell of each study, since
# each `dvc` resolves them all.
SMALL = {
    "subjects: 60": "subjects: 8",
    "slices: 20 ": "slices: 5 ",
    "height: 64 ": "height: 36 ",
    "width: 56": "width: 36",
    "epochs: 10": "epochs: 1",
    "models: [simple_nn2, conv_nn2]\n    seeds: [0, 1, 2, 3, 4]": (
        "models: [simple_nn2]\n    seeds: [0]"
    ),
    "values: [1.0e-8, 1.0e-4, 0.001, 0.01, 0.1, 1, 10]\n    seeds: [0, 1, 2, 3, 4]": (
        "values: [1.0e-8]\n    seeds: [0]"
    ),
    "values: [1, 5, 15, 100, all]": "values: [all]",
    "seeds: [0, 1, 2, 3, 4]": "seeds: [0]",
}


class Clone:
    """A copy of this project with small params, under Git, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cold_run: list[str] = []  # the stages that the first repro ran

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process group of its own, its output in one pipe."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org",
                "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.org",
                "COLUMNS": "200",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )  # fmt: skip

    def run(self, *command: str) -> str:
        """Run a command; it must succeed. What it printed."""
        process = self.start(*command)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    def repro(self) -> list[str]:
        """Run `dvc repro`; the stages that it really ran."""
        said = self.run("dvc", "repro").splitlines()
        return [line.split("'")[1] for line in said if line.startswith("Running stage ")]

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def edit_model(self, name: str, old: str, new: str) -> None:
        """Replace `old` in the model's own lines of params.yaml."""
        path = self.folder / "params.yaml"
        head, found, tail = path.read_text().partition(f"  {name}:\n")
        assert found
        assert old in tail
        path.write_text(head + found + tail.replace(old, new, 1))

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def copy(self, folder: Path) -> "Clone":
        shutil.copytree(self.folder, folder)
        return Clone(folder)


def new_clone(repo: Path, folder: Path) -> Clone:
    """The working tree as Git would carry it, but for dvc.lock and the results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repo, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        results = name.startswith(("dvc.lock", "metrics/", "plots/", "studies/"))
        results = results and name != "studies/dvc.yaml"
        if not results and (repo / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repo / name, folder / name)
    clone = Clone(folder)
    for old, new in SMALL.items():
        clone.edit("params.yaml", old, new)
    clone.run("git", "init", "--quiet")
    clone.commit("code")
    return clone


@pytest.fixture(scope="session")
def finished(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone after a cold `dvc repro`, results committed; tests that change it take a copy."""
    clone = new_clone(repo, tmp_path_factory.mktemp("finished") / "clone")
    clone.cold_run = clone.repro()
    clone.commit("results")
    return clone


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")

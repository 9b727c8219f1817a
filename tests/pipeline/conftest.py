"""The pipeline as its users run it: the real dvc, in temporary Git repositories."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Small enough to run often: 8 subjects, the seven models on one epoch, two folds, one run of each
# study, since each `dvc` resolves all of them.
SMALL = {
    "subjects: 60": "subjects: 8",
    "slices: 20 ": "slices: 5 ",
    "height: 64 ": "height: 36 ",
    "width: 56": "width: 36",
    "epochs: 10": "epochs: 1",
    "epochs: 6": "epochs: 1",
    "folds: 5": "folds: 2",
    "validation: 0.2": "validation: 0.5",
    "shares: [0, 25, 50, 75, 100]      # per cent\n    seeds: [0, 1, 2, 3, 4]": (
        "shares: [100]\n    seeds: [0]"
    ),
    "models: [simple_nn2, conv_nn2]\n    seeds: [0, 1, 2, 3, 4]": (
        "models: [simple_nn2]\n    seeds: [0]"
    ),
    "values: [1.0e-8, 1.0e-4, 0.001, 0.01, 0.1, 1, 10]\n    seeds: [0, 1, 2, 3, 4]": (
        "values: [1.0e-8]\n    seeds: [0]"
    ),
    "values: [1, 5, 15, 100, all]": "values: [all]",
    "seeds: [0, 1, 2, 3, 4]": "seeds: [0]",
}
STUDIES = ("leakage", "leakage_permuted", "seed", "learning_rate", "batch_size")
RESULTS = ("dvc.lock", "metrics/", "plots/", "studies/")


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
        """Run a command that must succeed; return its output."""
        process = self.start(*command)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def shell(self, script: str) -> str:
        return self.run("bash", "-exc", script)

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro`; return the stages that it really ran."""
        return ran(self.run("dvc", "repro", *arguments))

    def outs(self) -> dict[str, bytes]:
        """Return the content of all files at the places of outs."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for top in ("data", "models", "metrics", "plots")
            for path in (self.folder / top).rglob("*")
            if path.is_file()
            and ".partial" not in str(path)
            and ".checkpoint" not in str(path)  # of a training or of folds
            and path.name != ".gitignore"
        }

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
        shutil.copytree(self.folder, folder, symlinks=True)
        return Clone(folder)

    def git_clone(self, folder: Path) -> "Clone":
        """Return what another person gets: all that is committed, and nothing of DVC's cache."""
        self.run("git", "clone", "--quiet", ".", str(folder))
        return Clone(folder)


def ran(output: str) -> list[str]:
    """Return the stages that `dvc repro` ran, by its output."""
    lines = output.splitlines()
    return [line.split("'")[1] for line in lines if line.startswith("Running stage ")]


def new_clone(repo: Path, folder: Path) -> Clone:
    """Return the working tree as Git would carry it, without dvc.lock and the results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=repo, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        result = name.startswith(RESULTS) and name != "studies/dvc.yaml"
        if not result and (repo / name).is_file():
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
    """Return a clone after a cold `dvc repro`, committed; tests that change it take a copy."""
    clone = new_clone(repo, tmp_path_factory.mktemp("finished") / "clone")
    clone.cold_run = clone.repro()
    clone.commit("results")
    return clone


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    return finished.copy(tmp_path / "clone")


@pytest.fixture(scope="session")
def studied(finished: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone after `make studies`, committed; tests that change it take a copy."""
    clone = finished.copy(tmp_path_factory.mktemp("studied") / "clone")
    clone.shell("make studies SETUP=requirements.lock")  # with this environment, not .venv
    clone.commit("studies")
    return clone

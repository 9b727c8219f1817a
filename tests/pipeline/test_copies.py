"""A copy of the workspace runs its own code, whatever the environment's install points to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.params import write_params
from tests.helpers.project import REPO
from tests.helpers.stages import copy_environment

STAGE = {"cmd": "python -m stages.sample", "deps": ["src", "stages"], "params": ["sample"]}


def run(folder: Path, *command: str) -> str:
    """Run a command in an environment of another clone; return its output."""
    python_folder = Path(sys.executable).parent
    return subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{python_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPO / "src"),
            "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.org",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout  # fmt: skip


@pytest.mark.slow
def test_experiment_in_a_copy_runs_the_code_of_the_copy(tmp_path: Path) -> None:
    for name in ("src", "stages"):
        shutil.copytree(REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "src/mri_stages/ingest/phantoms.py").open("a") as module:
        module.write('\nprint("runs", __file__)\n')
    stage = {**STAGE, "outs": ["data/sample"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"sample": stage}}))
    write_params(tmp_path)
    copy_environment(tmp_path)
    (tmp_path / ".gitignore").write_text("__pycache__\n")
    (tmp_path / ".dvcignore").write_text("__pycache__\n")
    for command in ("git init --quiet", "dvc init --quiet", "git add --all"):
        run(tmp_path, *command.split())
    run(tmp_path, "git", "commit", "--quiet", "--message", "Start")

    output = run(tmp_path, "dvc", "exp", "run", "--temp")
    (line,) = [line for line in output.splitlines() if line.startswith("runs ")]
    assert line.startswith(f"runs {tmp_path / '.dvc/tmp/exps'}")

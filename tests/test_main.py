"""The command `mri-stages`: its subcommands, and whose code it runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mri_stages.__main__ import SUBCOMMANDS
from tests.helpers.project import REPO


def run_mri_stages(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command of this checkout in a folder, as an editable install would."""
    return subprocess.run(
        [sys.executable, "-m", "mri_stages", *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        capture_output=True,
        text=True,
    )


def write_copy(folder: Path) -> None:
    """Write a package mri_stages of which `results` prints where it lies."""
    shutil.copytree(REPO / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "src/mri_stages/commands/results.py"
    module.write_text("def main(argv):\n    print(__file__, argv)\n")


def test_help_lists_every_subcommand(tmp_path: Path) -> None:
    lines = run_mri_stages(tmp_path, "--help").stdout.splitlines()
    for name, subcommand in SUBCOMMANDS.items():
        assert [line for line in lines if line.split() == [name, *subcommand.summary.split()]]


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_subcommand_has_a_help_of_its_own(tmp_path: Path, name: str) -> None:
    completed = run_mri_stages(tmp_path, name, "--help")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.startswith(f"usage: mri-stages {name} ")


@pytest.mark.parametrize("argv", [["unknown"], []])
def test_unknown_subcommand_ends_in_one_line(tmp_path: Path, argv: list[str]) -> None:
    completed = run_mri_stages(tmp_path, *argv)
    assert completed.returncode != 0
    assert completed.stderr.startswith("error: mri-stages: ")
    assert completed.stderr.count("\n") == 1


def test_command_runs_the_copy_in_the_current_folder(tmp_path: Path) -> None:
    write_copy(tmp_path)
    completed = run_mri_stages(tmp_path, "results", "two words")
    module = tmp_path / "src/mri_stages/commands/results.py"
    assert completed.stdout == f"{module} ['two words']\n"


def test_command_elsewhere_runs_the_installed_code(tmp_path: Path) -> None:
    write_copy(tmp_path)
    (tmp_path / "subfolder").mkdir()
    completed = run_mri_stages(tmp_path / "subfolder", "results", "--help")
    assert completed.stdout.startswith("usage: mri-stages results")


def test_command_beside_half_a_copy_ends(tmp_path: Path) -> None:
    """A folder without __init__.py cannot be imported in place of the installed package."""
    write_copy(tmp_path)
    (tmp_path / "src/mri_stages/__init__.py").unlink()
    completed = run_mri_stages(tmp_path, "results", "--help")
    assert completed.stdout.startswith("usage: mri-stages results")

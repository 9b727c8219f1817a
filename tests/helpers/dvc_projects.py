"""Small DVC projects of shell commands, and `mri-stages repro` in them."""

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import psutil
import yaml

from tests.helpers.project import REPO

DVC = (sys.executable, "-m", "dvc")
REPRO = (sys.executable, "-m", "mri_stages", "repro")


def write_project(**stages: dict[str, Any]) -> None:
    """Make the current folder a DVC project of these stages, without Git."""
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    subprocess.run([*DVC, "init", "--quiet", "--no-scm"], check=True)


def shell_stage(cmd: str, out: str, *deps: str) -> dict[str, Any]:
    return {"cmd": cmd, "outs": [out], "deps": list(deps)}


def start_command(*command: str) -> subprocess.Popen[str]:
    """Start a command as without an activated environment, stdout and stderr in one pipe."""
    env = {**os.environ, "PATH": os.defpath, "PYTHONPATH": f"{REPO}/src{os.pathsep}{REPO}"}
    return subprocess.Popen(command, text=True, stdout=PIPE, stderr=STDOUT, env=env)


def run_repro(*names: str, status: int = 0) -> list[str]:
    """Run `mri-stages repro`, which must end with that status; return its lines."""
    process = start_command(*REPRO, *names)
    output, _ = process.communicate()
    assert process.returncode == status, output
    assert "Traceback" not in output
    return output.splitlines()


def read_until(process: subprocess.Popen[str], start: str) -> str:
    """Return the next line of its output that begins so."""
    assert process.stdout
    return next(line for line in process.stdout if line.startswith(start))


def list_started(lines: list[str]) -> list[str]:
    """Return the stages that started, in the order of the output."""
    return [line.partition(":")[0] for line in lines if line.endswith(": started")]


def list_processes_here() -> list[psutil.Process]:
    """Return the other processes that work in the current folder."""
    here = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(Path.cwd())]
    return [process for process in here if process.pid != os.getpid()]

"""Describe the machine that a benchmark runs on, and say how many rows fit into its memory."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).resolve().parents[1]
N_ROWS = {"train": 5121, "test": 1279}  # of the notebook's data
# At its peak the notebook's recipe takes 11.6 GB for 6400 rows, with the files that it reads.
NOTEBOOK_BYTES_PER_ROW = 1.9e6
MAX_MEMORY_SHARE = 0.7  # of the machine's memory, for the notebook's recipe


class Machine(BaseModel):
    model_config = ConfigDict(frozen=True)

    cpu: str
    cores: int
    memory_gb: float
    python: str
    torch: str
    numpy: str
    scikit_learn: str
    dvc: str
    commit: str


def describe_machine() -> Machine:
    """Return the machine, the versions of the packages that decide the speed, and the commit."""
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return Machine(
        cpu=read_cpu_name(),
        cores=os.cpu_count() or 1,
        memory_gb=round(read_memory_bytes() / 1e9, 1),
        python=platform.python_version(),
        torch=version("torch"),
        numpy=version("numpy"),
        scikit_learn=version("scikit-learn"),
        dvc=version("dvc"),
        commit=git.stdout.strip(),
    )


def read_cpu_name() -> str:
    """Return the model of the CPU, from Linux's list where there is one."""
    cpu_list = Path("/proc/cpuinfo")
    if cpu_list.exists():
        for line in cpu_list.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def read_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def count_rows_that_fit() -> dict[str, int]:
    """Return the rows of each split with which the notebook's preparation fits into memory."""
    needed_bytes = sum(N_ROWS.values()) * NOTEBOOK_BYTES_PER_ROW
    share = min(1.0, MAX_MEMORY_SHARE * read_memory_bytes() / needed_bytes)
    return {split: int(n_rows * share) for split, n_rows in N_ROWS.items()}

"""Train the models of params.yaml side by side: `python train_all.py`, then `dvc repro`.

`dvc repro` runs one stage at a time. This runs `dvc repro -s train@M` for several M at once, as
many as there are cores for their threads, which train.threads sets: the bytes are the same.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

from src.cli import run
from src.params import Arch, Params, read_params

# DVC takes its lock again after a stage; without the flag it gives up after 3 s, and the outs are
# lost, while another process hashes gigabytes.
REPRO = ("dvc", "--wait-for-lock", "repro")
# What DVC says of locks on which even that flag does not wait.
BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")


def main() -> None:
    params = read_params()
    if subprocess.run([*REPRO, "scale"]).returncode:
        sys.exit("error: the stages before training failed; see above")
    stages = changed_stages("dvc.yaml")
    changed = [name for name in longest_first(params) if f"train@{name}" in stages]
    if not changed:
        print("every model is trained")
        return
    jobs = jobs_at_once(params.training(name).threads for name in changed)
    print(f"training {', '.join(changed)}: {jobs} at a time", flush=True)

    def train(name: str) -> bool:
        print(f"train@{name}: started", flush=True)
        started = time.perf_counter()
        done = repro_single_items(f"train@{name}")
        if done:
            print(f"train@{name}: done in {time.perf_counter() - started:.0f} s", flush=True)
        return done

    with ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(train, changed))
    if not all(done):
        sys.exit("error: not every model is trained; see above")


def longest_first(params: Params) -> list[str]:
    """The models, the slowest arch first (Arch names it last), so that no long one ends alone."""
    archs = get_args(Arch)
    return sorted(params.models, key=lambda m: archs.index(params.models[m].arch), reverse=True)


def changed_stages(file: str) -> list[str]:
    """The stages of that dvc.yaml that are not up to date, as DVC names them."""
    command = ["dvc", "--wait-for-lock", "status", "--json", file]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(f"error: DVC cannot tell what has changed in {file}; see above")
    return list(json.loads(done.stdout))


def jobs_at_once(threads: Iterable[int]) -> int:
    """How many trainings of that many threads each the machine has cores for, at least one."""
    if hasattr(os, "sched_getaffinity"):  # Linux: a container may have fewer than the machine
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores // max(threads))


def repro_single_items(*stages: str) -> bool:
    """Bring these stages up to date, and no other, waiting for DVC's locks; whether they are."""
    while True:
        done = subprocess.run(
            [*REPRO, "--single-item", *stages],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode == 0:
            return True
        if not any(message in done.stdout for message in BUSY):
            print(done.stdout, flush=True)
            return False
        print(f"{stages[0]}: waits for another DVC process", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    run(main)

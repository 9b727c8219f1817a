"""Train the models of params.yaml side by side: `python train_all.py`, then `dvc repro`.

`dvc repro` runs one stage at a time. This runs `dvc repro -s train@M` for several M at once, as
many as there are cores for their threads, which train.threads sets: the bytes are the same.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from src.cli import run
from src.params import read_params

# What DVC says of locks on which even --wait-for-lock does not wait.
BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")


def main() -> None:
    params = read_params()
    if subprocess.run(["dvc", "repro", "scale"]).returncode:
        sys.exit("error: the stages before training failed; see above")
    status = subprocess.run(["dvc", "status", "--json"], stdout=subprocess.PIPE, check=True).stdout
    changed = [name for name in params.models if f"train@{name}" in json.loads(status)]
    if not changed:
        print("every model is trained")
        return
    threads = max(params.training(name).threads for name in changed)
    jobs = max(1, min(usable_cores() // threads, len(changed)))
    print(f"training {', '.join(changed)}: {jobs} at a time, {threads} threads each", flush=True)
    with ThreadPoolExecutor(jobs) as pool:
        failed = [name for name, done in pool.map(train, changed) if not done]
    if failed:
        sys.exit(f"error: no weights of {', '.join(failed)}; see above")


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: a container may have fewer than the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def train(name: str) -> tuple[str, bool]:
    """Bring train@name up to date, waiting for DVC's locks; whether it is."""
    print(f"train@{name}: started", flush=True)
    started = time.perf_counter()
    while True:
        done = subprocess.run(
            # DVC takes its lock again after training; without the flag it gives up after 3 s, and
            # the weights are lost, while another process hashes gigabytes.
            ["dvc", "--wait-for-lock", "repro", "--single-item", f"train@{name}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode == 0:
            print(f"train@{name}: done in {time.perf_counter() - started:.0f} s", flush=True)
            return name, True
        if not any(message in done.stdout for message in BUSY):
            print(done.stdout, flush=True)
            return name, False
        print(f"train@{name}: waits for another DVC process", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    run(main)

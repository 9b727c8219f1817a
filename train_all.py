"""Train the models of params.yaml side by side: `python train_all.py`, then `dvc repro`.

`dvc repro` runs one stage at a time. This runs `dvc repro -s train@M` for several M at once, as
many as there are cores for their threads, which train.threads sets: the bytes are the same.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from src.cli import run
from src.params import read_params

# What DVC says while another of its processes holds a lock, which can take some seconds.
BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")


def main() -> None:
    params = read_params()
    threads = max(params.training(name).threads for name in params.models)
    jobs = max(1, (os.cpu_count() or 1) // threads)
    if subprocess.run(["dvc", "repro", "scale"]).returncode:
        sys.exit(1)
    print(f"training {len(params.models)} models, {jobs} at a time, {threads} threads each")
    with ThreadPoolExecutor(jobs) as pool:
        failed = [name for name, done in pool.map(train, params.models) if not done]
    if failed:
        sys.exit(f"error: no weights of {', '.join(failed)}; see above")


def train(name: str) -> tuple[str, bool]:
    """Bring train@name up to date, waiting for DVC's locks; whether it is."""
    while True:
        done = subprocess.run(
            ["dvc", "repro", "--single-item", f"train@{name}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode and any(message in done.stdout for message in BUSY):
            time.sleep(1)
            continue
        sys.stdout.write(done.stdout)
        sys.stdout.flush()
        return name, done.returncode == 0


if __name__ == "__main__":
    run(main)

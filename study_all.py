"""Run the studies of params.yaml, cells side by side: `make studies`.

As in train_all.py, but a DVC process takes some cells, since it needs as long to start as a small
network needs to train. An interrupted study goes on where it stopped.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from src.cli import run
from src.params import read_params
from src.study_cells import cell_paths
from train_all import REPRO, changed_stages, jobs_at_once, repro_single_items

STUDIES = "studies/dvc.yaml"
CELLS = Path("studies/cells")
CELLS_A_PROCESS = 5


def main() -> None:
    params = read_params()
    studies = params.studies
    before = ("scale", f"{STUDIES}:held_out", f"{STUDIES}:cell_code")
    if subprocess.run([*REPRO, *before]).returncode:
        sys.exit("error: the stages before the studies failed; see above")
    named = {path for paths in cell_paths(CELLS, studies) for path in paths}
    for path in set(CELLS.glob("*/*.json")) - named:  # of values and seeds that are gone
        path.unlink()
    cells = [stage for stage in changed_stages(STUDIES) if "@" in stage]
    parts = [cells[i : i + CELLS_A_PROCESS] for i in range(0, len(cells), CELLS_A_PROCESS)]
    models = {*studies.seed.models, studies.learning_rate.model, studies.batch_size.model}
    jobs = jobs_at_once(params.training(name).threads for name in models)
    print(f"{len(cells)} cells to run, {jobs} at a time", flush=True)
    with (
        ThreadPoolExecutor(jobs) as pool,
        tqdm(total=len(cells), unit="cell", disable=None) as progress,
    ):

        def repro(part: list[str]) -> bool:
            done = repro_single_items(*part)
            progress.update(len(part))
            return done

        if not all(list(pool.map(repro, parts))):
            sys.exit("error: not every cell is there; see above")
    if subprocess.run([*REPRO, STUDIES]).returncode:
        sys.exit("error: the studies' last stages failed; see above")


if __name__ == "__main__":
    run(main)

"""Hash the modules that a cell of a study runs, in one file: `python -m stages.cell_code`.

A cell depends on this file in place of each module. DVC writes all of dvc.lock anew after every
stage, and with a hundred cells of seventeen dependencies that took longer than their training.
"""

import hashlib
from pathlib import Path

from src.cli import run
from src.files import write_json
from src.imports import imported

OUT = Path("studies/cell_code.json")


def main() -> None:
    modules = sorted(imported("stages/study_cell.py"))
    write_json(OUT, {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in modules})


if __name__ == "__main__":
    run(main)

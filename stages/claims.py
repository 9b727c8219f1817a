"""Judge the notebook's claims by the rules in src/claims.py -> studies/claims.json."""

from pathlib import Path

from src.claims import Evidence, verdicts
from src.cli import run
from src.files import read_json, write_json
from src.params import read_params
from src.study_cells import read_cells

STUDIES = Path("studies")


def main() -> None:
    cells = read_cells(STUDIES / "cells", read_params().studies)
    runs = read_json(STUDIES / "throughput.json")["runs"]
    rows = verdicts(Evidence(cells, runs))
    write_json(STUDIES / "claims.json", {"claims": rows})
    for row in rows:
        print(f"{row['question']} {row['claim']}: {row['verdict']}")


if __name__ == "__main__":
    run(main)

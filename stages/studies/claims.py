"""Judge the notebook's claims by the rules in src/studies/claims.py -> studies/claims.json."""

from dataclasses import asdict

from src import paths
from src.cli import run
from src.params import read_params
from src.storage.files import write_json
from src.studies.claims import verdicts
from src.studies.runs import read_studies


def main() -> None:
    found = verdicts(read_studies(read_params().studies))
    write_json(paths.CLAIMS, asdict(found))
    for claim in found.claims:
        print(f"{claim.question} {claim.claim}: {claim.verdict}")


if __name__ == "__main__":
    run(main)

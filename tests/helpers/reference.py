"""The reference: the params and the committed results of which README and docs quote the figures.

Users of this project change params.yaml, add models and make results of their own. Then the
figures in README and docs are no longer those of their files, and nothing is wrong with the code.
So tests that compare the pages with params.yaml or with committed results run only where this
checkout is the reference: where params.yaml has the values in reference.json, in whatever order
and layout, and each result file in it is there with the same bytes. Elsewhere these tests are
skipped, and the reason names the first difference.

Those who maintain this project must not skip them unseen: with MRI_STAGES_REFERENCE=1 in the
environment, as in .ci/run, such a skip is a failure. Whoever commits other params or results for
README and docs runs `python -m tests.helpers.reference`, which writes reference.json anew.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.params import Params, load_params
from tests.helpers.project import REPO

RECORD = Path(__file__).with_name("reference.json")
RESULTS = (
    "metrics/**/*.json",
    "plots/**/*.csv",
    "studies/**/*.json",
    "studies/**/*.csv",
    "benchmarks/results/cpu.json",
)
# Cached outs of the stages.
NOT_IN_GIT = ("plots/failures.csv", "plots/history/", "plots/predictions/")
COMMAND = "python -m tests.helpers.reference"


def reference_params() -> Params:
    """Return a new copy of the reference's params."""
    params: Params = read_record()["params"]
    return params


def read_record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def describe_difference(folder: Path) -> str:
    """Return the first difference of a checkout from the reference; "" if there is none."""
    record = read_record()

    values = flatten(load_params(folder))
    expected_values = flatten(record["params"])
    for key in [*expected_values, *values]:
        if key not in values:
            return f"params.yaml has no {key}"
        if key not in expected_values:
            return f"params.yaml also has {key}"
        if values[key] != expected_values[key]:
            return f"{key} in params.yaml is {values[key]}, not {expected_values[key]}"

    for name, sha256 in record["results"].items():
        path = folder / name
        if not path.is_file():
            return f"{name} does not exist"
        if hash_file(path) != sha256:
            return f"{name} has other results"
    return ""


def require_reference(folder: Path = REPO) -> None:
    """Skip a test where the checkout is not the reference; fail if it has to be."""
    difference = describe_difference(folder)
    if difference == "":
        return
    reason = f"README and docs do not describe this checkout: {difference}"
    if os.environ.get("MRI_STAGES_REFERENCE") == "1":
        pytest.fail(f"{reason}; if they do, run `{COMMAND}`", pytrace=False)
    pytest.skip(reason)


def flatten(group: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested groups by their dotted keys; an empty group is a value."""
    values: dict[str, Any] = {}
    for key, value in group.items():
        if isinstance(value, Mapping) and value:
            values |= flatten(value, f"{prefix}{key}.")
        else:
            values[f"{prefix}{key}"] = value
    return values


def list_results(folder: Path) -> list[str]:
    """Return the names of the result files that lie in Git."""
    names = set()
    for pattern in RESULTS:
        for path in folder.glob(pattern):
            name = path.relative_to(folder).as_posix()
            if not name.startswith(NOT_IN_GIT):
                names.add(name)
    return sorted(names)


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_record(folder: Path = REPO) -> None:
    """Make the params and results of a checkout the reference."""
    results = {name: hash_file(folder / name) for name in list_results(folder)}
    record = {"params": load_params(folder), "results": results}
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_record()

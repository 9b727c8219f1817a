"""metrics/M.json, as evaluate writes it and compare reads it."""

from pathlib import Path
from typing import Any

from src.cli import InputError
from src.files import read_json
from src.params import FOLD_BASELINES

SHARES = ("accuracy", "low", "high")


def read_metrics(path: Path) -> dict[str, Any]:
    """The metrics of one model; InputError unless what every model has is there and possible."""
    metrics = read_baseline(path)
    if not isinstance(metrics.get("diverged"), bool):
        raise InputError(
            f"{path}: expected {', '.join(SHARES)} from 0 to 1, and diverged, true or false; "
            "delete it and run 'dvc repro'"
        )
    return metrics


def read_baseline(path: Path) -> dict[str, Any]:
    """The metrics of one baseline; InputError for anything else.

    Of one on folds they are empty where there are no such folds.
    """
    metrics = read_json(path)
    if metrics == {} and path.stem in FOLD_BASELINES:
        return {}
    if (
        not isinstance(metrics, dict)
        or not all(type(metrics.get(key)) in (int, float) for key in SHARES)
        or not all(0 <= metrics[key] <= 1 for key in SHARES)
    ):
        raise InputError(
            f"{path}: expected {', '.join(SHARES)} from 0 to 1; delete it and run 'dvc repro'"
        )
    return metrics

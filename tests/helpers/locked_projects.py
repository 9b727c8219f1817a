"""A project under Git with a dvc.lock and metrics, as if DVC had run its stages: nothing runs."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mri_stages import paths

Params = dict[str, Any]
LOCK = Path("dvc.lock")
# What a dvc.lock may hold after a fault of a disk, an editor or a merge.
DAMAGED_LOCKS = {
    "empty": b"",
    "list": b"- a list\n",
    "cut off": b"schema: '2.0'\nstages:\n  load:\n    cmd",
    "no entry": b"schema: '2.0'\nstages:\n  load: 1\n",
    "merge": b"<<<<<<< HEAD\nschema: '2.0'\nstages: {}\n=======\n>>>>>>> other\n",
    "no text": b"\xff\xfe",
}
FOLDS_HASH = "f" * 32
METRICS = {"accuracy": 0.75, "auc": 0.5, "auc_low": 0.25, "auc_high": 0.625, "brier_scaled": 0.125}


def git(*arguments: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def start_project(*models: str) -> Params:
    """Make the current folder a project with these models, which have not run; return its params.

    The folder is the root of a repository, if it is not in one yet.
    """
    if subprocess.run(["git", "rev-parse"], capture_output=True).returncode != 0:
        git("init", "--quiet")
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("")
    params = {
        "train": {"epochs": 3},
        "models": {model: {"arch": "small_cnn", "lr": 0.1} for model in models},
        "cross_validation": {"models": dict.fromkeys(models, "small_cnn")},
    }
    write_params(params)
    lock_stage("assign_folds", {}, {paths.ASSIGNMENT.as_posix(): FOLDS_HASH})
    return params


def write_params(params: Params) -> None:
    paths.PARAMS.write_text(yaml.safe_dump(params))


def lock_stage(
    name: str, deps: Mapping[str, str], outs: Mapping[str, str], params: Params | None = None
) -> None:
    """Write a stage into dvc.lock: its deps and outs with their hashes, and its params."""
    content: dict[str, Any] = {"schema": "2.0", "stages": {}}
    if LOCK.exists():
        content = yaml.safe_load(LOCK.read_text())
    content["stages"][name] = make_entry(deps, outs, params)
    LOCK.write_text(yaml.safe_dump(content, sort_keys=False))


def make_entry(
    deps: Mapping[str, str], outs: Mapping[str, str], params: Params | None
) -> dict[str, Any]:
    """Return the entry of a stage as DVC writes it."""
    entry: dict[str, Any] = {"cmd": "true"}
    for kind, hashes in (("deps", deps), ("params", params), ("outs", outs)):
        if kind == "params" and params is not None:
            entry[kind] = {"params.yaml": params}
        elif hashes:
            entry[kind] = [
                {"path": path, "hash": "md5", "md5": md5, "size": 1} for path, md5 in hashes.items()
            ]
    return entry


def cross_validate(params: Params, model: str) -> dict[str, str]:
    """Lock a run of `cross_validate` with these params; return its outs."""
    recipe = {f"models.{model}": params["models"][model], "train": params["train"]}
    outs = {f"data/folds/{model}.csv": hash_text(json.dumps(recipe))}
    deps = {paths.ASSIGNMENT.as_posix(): FOLDS_HASH, "src/code.py": "c" * 32}
    lock_stage(f"cross_validate@{model}", deps, outs, recipe)
    return outs


def score(params: Params, model: str, metrics: Mapping[str, Any] = METRICS) -> None:
    """Lock runs of `cross_validate` and `summarise` with these params, and write the metrics."""
    predictions = cross_validate(params, model)
    path = paths.new_subject_metrics(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metrics))
    lock_stage(f"summarise@{model}", predictions, {path.as_posix(): hash_text(path.read_text())})


def hash_text(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def commit(message: str = "results") -> str:
    """Commit all files; return the hash."""
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)
    return git("rev-parse", "HEAD")


def save_experiment(name: str) -> str:
    """Save all files as an experiment, as DVC does, and take the changes back; return its hash."""
    baseline = git("rev-parse", "HEAD")
    experiment = commit("dvc: commit experiment")
    git("update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", experiment)
    git("reset", "--quiet", "--hard", baseline)
    return experiment

"""Judge by a dvc.lock whether a file is the result of the params and files that lie beside it.

Nothing is hashed but the file itself: the hashes that DVC locked are compared with each other, so
it works for any commit. What is not compared is the code: a dvc.lock tells with which code a stage
ran, and not whether that is the code of the commit.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from mri_stages import paths
from mri_stages.config.param_changes import compare_params, format_param
from mri_stages.config.run_history import find_value
from mri_stages.orchestration.dvc_changes import is_code

Params = Mapping[str, Mapping[str, Any]]  # the values of each params file, by its name
FOLDER_HASH_ENDING = ".dir"


class Provenance(Enum):
    """Whether a file is a result of the params beside it; the value is what a user reads."""

    CURRENT = "run with these params"
    OTHER_PARAMS = "not run with these params"
    UNLOCKED = "not in dvc.lock"


@dataclass(frozen=True)
class Judgement:
    """What is known of a file, and why."""

    provenance: Provenance
    stage: str = ""
    """The stage that ran with other params or files; empty where none did."""
    fault: str = ""
    """What that stage ran with, or what is wrong with the file; empty of a current file."""


@dataclass(frozen=True)
class LockedStage:
    """What dvc.lock says of the last run of a stage."""

    deps: Mapping[str, str]
    """The hash of each dep, by its path."""
    outs: Mapping[str, str]
    params: Params = field(default_factory=dict)

    @cached_property
    def code(self) -> dict[str, str]:
        """Return the hash of each dep that is code."""
        return {dep: dep_hash for dep, dep_hash in self.deps.items() if is_code(Path(dep))}

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Return the hash of each dep that is not code."""
        return {dep: dep_hash for dep, dep_hash in self.deps.items() if dep not in self.code}


def parse_lock(content: Mapping[str, Any]) -> dict[str, LockedStage]:
    """Return the stages of a dvc.lock, by their names.

    AttributeError, KeyError or TypeError where it is not as DVC writes it.
    """
    stages = {}
    for name, entry in content.get("stages", {}).items():
        params = entry.get("params", {}).items()
        stages[name] = LockedStage(
            list_hashes(entry.get("deps", [])),
            list_hashes(entry.get("outs", [])),
            {file: dict(values.items()) for file, values in params},
        )
    return stages


def list_hashes(entries: list[dict[str, Any]]) -> dict[str, str]:
    return {entry["path"]: str(entry.get("md5", "")) for entry in entries}


def judge_file(
    path: Path,
    content: bytes,
    stages: Mapping[str, LockedStage],
    params: Params,
    added_files: Mapping[str, str],
) -> Judgement:
    """Return whether a file was made with these params, by all stages that had a part in it.

    params: the content of the files of params. added_files: the hash of each file or folder that
    `dvc add` tracks.
    """
    file_hash = hashlib.md5(content).hexdigest()
    makers = list_makers(stages, path.as_posix(), file_hash)
    if not makers:
        fault = f"no stage of dvc.lock has made {path}"
        return Judgement(Provenance.UNLOCKED, fault=fault)
    if stages[makers[0]].outs.get(path.as_posix()) != file_hash:
        fault = f"{path} is not the one of {makers[0]} in dvc.lock"
        return Judgement(Provenance.UNLOCKED, fault=fault)

    for name in list_ancestors(stages, makers):
        for fault in list_faults(name, stages, params, added_files):
            return Judgement(Provenance.OTHER_PARAMS, name, fault)
    return Judgement(Provenance.CURRENT)


def list_ancestors(stages: Mapping[str, LockedStage], names: list[str]) -> list[str]:
    """Return the stages and all whose outs they read, the nearest first."""
    ancestors = dict.fromkeys(names)
    waiting = list(names)
    while waiting:
        for dep, dep_hash in stages[waiting.pop(0)].inputs.items():
            for maker in list_makers(stages, dep, dep_hash):
                if maker not in ancestors:
                    ancestors[maker] = None
                    waiting.append(maker)
    return list(ancestors)


def list_makers(stages: Mapping[str, LockedStage], path: str, path_hash: str) -> list[str]:
    """Return the stages that wrote a path, a part of it, or the folder in which it lies.

    Where there are stages that wrote it with this hash, they alone: DVC keeps what it locked of a
    stage that has another name now.
    """
    exact_makers = [name for name, stage in stages.items() if stage.outs.get(path) == path_hash]
    if exact_makers:
        return exact_makers

    makers = []
    for name, stage in stages.items():
        if any(is_inside(out, path) or is_inside(path, out) for out in stage.outs):
            makers.append(name)
    return makers


def is_inside(path: str, folder: str) -> bool:
    """Return whether a path is the folder, or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def list_faults(
    name: str,
    stages: Mapping[str, LockedStage],
    params: Params,
    added_files: Mapping[str, str],
) -> Iterator[str]:
    """Yield in which way the last run of a stage had other params, or other files of a stage."""
    stage = stages[name]
    for file, old_values in stage.params.items():
        for key, old in old_values.items():
            new = find_value(params.get(file, {}), key)
            for change in compare_params(key, old, new):
                old_text = format_param(change.old)
                new_text = format_param(change.new)
                yield f"ran with {change.name} {old_text}, and {file} has {new_text}"

    for dep, locked_hash in stage.inputs.items():
        expected_hashes = list_expected_hashes(dep, locked_hash, stages, params, added_files)
        if expected_hashes and locked_hash not in expected_hashes:
            yield f"ran with another {dep} than its stage made last"


def list_expected_hashes(
    dep: str,
    locked_hash: str,
    stages: Mapping[str, LockedStage],
    params: Params,
    added_files: Mapping[str, str],
) -> set[str]:
    """Return the hashes that a dep may have by the last runs of its makers; none if not known."""
    if dep in added_files:
        return {added_files[dep]}
    makers = list_makers(stages, dep, locked_hash)
    for maker in makers:
        if dep in stages[maker].outs:
            return {stages[maker].outs[dep]}
    inner_outs = collect_outs(dep, stages, makers)
    if not inner_outs:  # a file inside an out: its hash is in the cache only
        return set()

    # The folder may lack what was made for a model that is removed, or still have it.
    known_makers = [name for name in makers if not is_of_removed_model(name, params)]
    return {hash_folder(inner_outs), hash_folder(collect_outs(dep, stages, known_makers))}


def collect_outs(
    folder: str, stages: Mapping[str, LockedStage], makers: list[str]
) -> dict[str, str]:
    """Return the hash of each out inside a folder, by its path in the folder."""
    hashes = {}
    for maker in makers:
        for out, out_hash in stages[maker].outs.items():
            if is_inside(out, folder) and not out_hash.endswith(FOLDER_HASH_ENDING):
                hashes[out.removeprefix(f"{folder}/")] = out_hash
    return hashes


def is_of_removed_model(stage: str, params: Params) -> bool:
    """Return whether a stage belongs to a model that the params do not have for it any more."""
    group, _, model = stage.partition("@")
    values = params.get(paths.PARAMS.name, {})
    key = "models" if group in ("train", "evaluate") else "cross_validation.models"
    models = find_value(values, key)
    return bool(model) and isinstance(models, dict) and model not in models


def hash_folder(hashes: Mapping[str, str]) -> str:
    """Return DVC's hash of a folder of these files."""
    entries = [{"md5": hashes[path], "relpath": path} for path in sorted(hashes)]
    return hashlib.md5(json.dumps(entries).encode()).hexdigest() + FOLDER_HASH_ENDING


def collect_code(stages: Mapping[str, LockedStage], path: Path) -> dict[str, str]:
    """Return the hash of the code with which the stages behind a file ran, by its path."""
    code: dict[str, str] = {}
    makers = list_makers(stages, path.as_posix(), find_out_hash(stages, path))
    for name in list_ancestors(stages, makers):
        code |= stages[name].code
    return code


def find_out_hash(stages: Mapping[str, LockedStage], path: Path) -> str:
    """Return the hash of an out in dvc.lock; "" where no stage has made it."""
    for stage in stages.values():
        if path.as_posix() in stage.outs:
            return stage.outs[path.as_posix()]
    return ""

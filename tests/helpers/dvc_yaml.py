"""The stages of dvc.yaml and studies/dvc.yaml, as they are written and as DVC resolves them."""

import os
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from dvc.repo import Repo

from tests.helpers.project import REPO

FILES = ("dvc.yaml", "studies/dvc.yaml")

Definition = dict[str, Any]


class ResolvedStage(NamedTuple):
    """A stage with its values of params.yaml."""

    name: str  # without the file, such as train@small
    module: str  # such as stages.train
    arguments: list[str]
    outs: list[str]
    params: set[str]  # that it names, also within ${}; "" is the whole file


def read_definitions(file: str) -> dict[str, Definition]:
    """Return the stages of a dvc.yaml; of `foreach`, what stands under `do`."""
    stages = yaml.safe_load((REPO / file).read_text(encoding="utf-8"))["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


def read_all_definitions() -> dict[str, Definition]:
    """Return the stages of all files."""
    definitions = {}
    for file in FILES:
        definitions.update(read_definitions(file))
    return definitions


def resolve_stages(folder: Path) -> list[ResolvedStage]:
    """Return all stages for the params.yaml in the folder, in the order of the files."""
    for file in FILES:
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(REPO / file, folder / file)
    shutil.copy(REPO / "environment.yaml", folder)

    current_folder = Path.cwd()
    os.chdir(folder)
    try:
        with Repo.init(no_scm=True, force=True) as repo:
            stages = list(repo.index.stages)
    finally:
        os.chdir(current_folder)

    definitions = read_all_definitions()
    order = list(definitions)
    resolved = [resolve_stage(stage, definitions) for stage in stages]
    return sorted(resolved, key=lambda stage: order.index(stage.name.partition("@")[0]))


def resolve_stage(stage: Any, definitions: dict[str, Definition]) -> ResolvedStage:
    """Return a stage of DVC with the params that its definition names."""
    _, _, module, *arguments = stage.cmd.split()
    definition = definitions[stage.name.partition("@")[0]]

    params = set(re.findall(r"\$\{([a-z_.]+)\}", str(definition))) - {"key", "item"}
    for dep in stage.deps:
        if dep.def_path == "params.yaml":
            params |= set(getattr(dep, "params", [""]))
    return ResolvedStage(
        name=stage.name,
        module=module,
        arguments=arguments,
        outs=[out.def_path for out in stage.outs],
        params={param for param in params if not param.startswith("item.")},
    )

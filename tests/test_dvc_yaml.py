"""The deps in dvc.yaml name all of our code that a stage imports: DVC traces no import."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPO


def stages_of(file: str) -> dict[str, dict[str, Any]]:
    stages = yaml.safe_load((REPO / file).read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in stages.items()}


STUDIES = stages_of("studies/dvc.yaml")
STAGES = stages_of("dvc.yaml") | STUDIES


def imported(file: str) -> set[str]:
    """Return `file` and the files of ours that it imports, directly or through another."""
    found, names = {file}, set()
    for node in ast.walk(ast.parse((REPO / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    paths = {name.replace(".", "/") for name in names}
    paths |= {str(parent) for path in paths for parent in Path(path).parents}
    for module in {f"{path}{end}" for path in paths for end in (".py", "/__init__.py")} - {file}:
        if (REPO / module).is_file():
            found |= imported(module)
    return found


def is_covered(file: str, deps: list[str]) -> bool:
    return any(file == dep or file.startswith(f"{dep}/") for dep in deps)


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_the_imports_of_the_stage_and_name_no_other_code(name: str) -> None:
    module = STAGES[name]["cmd"].split()[2]
    files = imported(f"{module.replace('.', '/')}.py")
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith(("src/", "stages/"))]
    assert [file for file in sorted(files) if not is_covered(file, deps)] == []
    unused = {dep for dep in deps if not any(is_covered(file, [dep]) for file in files)}
    # An architecture is imported by its name in params.yaml.
    own = {"train": "item.arch", "evaluate": "item.arch", "cross_validate": "item"}.get(name)
    own_architecture = f"src/models/${{{own}}}.py"
    assert unused == ({own_architecture} if own else set())
    assert own_architecture not in deps or "src/models" not in deps


def test_outs_of_the_studies_lie_in_git_and_in_their_folder() -> None:
    outs = [o for s in STUDIES.values() for kind in ("outs", "plots") for o in s.get(kind, [])]
    assert all(isinstance(out, dict) for out in outs)
    for path, options in (item for out in outs for item in out.items()):
        assert path.startswith("studies/")
        assert options["cache"] is False


def test_train_depends_on_no_picture_or_metric_and_a_study_on_no_list_of_values() -> None:
    assert not {"src/data", "src/evaluation", "src/plotting"} & {*STAGES["train"]["deps"]}
    for name in ("seed", "learning_rate", "batch_size", "leakage"):
        params = {param for param in STUDIES[name]["params"] if param.startswith("studies")}
        assert params - {f"studies.{name}.model"} == {f"studies.{name}.seeds"}

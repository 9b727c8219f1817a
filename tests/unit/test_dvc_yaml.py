"""The deps in dvc.yaml name every module of ours that a stage imports: DVC traces no import."""

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from src.imports import imported

REPO = Path(__file__).resolve().parents[2]
STUDIES = YAML(typ="safe").load(REPO / "studies/dvc.yaml")["stages"]
CELLS = ("seed", "learning_rate", "batch_size")  # stages of one module
STAGES = YAML(typ="safe").load(REPO / "dvc.yaml")["stages"] | STUDIES


def module(stage: str) -> str:
    return "study_cell" if stage in CELLS else stage


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_every_module_that_the_stage_imports(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])
    modules = {dep for dep in stage["deps"] if dep.endswith(".py")}
    if name in CELLS:
        assert "studies/cell_code.json" in stage["deps"]
    elif name == "cell_code":
        assert {"src", "stages"} <= set(stage["deps"])
    else:
        assert modules == imported(f"stages/{name}.py", REPO)


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does_and_needs_no_shell(name: str) -> None:
    stage = STAGES[name].get("do", STAGES[name])
    assert stage["desc"]
    assert stage["cmd"].split(" ${")[0] == f"python -m stages.{module(name)}"


@pytest.mark.parametrize("name", STUDIES)
def test_the_studies_write_nothing_that_the_main_pipeline_reads(name: str) -> None:
    for out in STUDIES[name]["outs"]:
        path = out if isinstance(out, str) else next(iter(out))
        assert path.startswith("studies/")


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_depends_on_no_list_of_cells(name: str) -> None:
    assert not [param for param in STUDIES[name]["params"] if param.startswith("studies")]


@pytest.mark.parametrize("name", ["scale", "compare", "study_results", "claims"])
def test_a_stage_that_needs_no_torch_does_not_import_it(name: str) -> None:
    code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)

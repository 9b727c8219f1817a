"""The layout of the code: imports go down only, and nothing imports a stage or a command."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PACKAGE = REPO / "src/mri_stages"

# What each package may import, besides itself.
BASE = {"errors", "console", "paths", "config", "storage"}
ALLOWED = {
    "errors": set(),
    "paths": set(),
    "console": {"errors"},
    "config": {"errors", "paths", "console"},
    "storage": {"errors", "paths", "console", "config"},
    "ingest": BASE,
    "preprocessing": BASE,
    "models": BASE,
    "training": BASE | {"preprocessing", "models"},
    "evaluation": BASE,
    "baselines": BASE | {"evaluation", "preprocessing"},
    "studies": BASE | {"training", "models"},
    "plotting": BASE | {"studies"},
    "reporting": BASE,
    "export": BASE | {"preprocessing", "models", "training", "ingest"},
    "orchestration": BASE | {"ingest", "preprocessing", "models"},
    "notebook": {"paths", "preprocessing", "storage"},
    "commands": BASE | {"ingest", "preprocessing", "models", "training", "evaluation", "reporting",
                        "export", "orchestration"},
}  # fmt: skip


def list_imported_parts(file: Path) -> set[str]:
    """Return the parts of the package (and `stages`) that a file imports."""
    parts = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            top, *rest = name.split(".")
            if top == "mri_stages" and rest:
                parts.add(rest[0])
            elif top in ("stages", "tests", "benchmarks"):
                parts.add(top)
    return parts


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_go_down(part: str) -> None:
    path = PACKAGE / part
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        assert list_imported_parts(file) <= ALLOWED[part] | {part}, file.name


def test_every_part_has_its_place() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert modules | packages == set(ALLOWED)


def test_architectures_import_only_layers() -> None:
    """An architecture's stages depend on its own file and on layers.py, and on no other."""
    for file in (PACKAGE / "models").glob("[!_]*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
                "mri_stages.models"
            ):
                assert node.module == "mri_stages.models.layers", file.name

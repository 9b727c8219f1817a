"""The layout of the code: imports go down only, and few modules lie directly in src."""

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
BASE = {"cli", "params", "paths", "storage"}
PACKAGES = sorted(path.name for path in (REPO / "src").iterdir() if any(path.glob("*.py")))


def imported_packages(file: Path) -> set[str]:
    """Return what a file imports of src: names of packages and of modules directly in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("src."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "src":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("src.")}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_of_a_package_go_down(package: str) -> None:
    allowed = BASE | {package} | ({"models"} if package == "training" else set())
    for file in (REPO / "src" / package).glob("*.py"):
        assert imported_packages(file) <= allowed, file.name


def test_modules_directly_in_src_import_only_each_other() -> None:
    modules = sorted((REPO / "src").glob("*.py"))
    assert len(modules) <= 5
    for file in modules:
        assert imported_packages(file) <= {module.stem for module in modules}, file.name


def test_architectures_import_only_layers_of_the_other_models() -> None:
    """An architecture's stages depend on its own file and on layers.py, and on no other."""
    for file in (REPO / "src/models").glob("[!_]*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("src.models"):
                assert node.module == "src.models.layers", file.name

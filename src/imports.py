"""Which of our modules a module imports, read from the source without running it."""

import ast
from pathlib import Path

FOLDERS = ("src", "stages")


def imported(path: str, root: Path = Path()) -> set[str]:
    """`path` and all of our modules that it imports, directly or through another.

    Paths are as in dvc.yaml, from `root`, with the `__init__.py` that runs before a module.
    """
    package = f"{path.split('/')[0]}/__init__.py"
    found = {path, package} if (root / package).exists() else {path}
    for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module)):
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case _:
                continue
        for name in names:
            file = f"{name.replace('.', '/')}.py"
            if (
                name.startswith(tuple(f"{folder}." for folder in FOLDERS))
                and (root / file).exists()
            ):
                found |= imported(file, root)
    return found

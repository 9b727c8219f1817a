"""The modules that code loads."""

import subprocess
import sys

from tests.helpers.stages import make_environment


def list_loaded_modules(statements: str) -> set[str]:
    """Return the names of the modules that a new Python has loaded after the statements."""
    code = f"import sys\n{statements}\nprint(*sys.modules)"
    completed = subprocess.run(
        [sys.executable, "-c", code],
        env=make_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(completed.stdout.splitlines()[-1].split())

"""Public functions for notebooks and other programs, each imported when it is first used.

`import mri_stages` is quick, since it imports neither torch nor numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mri_stages.config.loading import read_params
    from mri_stages.export.trained_model import load_model, predict
    from mri_stages.notebook import load_split

__all__ = ["load_model", "load_split", "predict", "read_params"]

MODULES = {
    "load_model": "mri_stages.export.trained_model",
    "load_split": "mri_stages.notebook",
    "predict": "mri_stages.export.trained_model",
    "read_params": "mri_stages.config.loading",
}


def __getattr__(name: str) -> Any:
    """Import a public function: Python calls this for a name that the module lacks (PEP 562)."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__

"""Tell a raw folder that is not there, before `load` runs."""

from pathlib import Path

from mri_stages import paths
from mri_stages.config.schema import Params
from mri_stages.errors import InputError


def check_raw_folder(params: Params) -> None:
    """Raise InputError if the raw folder is not there, though no stage writes it."""
    if not Path(params.data.raw).exists():
        raise InputError(
            f"{paths.PARAMS}: data.raw is {params.data.raw!r}, and there is no such folder, "
            "expected the raw tensors; 'mri-stages import' makes it of images"
        )

"""Ask of the weights in models/ whether they belong to the params and the data beside them."""

from pathlib import Path

from mri_stages import paths
from mri_stages.orchestration.dvc import LOCK_FILE
from mri_stages.orchestration.dvc_lock import Provenance
from mri_stages.orchestration.dvc_revisions import read_workspace


def list_weights_warnings(name: str) -> list[str]:
    """Return a warning if a model of params.yaml was trained with other params or other data.

    It would be used with the scaler and the classes of now. An export folder, and a project without
    a dvc.lock, cannot be asked.
    """
    path = paths.weights(name)
    if Path(name).is_dir() or not path.exists() or not LOCK_FILE.exists():
        return []
    judgement = read_workspace().judge_file(path)
    if judgement.provenance is Provenance.CURRENT:
        return []
    reason = f"{judgement.stage} {judgement.fault}".strip()
    return [f"warning: {path}: {reason}; 'mri-stages repro train@{name}' makes it anew"]

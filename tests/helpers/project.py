"""The places of this checkout that tests look at."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SHARED_SLICES = REPO.parent / "shared/data/mri-slices.zip"  # the course's slices, not in Git

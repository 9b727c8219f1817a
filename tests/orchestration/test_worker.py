"""What a worker looks for before it runs a stage."""

import hashlib
from pathlib import Path

import pytest

from mri_stages.orchestration.worker import NoWeightsError, check_weights

DATA = b"weights"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty store for weights."""
    folder = tmp_path / "store"
    folder.mkdir()
    monkeypatch.setenv("MRI_STAGES_WEIGHTS", str(folder))
    return folder


def test_check_weights_finds_the_file_of_the_clone(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(DATA)
    check_weights(tmp_path, "w.pt", SHA256)


def test_check_weights_finds_the_file_of_the_store(tmp_path: Path, store: Path) -> None:
    (store / SHA256).write_bytes(DATA)
    check_weights(tmp_path, "w.pt", SHA256)


def test_check_weights_refuses_other_bytes_and_names_the_hash(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"others")
    with pytest.raises(NoWeightsError, match=SHA256):
        check_weights(tmp_path, "w.pt", SHA256)

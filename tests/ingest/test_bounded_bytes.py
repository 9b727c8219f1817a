"""Files are read up to a limit, and no further."""

import io
import zipfile
from pathlib import Path

import pytest

from mri_stages.ingest import bounded_bytes
from mri_stages.ingest.bounded_bytes import read_bounded, read_part
from mri_stages.ingest.image_set import FilePath, ImageError

DATA = bytes(range(10))


@pytest.fixture(params=["file", "zip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> FilePath:
    """Return a file of ten bytes, or such a member of a zip."""
    if request.param == "file":
        (tmp_path / "x").write_bytes(DATA)
        return tmp_path / "x"
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x", DATA)
    return zipfile.Path(tmp_path / "x.zip", "x")


@pytest.mark.parametrize("max_bytes", [10, 11])
def test_read_bounded_up_to_its_limit(path: FilePath, max_bytes: int) -> None:
    assert read_bounded(path, max_bytes) == DATA


def test_read_bounded_above_its_limit(path: FilePath) -> None:
    with pytest.raises(ImageError, match="0 MiB"):
        read_bounded(path, 9)


@pytest.mark.parametrize("n_bytes", [0, 3, 4, 9, 10, 11])
def test_read_part_stops_at_the_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    monkeypatch.setattr(bounded_bytes, "PART_BYTES", 4)
    stream = io.BytesIO(DATA)
    assert read_part(stream, n_bytes) == DATA[:n_bytes]
    assert stream.read() == DATA[n_bytes:]

"""A scaler is read back as it was saved."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from mri_stages.errors import InputError
from mri_stages.preprocessing.scaler import read_scaler, save_scaler


@pytest.fixture
def scaler() -> StandardScaler:
    return StandardScaler().fit(np.arange(6.0).reshape(3, 2))


@pytest.fixture
def scaler_file(tmp_path: Path, scaler: StandardScaler) -> Path:
    """The file of a scaler of one stored channel, for images of three."""
    save_scaler(tmp_path / "scaler.npz", scaler, 6)
    return tmp_path / "scaler.npz"


def test_save_scaler_repeats_it_for_equal_channels(scaler_file: Path) -> None:
    with np.load(scaler_file, allow_pickle=False) as arrays_of_scaler:
        assert arrays_of_scaler["mean"].tolist() == [2, 3] * 3
        assert arrays_of_scaler["var"].tolist() == pytest.approx([8 / 3] * 6)
        assert arrays_of_scaler["n_samples"] == 3


def test_save_scaler_writes_the_same_headers_anywhere(scaler_file: Path) -> None:
    with ZipFile(scaler_file) as archive:
        headers = {(info.extract_version, info.date_time) for info in archive.infolist()}
    assert headers == {(20, (1980, 1, 1, 0, 0, 0))}


def test_read_scaler_gives_mean_and_scale_as_images(scaler_file: Path) -> None:
    mean, scale = read_scaler(scaler_file, (3, 1, 2))
    assert mean.tolist() == [[[2, 3]]] * 3
    np.testing.assert_allclose(scale, np.sqrt(8 / 3), rtol=1e-6)


def test_read_scaler_gives_float32(scaler_file: Path) -> None:
    mean, scale = read_scaler(scaler_file, (3, 1, 2))
    assert mean.dtype == np.float32
    assert scale.dtype == np.float32


def test_read_scaler_of_other_images_names_the_file(scaler_file: Path) -> None:
    with pytest.raises(InputError, match=r"scaler\.npz.*\(3, 2, 2\)"):
        read_scaler(scaler_file, (3, 2, 2))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"text"])
def test_read_scaler_of_a_damaged_file_names_it(scaler_file: Path, content: bytes) -> None:
    scaler_file.write_bytes(content)
    with pytest.raises(InputError, match=r"scaler\.npz"):
        read_scaler(scaler_file, (3, 1, 2))

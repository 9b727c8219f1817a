from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from mri_stages.errors import InputError
from mri_stages.preprocessing.scaling import save_scaler, write_scaled
from mri_stages.storage import arrays

RNG = np.random.default_rng(0)
PARTS = [RNG.integers(0, 256, (n, 6)).astype(np.uint8) for n in (30, 12)]


@pytest.mark.parametrize("chunk_bytes", [2**20, 100])
def test_write_scaled_fits_on_the_first_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(arrays, "CHUNK_BYTES", chunk_bytes)
    rng = np.random.default_rng(2)
    order = rng.permutation(42)
    files = {tmp_path / "a.npy": order[:25], tmp_path / "b.npy": order[25:]}
    scaler = write_scaled(PARTS, files)
    x = np.concatenate(PARTS) / 255
    expected = StandardScaler().fit(x[order[:25]])
    assert scaler.n_samples_seen_ == 25
    for path, rows in files.items():
        found = np.load(path)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.transform(x[rows]), rtol=1e-4, atol=1e-5)


def test_write_scaled_names_the_file_and_row_of_a_value_beyond_float32(tmp_path: Path) -> None:
    x = np.ones((6, 2), np.float32)
    x[:3, 0] += np.float32(1e-6)
    x[5, 0] = 3e38
    files = {tmp_path / "a.npy": np.arange(4), tmp_path / "b.npy": np.array([4, 5])}
    with pytest.raises(InputError, match=r"b\.npy: row 1 "):
        write_scaled([x], files)
    assert not (tmp_path / "b.npy").exists()


def test_save_scaler_writes_headers_that_do_not_depend_on_the_python(tmp_path: Path) -> None:
    scaler = StandardScaler().fit(np.arange(6.0).reshape(3, 2))
    save_scaler(tmp_path / "scaler.npz", scaler, 6)
    with ZipFile(tmp_path / "scaler.npz") as archive:
        headers = {(info.extract_version, info.date_time) for info in archive.infolist()}
    assert headers == {(20, (1980, 1, 1, 0, 0, 0))}
    with np.load(tmp_path / "scaler.npz", allow_pickle=False) as saved:
        assert saved["mean"].tolist() == [2, 3] * 3
        assert saved["n_samples"] == 3

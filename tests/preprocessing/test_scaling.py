"""Scaling in chunks is scikit-learn's."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from mri_stages.errors import InputError
from mri_stages.preprocessing.scaling import (
    list_scale_warnings,
    write_scaled,
)
from mri_stages.storage import arrays

RNG = np.random.default_rng(0)
PARTS = [RNG.integers(0, 256, (n, 6)).astype(np.uint8) for n in (30, 12)]
PIXELS = np.concatenate(PARTS) / 255
INDICES = RNG.permutation(42)  # of rows of both parts
N_FIRST = 25


def write_two_files(folder: Path) -> StandardScaler:
    files = {folder / "a.npy": INDICES[:N_FIRST], folder / "b.npy": INDICES[N_FIRST:]}
    return write_scaled(PARTS, files)


def test_write_scaled_fits_on_the_first_file_alone(tmp_path: Path) -> None:
    scaler = write_two_files(tmp_path)
    expected = StandardScaler().fit(PIXELS[INDICES[:N_FIRST]])
    assert scaler.n_samples_seen_ == N_FIRST
    np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-6)
    np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-6)


@pytest.mark.parametrize("chunk_bytes", [2**20, 100])
def test_write_scaled_writes_the_rows_of_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(arrays, "CHUNK_BYTES", chunk_bytes)
    write_two_files(tmp_path)
    expected = StandardScaler().fit(PIXELS[INDICES[:N_FIRST]]).transform(PIXELS[INDICES])
    scaled = np.concatenate([np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def huge_value() -> np.ndarray:
    """Rows of which the last one, scaled, is beyond float32."""
    rows = np.ones((6, 2), np.float32)
    rows[:3, 0] += np.float32(1e-6)
    rows[5, 0] = 3e38
    return rows


def test_write_scaled_names_file_and_row_beyond_float32(
    tmp_path: Path, huge_value: np.ndarray
) -> None:
    files = {tmp_path / "a.npy": np.arange(4), tmp_path / "b.npy": np.array([4, 5])}
    with pytest.raises(InputError, match=r"b\.npy: row 1 "):
        write_scaled([huge_value], files)


def test_write_scaled_counts_rows_over_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, huge_value: np.ndarray
) -> None:
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 8)
    files = {tmp_path / "a.npy": np.arange(4), tmp_path / "b.npy": np.arange(6)}
    with pytest.raises(InputError, match=r"b\.npy: row 5 "):
        write_scaled([huge_value], files)


def test_write_scaled_writes_no_file_that_is_wrong(tmp_path: Path, huge_value: np.ndarray) -> None:
    files = {tmp_path / "a.npy": np.arange(4), tmp_path / "b.npy": np.array([4, 5])}
    with pytest.raises(InputError):
        write_scaled([huge_value], files)
    assert not (tmp_path / "b.npy").exists()


# Two pixels of which each has a mean of 0 and a standard deviation of 1.
TRAIN_ROWS = np.array([[-1, -1], [1, 1]], np.float32)


@pytest.mark.parametrize(
    ("factor", "shift", "should_warn"),
    [
        (1, 0, False),
        (1, 0.79, False),
        (1, -0.79, False),
        (1, 0.81, True),
        (1, -0.81, True),
        (1.94, 0, False),
        (1.96, 0, True),
        (1 / 1.94, 0, False),
        (1 / 1.96, 0, True),
    ],
)
def test_scale_warnings_beyond_shift_or_stretch(
    factor: float, shift: float, should_warn: bool
) -> None:
    train_scaler = StandardScaler().fit(TRAIN_ROWS)
    test_rows = (factor * TRAIN_ROWS + shift).astype(np.float32)
    assert bool(list_scale_warnings(train_scaler, test_rows)) == should_warn


def test_scale_warnings_count_the_spread_of_pixels() -> None:
    # Each pixel is constant; the deviation over all pixels is 1 in train and 4 in test.
    train_scaler = StandardScaler().fit(np.array([[-1.0, 1.0]] * 2))
    assert list_scale_warnings(train_scaler, np.array([[-4, 4]] * 2, np.float32))

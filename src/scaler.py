"""scikit-learn's StandardScaler over rows that need not fit into memory."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from src.arrays import pixels, row_slices
from src.cli import InputError
from src.files import replacing


def fit_scaler(x: NDArray[Any]) -> StandardScaler:
    """A StandardScaler fitted on the stored rows `x` (N, D) by chunks, float64 statistics."""
    scaler = StandardScaler()
    for rows in row_slices(len(x), 4 * x.shape[1], "fit scaler"):
        scaler.partial_fit(pixels(x[rows]))
    return scaler


def scaled_chunks(scaler: StandardScaler, x: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """The scaled rows of the stored rows `x` (N, D) in chunks.

    scikit-learn casts its float64 statistics to float32 before it applies them to float32 rows, so
    the rows are bit-equal to those of one `fit_transform`.
    """
    for rows in row_slices(len(x), 4 * x.shape[1], "scale"):
        yield scaler.transform(pixels(x[rows]))


def finite_chunks(
    chunks: Iterable[NDArray[np.float32]], path: Path
) -> Iterator[NDArray[np.float32]]:
    """The scaled `chunks` of the rows at `path`; InputError where float32 is too small for one."""
    first_row = 0
    for chunk in chunks:
        finite = np.isfinite(chunk).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{path}: row {first_row + int(finite.argmin())}, scaled, is beyond float32's "
                "range of 3.4e38; rescale the raw pixels, or mend that image"
            )
        yield chunk
        first_row += len(chunk)


def save_scaler(path: Path, scaler: StandardScaler, n_features: int) -> None:
    """The fitted statistics as .npz: mean, var, scale (n_features,) float64, and n_samples.

    Those of one stored channel are those of each of the equal channels.
    """
    copies = n_features // len(scaler.mean_)
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            mean=np.tile(scaler.mean_, copies),
            var=np.tile(scaler.var_, copies),
            scale=np.tile(scaler.scale_, copies),
            n_samples=scaler.n_samples_seen_,
        )


def load_scaler(path: Path, n_features: int) -> StandardScaler:
    """What `save_scaler` wrote; InputError unless it is float64 (n_features,) that can scale."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            values = {name: saved[name] for name in ("mean", "var", "scale", "n_samples")}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; 'dvc repro' makes it") from None
    except OSError:
        raise
    except Exception as error:  # random bytes can raise many kinds in zipfile
        raise InputError(
            f"{path}: no whole scaler ({error}); delete it and run 'dvc repro'"
        ) from None
    n_samples = values.pop("n_samples")
    if (
        n_samples.shape != ()
        or n_samples.dtype.kind not in "if"
        or not n_samples >= 1
        or not all(v.shape == (n_features,) and v.dtype == np.float64 for v in values.values())
        or not all(np.isfinite(v).all() for v in values.values())
        or not (values["scale"] > 0).all()
    ):
        raise InputError(
            f"{path}: expected finite mean, var and scale (above 0) of shape ({n_features},) in "
            "float64, and n_samples; delete it and run 'dvc repro'"
        )
    scaler = StandardScaler()
    scaler.mean_, scaler.var_, scaler.scale_ = values["mean"], values["var"], values["scale"]
    scaler.n_samples_seen_, scaler.n_features_in_ = n_samples[()], n_features
    return scaler

"""scikit-learn's StandardScaler, to the bit, over rows that need not fit into memory.

Not its own `partial_fit`, which passes over each chunk a dozen times; and importing scikit-learn
takes longer than all of this does for the notebook's 6400 rows.
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.arrays import pixels, row_slices
from src.cli import InputError
from src.files import write_bytes


class Scaler(NamedTuple):
    """What StandardScaler keeps: (D,) float64 each, and how many rows they rest on."""

    mean: NDArray[np.float64]
    var: NDArray[np.float64]
    scale: NDArray[np.float64]  # the root of var, and 1 where a feature is constant
    n_samples: int


def fit_scaler(x: NDArray[Any]) -> Scaler:
    """The statistics of the stored rows `x` (N, D) in two passes, row by row as scikit-learn adds.

    The corrected two-pass algorithm, and its bound on what counts as constant: Chan, Golub and
    LeVeque, Am. Stat. 37 (1983) 242.
    """
    n_rows, n_features = x.shape
    total, moves, squares = np.zeros((3, n_features))
    for rows in row_slices(n_rows, 4 * n_features, "fit mean"):
        for row in pixels(x[rows]):
            total += row
    mean = total / n_rows
    for rows in row_slices(n_rows, 4 * n_features, "fit variance"):
        for row in pixels(x[rows]):
            move = row - mean
            moves += move
            squares += np.square(move, out=move)
    var = (squares - moves**2 / n_rows) / n_rows
    rounding = np.finfo(float).eps * n_rows
    constant = var <= rounding * var + (rounding * mean) ** 2
    return Scaler(mean, var, np.where(constant, 1, np.sqrt(var)), n_rows)


def scaled_chunks(scaler: Scaler, x: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    """The scaled rows of the stored rows `x` (N, D) in chunks.

    float32 rows meet float32 statistics, as in scikit-learn.
    """
    mean, scale = scaler.mean.astype(np.float32), scaler.scale.astype(np.float32)
    for rows in row_slices(len(x), 4 * x.shape[1], "scale"):
        scaled = pixels(x[rows]) - mean
        scaled /= scale
        yield scaled


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


def save_scaler(path: Path, scaler: Scaler, n_features: int) -> None:
    """The fitted statistics as .npz: mean, var, scale (n_features,) float64, and n_samples.

    Those of one stored channel are those of each of the equal channels.
    """
    copies = n_features // len(scaler.mean)
    data = io.BytesIO()
    np.savez(
        data,
        mean=np.tile(scaler.mean, copies),
        var=np.tile(scaler.var, copies),
        scale=np.tile(scaler.scale, copies),
        n_samples=np.float64(scaler.n_samples),  # scikit-learn's n_samples_seen_ is one too
    )
    write_bytes(path, data.getvalue())


def load_scaler(path: Path, n_features: int) -> Scaler:
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
    return Scaler(**values, n_samples=int(n_samples))

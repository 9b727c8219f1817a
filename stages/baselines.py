"""Score the majority class and nearest neighbours, and measure how much the split leaks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from src import paths
from src.cli import InputError, run
from src.data.splits import absent_classes, fold_of_rows
from src.evaluation.confidence import Subjects
from src.evaluation.leakage import CLOSE, describe_leakage, similarity
from src.evaluation.metrics import score
from src.evaluation.nearest_neighbours import nearest_of_other_groups
from src.params import BASELINES, Data, read_params
from src.plotting.leakage import leakage_figure
from src.plotting.style import save_png
from src.storage.arrays import read_rows
from src.storage.dataset import SPLITS, Info, load_split, read_info
from src.storage.files import REMAKE, write_json


def main() -> None:
    data, info = read_params().data, read_info()
    x, y, subjects = read_all_rows(info)
    in_test = np.arange(len(y)) >= len(x[0])
    folds = folds_of_all_rows(y, subjects, data)
    neighbours = nearest_of_other_groups(x, np.stack([in_test, *folds.values()]).astype(np.int64))

    majority = np.full(len(y), np.bincount(y[~in_test]).argmax())
    nearest, *nearest_in_folds = y[neighbours.nearest]
    test = y[in_test], None if subjects is None else subjects[in_test], info.classes
    results = {
        "majority": score(majority[in_test], *test, info.unscored_classes),
        "nearest_neighbour": score(nearest[in_test], *test, info.unscored_classes),
    }
    left_out = {kind: [*absent_classes(y, fold, info.classes)] for kind, fold in folds.items()}
    for kind, predicted in zip(folds, nearest_in_folds, strict=True):
        metrics = score(predicted, y, subjects, info.classes, left_out[kind])
        results[f"nearest_neighbour_{kind}"] = metrics
    similar = similarity(neighbours, in_test, subjects)
    leakage = describe_leakage(similar) | {"left_out_on_folds": left_out}

    save_png(paths.LEAKAGE_FIGURE, leakage_figure(similar.closeness, similar.same, CLOSE))
    write_json(paths.LEAKAGE, leakage)
    for name in BASELINES:
        # DVC has no optional out: where there are no such folds, the object is empty.
        write_json(paths.metrics(name), results[name].to_json() if name in results else {})
    for name, metrics in results.items():
        print(f"{name}: accuracy {metrics.accuracy:.4f}")
    print(leakage["sentence"])


def read_all_rows(info: Info) -> tuple[list[NDArray[Any]], NDArray[np.int64], Subjects]:
    """Return the stored rows of train and of test; labels (N,) and subject ids (N,) of both."""
    sources = [paths.flat_images(split) for split in SPLITS]
    train, test = x = [read_rows(source, info.image_shape) for source in sources]
    if (train.dtype, train.shape[1]) != (test.dtype, test.shape[1]):
        raise InputError(
            f"{sources[1]}: {test.dtype} rows of {test.shape[1]}, expected {train.dtype} rows of "
            f"{train.shape[1]}, as in {sources[0]}; {REMAKE}"
        )
    splits = [load_split(split, info, scaled=False) for split in SPLITS]
    ids = [split.subjects for split in splits if split.subjects is not None]
    labels = np.concatenate([split.labels for split in splits])
    return x, labels, np.concatenate(ids) if len(ids) == len(splits) else None


def folds_of_all_rows(
    y: NDArray[np.int64], subjects: Subjects, data: Data
) -> dict[str, NDArray[np.int64]]:
    """Return the folds (N,) "random" and, with ids, "subject", where these are possible."""
    folds = {}
    for kind, ids in {"random": None, "subject": subjects}.items():
        if kind == "subject" and ids is None:
            continue
        try:
            folds[kind] = fold_of_rows(y, ids, data.folds, data.seed)
        except InputError as reason:  # nobody asked for this comparison, so the stage goes on
            print(f"note: no nearest_neighbour_{kind}: {reason}")
    return folds


if __name__ == "__main__":
    run(main)

"""What needs no network: the majority class, nearest neighbours, and whether the split leaks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.arrays import read_numbers, read_train_and_test
from src.cli import InputError, run
from src.files import write_json
from src.leakage import kinship, leakage, leakage_figure
from src.meta import absent_entry, read_meta
from src.neighbours import nearest_of_other_groups
from src.params import Data, read_params
from src.png import save_png
from src.scores import score
from src.splits import absent_classes, fold_of_rows

FLAT = Path("data/flat")
METRICS = Path("metrics")
LEAKAGE = Path("plots/leakage.json")
FIGURE = Path("plots/neighbours.png")


def main() -> None:
    data = read_params().data
    meta = read_meta(FLAT / "meta.json")
    x = read_train_and_test(FLAT, meta.image_shape)
    y = of_all_rows("y", x, len(meta.classes))
    subjects = of_all_rows("subjects", x) if (FLAT / "subjects_test.npy").exists() else None
    in_test = np.arange(len(y)) >= len(x[0])
    folds = folds_of_all_rows(y, subjects, data)
    neighbours = nearest_of_other_groups(x, np.stack([in_test, *folds.values()]).astype(np.int64))

    def metrics(
        predicted: NDArray[np.int64], rows: NDArray[np.bool_], scored: list[str]
    ) -> dict[str, Any]:
        ids = None if subjects is None else subjects[rows]
        labels = [meta.classes.index(name) for name in scored]
        return score(predicted[rows], y[rows], ids, labels)

    majority = np.full(len(y), np.bincount(y[~in_test]).argmax())
    named, *named_by_fold = y[neighbours.nearest]
    left_out = absent_entry(meta.classes, meta.scored)
    results = {
        "majority": metrics(majority, in_test, meta.scored) | left_out,
        "nearest_neighbour": metrics(named, in_test, meta.scored) | left_out,
        # DVC knows no optional out: where there are no such folds, the object stays empty.
        "nearest_neighbour_random": {},
        "nearest_neighbour_subject": {},
    }
    left_out_on_folds = {}
    for (kind, fold), predicted in zip(folds.items(), named_by_fold, strict=True):
        absent = absent_classes(y, fold, meta.classes)
        scored = [name for name in meta.classes if name not in absent]
        results[f"nearest_neighbour_{kind}"] = metrics(predicted, y == y, scored)
        left_out_on_folds[kind] = [*absent]
    kin = kinship(neighbours, in_test, subjects)
    found = leakage(kin) | {"left_out_on_folds": left_out_on_folds}

    save_png(FIGURE, leakage_figure(kin))
    write_json(LEAKAGE, found)
    for name, of_baseline in results.items():
        write_json(METRICS / f"{name}.json", of_baseline)
        if of_baseline:
            print(f"{name}: accuracy {of_baseline['accuracy']:.4f}")
    print(found["sentence"])


def of_all_rows(
    kind: str, x: Sequence[NDArray[Any]], n_classes: int | None = None
) -> NDArray[np.int64]:
    """Labels ("y") or subject ids of all rows of `x`, those of train first."""
    return np.concatenate(
        [
            read_numbers(FLAT / f"{kind}_{split}.npy", len(rows), n_classes)
            for split, rows in zip(("train", "test"), x, strict=True)
        ]
    )


def folds_of_all_rows(
    y: NDArray[np.int64], subjects: NDArray[np.int64] | None, data: Data
) -> dict[str, NDArray[np.int64]]:
    """The folds "random" and, with ids, "subject" of all rows; without those that cannot be."""
    folds = {}
    for kind, ids in {"random": None, "subject": subjects}.items():
        if kind == "subject" and ids is None:
            continue
        try:
            folds[kind] = fold_of_rows(y, ids, data.folds, data.seed)
        except InputError as reason:  # a comparison that nobody asked for fails no run
            print(f"note: no nearest_neighbour_{kind}: {reason}")
    return folds


if __name__ == "__main__":
    run(main)

"""Score the networks of the folds on changed images: `python -m stages.probe MODEL`.

Each network predicts subjects of its own fold, which it never saw, under shift, noise, contrast and
brightness. Nothing is trained.
"""

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Model
from mri_stages.console import parse_model_argument
from mri_stages.errors import InputError
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.robustness import (
    CHANGES,
    GreyRange,
    ImageChanger,
    find_grey_range,
    sample_predictions,
    score_changes,
)
from mri_stages.storage.arrays import select_rows, to_pixels
from mri_stages.storage.dataset import AllRows, Info, load_all_rows, read_info
from mri_stages.storage.files import REMAKE
from mri_stages.storage.predictions import (
    Predictions,
    has_predictions,
    read_predictions,
    split_repeats,
)
from mri_stages.storage.records import write_robustness
from mri_stages.training.fold_networks import FoldFiles, FoldPredictor, read_fold_index

# Another device or number of threads changes the last digits of a probability.
MAX_DIFFERENCE = 0.01


def main() -> None:
    params = read_params()
    info = read_info()
    name = parse_model_argument("probe", params.cross_validation.models)
    negative_label = find_negative_label(params.evaluation.negative_class, info.classes)
    index = read_fold_index(paths.fold_networks(name))
    if index.folds == 0 or not has_predictions(paths.folds(name)):
        write_robustness(name, [])
        print(f"note: {name} is not probed, since no folds are possible")
        return

    predictions = split_repeats(read_predictions(paths.folds(name), info.classes))[0]
    if np.isnan(predictions.probabilities).any():
        write_robustness(name, [])
        print(f"note: {name} is not probed, since it diverged")
        return
    sample = sample_predictions(predictions)
    probabilities = predict_changed_images(name, params.models[name], info, sample)
    check_unchanged(name, sample, probabilities[0])

    rows = score_changes(sample, probabilities, negative_label)
    write_robustness(name, rows)
    if not rows:
        print(f"note: {name} has no AUC on the probed images")
        return
    worst = min(rows, key=lambda row: 1 if row.auc is None else row.auc)
    print(
        f"{name}: AUC {rows[0].auc:.3f} of unchanged images, least {worst.auc:.3f}: {worst.change}"
    )


def predict_changed_images(
    name: str, model: Model, info: Info, sample: Predictions
) -> NDArray[np.float32]:
    """Return the probabilities (C, n, K) of the sampled rows under each change."""
    rows = load_all_rows(info)
    grey_range = find_grey_range(to_pixels(select_rows(rows.parts, sample.rows)))
    if grey_range != (0, 1):
        print(
            f"note: pixels lie between {grey_range.low:g} and {grey_range.high:g}, which is taken "
            "as the grey range in place of 0 to 1"
        )
    assert sample.folds is not None
    probabilities = np.empty((len(CHANGES), len(sample.rows), info.n_classes), np.float32)
    for fold in np.unique(sample.folds):
        fold_mask = sample.folds == fold
        files = FoldFiles(paths.fold_networks(name), int(fold))
        predictor = FoldPredictor(files, model, info)
        probabilities[:, fold_mask] = predict_fold(
            predictor, rows, sample.rows[fold_mask], info, grey_range
        )
    return probabilities


def predict_fold(
    predictor: FoldPredictor,
    rows: AllRows,
    indices: NDArray[np.int64],
    info: Info,
    grey_range: GreyRange,
) -> NDArray[np.float32]:
    """Return the probabilities (C, n, K) of rows (n,) of one fold under each change."""
    pixels = to_pixels(select_rows(rows.parts, indices))
    _, height, width = info.image_shape
    images = pixels.reshape(len(pixels), -1, height, width)
    changer = ImageChanger(images, indices.tolist(), grey_range)
    return np.stack(
        [predictor.predict(changer.change(change).reshape(pixels.shape)) for change in CHANGES]
    )


def check_unchanged(name: str, sample: Predictions, probabilities: NDArray[np.float32]) -> None:
    """Raise InputError if the kept networks do not predict (n, K) what cross-validation did."""
    difference = float(np.abs(probabilities - sample.probabilities).max())
    if not difference <= MAX_DIFFERENCE:
        raise InputError(
            f"{paths.fold_networks(name)}: probabilities that differ by {difference:.3g} from "
            f"{paths.folds(name)}, expected at most {MAX_DIFFERENCE}; {REMAKE}"
        )


if __name__ == "__main__":
    run_stage(main)

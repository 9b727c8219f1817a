"""Name and draw the new subjects that each cross-validated model got wrong with most confidence.

The pictures and the names of files may show persons: they lie in the cache, not in Git.
"""

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.config.environment import run_stage
from mri_stages.config.loading import read_params
from mri_stages.config.schema import Params
from mri_stages.evaluation.failures import MAX_FAILURES, find_failures
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.plotting.failures import draw_failures
from mri_stages.plotting.style import save_png
from mri_stages.plotting.text import print_missing_letters
from mri_stages.storage.dataset import SPLITS, Info, load_stored, read_info
from mri_stages.storage.details import FileNames, name_row, read_file_names
from mri_stages.storage.failures import Failure, write_failures
from mri_stages.storage.predictions import Predictions, read_new_subject_predictions


def main() -> None:
    params = read_params()
    info = read_info()
    print_missing_letters(params.data.title, info.classes)
    file_names = read_file_names()
    failures_by_model = {}
    models = params.cross_validation.models
    for name, predictions in read_new_subject_predictions(models, info.classes).items():
        failures_by_model[name] = list_failures(name, predictions, params, info, file_names)

    failures = [failure for model in failures_by_model.values() for failure in model]
    images = load_images(info, {failure.row for failure in failures})
    unit = "subject" if any(failure.subject is not None for failure in failures) else "row"
    title = (
        f"{params.data.title}: the most confident wrong answers on new {unit}s (and their "
        f"probability), up to {MAX_FAILURES} of each model"
    )
    save_png(paths.FAILURES_FIGURE, draw_failures(failures_by_model, images, info.classes, title))
    write_failures(failures)
    for name, model_failures in failures_by_model.items():
        print(f"{name}: {len(model_failures)} failures are shown")


def list_failures(
    name: str, predictions: Predictions, params: Params, info: Info, file_names: FileNames
) -> list[Failure]:
    """Return the failures of a model, the most confident first."""
    classes = info.classes
    negative_label = find_negative_label(params.evaluation.negative_class, classes)
    n_train = sum(info.counts["train"])
    answers, wrong_units = find_failures(predictions, classes, negative_label)
    failures = []
    for unit in wrong_units:
        failure = Failure(
            model=name,
            subject=unit.subject,
            actual=classes[unit.label],
            answer=answers[unit.answer],
            probability=unit.probability,
            row=unit.row,
            row_probability=unit.row_probability,
            file=name_row(unit.row, n_train, file_names),
        )
        failures.append(failure)
    return failures


def load_images(info: Info, rows: Iterable[int]) -> dict[int, NDArray[Any]]:
    """Return the images (C, H, W) of rows, by index; one channel where all are equal."""
    parts = [load_stored(split, info).images for split in SPLITS]
    n_train = len(parts[0])
    images = {}
    for row in rows:
        part: NDArray[Any] = parts[0] if row < n_train else parts[1]
        image = part[row if row < n_train else row - n_train]
        has_equal_channels = part.strides[1] == 0
        images[row] = image[:1] if has_equal_channels else image
    return images


if __name__ == "__main__":
    run_stage(main)

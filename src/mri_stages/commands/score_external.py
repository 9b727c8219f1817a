"""Score a model on a raw folder, for `mri-stages external`: checks, figures, what differs."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri_stages import paths
from mri_stages.console import format_count, make_printable, print_errors
from mri_stages.errors import InputError
from mri_stages.evaluation.negative_class import find_negative_label
from mri_stages.evaluation.new_subjects import Options, compute_new_subject_metrics
from mri_stages.export.external_set import (
    ExternalSet,
    check_pixels,
    describe_external_set,
    list_scale_warnings,
    read_external_set,
)
from mri_stages.export.known_rows import KnownRows, find_known_rows
from mri_stages.export.model_inputs import list_option_warnings
from mri_stages.export.row_set import SetFigures
from mri_stages.export.trained_model import TrainedModel, load_model
from mri_stages.export.training_rows import TrainingRows, load_training_rows
from mri_stages.ingest.import_options import read_import_options
from mri_stages.orchestration.trained_weights import list_weights_warnings
from mri_stages.reporting.numbers import format_interval, format_score
from mri_stages.storage.files import check_new_file, write_json
from mri_stages.storage.predictions import Predictions
from mri_stages.storage.records import Metrics

MAX_NAMED_ROWS = 3  # in an error message
ROW_FORMAT = "{:24.24} {:>14} {:>14}"  # a longer name is cut


def score_external(arguments: Namespace) -> None:
    """Score the model and write its file; the arguments are those of the command."""
    folder: Path = arguments.folder
    model = load_model(arguments.model)
    print_errors(list_weights_warnings(arguments.model))
    out = arguments.out or paths.EXTERNAL / f"{model.name}.json"
    check_out(out, folder, model.name)
    external = read_external_set(folder, model)
    training = load_training_rows(arguments.model)

    # What differs is said, or ends this, before any row is scored.
    row_set = describe_external_set(external, model.classes)
    check_pixels(external, row_set.figures, training.figures)
    print_errors(external.notes)
    place = f"for {folder}"
    print_errors(list_option_warnings(read_import_options(folder), place, model))
    print_errors(list_scale_warnings(row_set.figures, training.figures))

    known_rows = find_known_rows(external, row_set.hashes, training)
    kept_mask = choose_rows(external, known_rows, arguments)
    figures = row_set.figures
    if not kept_mask.all():
        external = external.select(kept_mask)
        figures = describe_external_set(external, model.classes).figures

    metrics = score_rows(model, external, training)
    write_json(out, describe_result(model, folder, metrics, known_rows, figures, training))
    print_result(model, folder, metrics, known_rows, figures, training.figures)
    print(f"wrote {out}")


def check_out(out: Path, folder: Path, model_name: str) -> None:
    """Raise InputError if no file can be written, or one is there that is another result."""
    check_new_file(out, "--out")
    if not out.exists():
        return
    try:
        earlier = json.loads(out.read_bytes())
    except ValueError:
        earlier = {}
    earlier_result = "something else"
    if isinstance(earlier, dict) and "folder" in earlier:
        earlier_result = f"{earlier.get('model')} on {earlier['folder']}"
    if earlier_result != f"{model_name} on {folder}":
        raise InputError(
            f"{out}: exists and is not the result of {model_name} on {folder}, but of "
            f"{earlier_result}; name another file with --out"
        )


def choose_rows(
    external: ExternalSet, known_rows: KnownRows, arguments: Namespace
) -> NDArray[np.bool_]:
    """Return which rows (N,) to score; InputError if some are known and nobody said what to do."""
    nearly_equal_mask = known_rows.nearly_equal_mask
    if arguments.allow_similar:
        nearly_equal_mask = np.zeros_like(nearly_equal_mask)
    known_mask = known_rows.equal_mask | nearly_equal_mask

    if known_mask.any() and not arguments.skip_copies:
        raise explain_known_rows(external, known_rows.equal_mask, nearly_equal_mask)
    if known_mask.all():
        raise InputError(f"{external.folder}: the training set holds all of these rows")
    return ~known_mask


def explain_known_rows(
    external: ExternalSet,
    equal_mask: NDArray[np.bool_],
    nearly_equal_mask: NDArray[np.bool_],
) -> InputError:
    """Return the error for rows that the model was trained on."""
    parts = []
    options = ["--skip-copies leaves them out"]
    if equal_mask.any():
        parts.append(count_rows(external, equal_mask, "equal"))
    if nearly_equal_mask.any():
        parts.append(count_rows(external, nearly_equal_mask, "nearly equal"))
        options.append("--allow-similar scores the nearly equal ones")
    return InputError(
        f"{external.folder}: {'; '.join(parts)}; the model may know them by heart: "
        f"{', '.join(options)}"
    )


def count_rows(external: ExternalSet, mask: NDArray[np.bool_], kind: str) -> str:
    """Return how many rows (N,) are of this kind, with the names of the first."""
    positions = np.flatnonzero(mask).tolist()
    names = [external.name_row(position) for position in positions[:MAX_NAMED_ROWS]]
    verb = "is" if len(positions) == 1 else "are"
    return (
        f"{len(positions)} of {format_count(len(mask), 'row')} {verb} {kind} to a training row, "
        "such as "
        f"{', '.join(names)}"
    )


def score_rows(model: TrainedModel, external: ExternalSet, training: TrainingRows) -> Metrics:
    """Return the metrics of all rows, each subject (without ids, each row) counted once."""

    def iterate_images() -> Iterator[NDArray[np.float32]]:
        for chunk in external.iterate_chunks("predict"):
            yield from chunk

    outputs = model.compute_outputs(iterate_images())
    predictions = Predictions(
        rows=np.arange(len(external.labels)),
        subjects=external.subjects,
        labels=external.labels,
        probabilities=outputs.probabilities,
    )
    negative_label = find_negative_label(training.negative_class, model.classes)
    return compute_new_subject_metrics(predictions, model.classes, Options(negative_label))


def describe_result(
    model: TrainedModel,
    folder: Path,
    metrics: Metrics,
    known_rows: KnownRows,
    figures: SetFigures,
    training: TrainingRows,
) -> dict[str, Any]:
    """Return the content of external/NAME.json: the metrics first, and then what they are of."""
    return {
        "model": model.name,
        "model_sha256": model.hash_file(),
        "folder": str(folder),
        **metrics.to_json(),
        "left_out_rows": len(known_rows.equal_mask) - figures.rows,
        "equal_rows": known_rows.equal_check,
        "nearly_equal_rows": known_rows.nearly_equal_check,
        "external_set": figures.to_json(),
        "training_set": training.figures.to_json(),
    }


def print_result(
    model: TrainedModel,
    folder: Path,
    metrics: Metrics,
    known_rows: KnownRows,
    figures: SetFigures,
    training: SetFigures,
) -> None:
    """Print the metrics, what was checked, and how the two sets differ."""
    counted = format_count(figures.rows, "row")
    print(make_printable(f"{model.name} on {folder}: {counted}, by {metrics.by}"))
    auc = format_interval(metrics.auc, metrics.auc_low, metrics.auc_high)
    accuracy = format_interval(metrics.accuracy, metrics.ci_low, metrics.ci_high)
    print(f"  AUC, 95 % interval       {auc}")
    print(f"  loss                     {format_score(metrics.loss)}")
    print(f"  balanced accuracy        {format_score(metrics.balanced_accuracy)}")
    print(f"  accuracy, 95 % interval  {accuracy}")
    print(f"  macro F1                 {format_score(metrics.macro_f1)}")
    if metrics.unscored_classes:
        print(make_printable(f"  no row is of: {metrics.unscored_classes}"))

    print(f"equal rows: {known_rows.equal_check}")
    print(f"nearly equal rows: {known_rows.nearly_equal_check}")
    print("subjects: ids of two folders cannot be compared, so make sure that these are new")
    print_differences(figures, training)


def print_differences(figures: SetFigures, training: SetFigures) -> None:
    """Print a table of the external set beside the training set."""
    print(ROW_FORMAT.format("", "this folder", "training set"))
    for name in ("rows", "subjects"):
        values = [getattr(figures, name), getattr(training, name)]
        texts = ["unknown" if value is None else f"{value:,}" for value in values]
        print(ROW_FORMAT.format(name, *texts))
    for name in ("darkest", "brightest", "mean", "deviation"):
        values = [getattr(figures, name), getattr(training, name)]
        print(ROW_FORMAT.format(f"{name} of pixels", *(f"{value:z.4g}" for value in values)))
    for name in training.class_counts:
        shares = [
            row_figures.class_counts[name] / row_figures.rows for row_figures in (figures, training)
        ]
        texts = [f"{share:.1%}" for share in shares]
        print(ROW_FORMAT.format(make_printable(name), *texts))
